use beft::{BACKENDS, supported_dtypes};

use crate::output::{print_table, say};

/// What this program can compute on, what each device supports, and what is missing for the rest.
pub(crate) fn devices() {
    let mut found = "| --device | numbers | what it is |\n".to_owned();
    let mut missing = String::new();
    for backend in BACKENDS {
        let Some(devices) = backend.devices() else {
            missing += &format!(
                "| {} | {} | not in this program: build with --features {}; needs {} |\n",
                backend.name, backend.about, backend.feature, backend.needs
            );
            continue;
        };
        if devices.is_empty() {
            missing += &format!(
                "| {} | {} | no device found: needs {} |\n",
                backend.name, backend.about, backend.needs
            );
        }
        for device in devices {
            found += &format!(
                "| {} | {} | {} |\n",
                device.name,
                supported_dtypes(&device.device).join(" "),
                device.about.as_deref().unwrap_or(backend.about)
            );
        }
    }
    say!("Found:\n");
    print_table(&found);
    if !missing.is_empty() {
        say!("\nMissing:\n");
        print_table(&missing);
    }
}
