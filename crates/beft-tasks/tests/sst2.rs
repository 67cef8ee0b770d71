//! The real SST-2 files, where they are at hand beside the workspace.

use std::path::Path;

use beft_tasks::{Split, Task};

#[test]
fn the_real_files_have_the_known_counts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/SST-2");
    if !folder.exists() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    let task = Task::named("sst2").unwrap();
    for (split, negative, positive) in [(Split::Train, 29_780, 37_569), (Split::Dev, 428, 444)] {
        let data = task.load(&folder, split, None).unwrap();
        assert_eq!(data.labels, ["0", "1"]);
        assert_eq!(data.examples.len(), negative + positive);
        let count = |label| {
            data.examples
                .iter()
                .filter(|e| e.label == Some(label))
                .count()
        };
        assert_eq!((count(0), count(1)), (negative, positive), "{split}");
        let last = &data.examples[data.examples.len() - 1];
        assert_eq!(last.line, data.examples.len() + 1);
        // The official files keep a space before the tab.
        assert!(
            data.examples.iter().all(|e| e.text.ends_with(' ')),
            "{split}"
        );
    }
}
