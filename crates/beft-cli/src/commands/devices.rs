use beft::table::{Align, Table};
use beft::{BACKENDS, Backend, supported_dtypes};

use serde_json::{Value, json};

use crate::args::JsonArgs;
use crate::output::{print_json, print_table, say};

/// The devices that were found, for programs.
fn found() -> Vec<Value> {
    let backends = BACKENDS.iter().filter_map(Backend::devices);
    let devices = backends.flatten();
    let described = devices.map(|device| {
        json!({"device": device.name, "numbers": supported_dtypes(&device.device), "about": device.about})
    });
    described.collect()
}

/// What this program can compute on, what each device supports, and what is missing for the rest.
pub(crate) fn devices(args: JsonArgs) {
    if args.json {
        return print_json(&found());
    }
    let left = |names: [&str; 3]| Table::new(names.map(|name| (name, Align::Left)));
    let mut found = left(["--device", "numbers", "what it is"]);
    let mut missing = left([""; 3]);
    let absent = |backend: Backend, why: String| {
        vec![
            backend.name.into(),
            backend.about.into(),
            why.replace('`', "").into(),
        ]
    };
    for backend in BACKENDS {
        let Some(devices) = backend.devices() else {
            let why = format!(
                "not in this program: build with --features {}; needs {}",
                backend.feature, backend.needs
            );
            missing.rows.push(absent(backend, why));
            continue;
        };
        if devices.is_empty() {
            let why = format!("no device found: needs {}", backend.needs);
            missing.rows.push(absent(backend, why));
        }
        for device in devices {
            found.rows.push(vec![
                device.name.into(),
                supported_dtypes(&device.device).join(" ").into(),
                device.about.as_deref().unwrap_or(backend.about).into(),
            ]);
        }
    }
    say!("Found:\n");
    print_table(&found);
    if !missing.rows.is_empty() {
        say!("\nMissing:\n");
        print_table(&missing);
    }
}
