//! The whole suite on every backend of this build.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::thread;

use beft::{BACKENDS, NamedDevice};
use beft_fixtures::Fixtures;
use beft_nn::Precision;
use beft_parity::{Subject, Tolerance};

/// The backends' first devices.
fn devices() -> Vec<NamedDevice> {
    let devices: Vec<NamedDevice> = BACKENDS
        .iter()
        .filter_map(|backend| backend.devices()?.into_iter().next())
        .collect();
    let names: Vec<&str> = devices.iter().map(|d| d.name.as_str()).collect();
    for (name, built) in [
        ("flex", cfg!(feature = "flex")),
        ("ndarray", cfg!(feature = "ndarray")),
    ] {
        assert_eq!(names.contains(&name), built, "{names:?}");
    }
    devices
}

fn assert_parity(subject: &Subject, precision: Precision) {
    for NamedDevice { name, device, .. } in devices() {
        if !device.supports_dtype(precision.dtype()) {
            continue;
        }
        let tolerance = Tolerance::of(&name, precision);
        let report = subject.check(&device, &tolerance).unwrap();
        println!(
            "{name} {precision} {}: {} comparisons, worst error {:.1e}",
            report.model,
            report.checks.len(),
            report.worst(&tolerance).0
        );
        let failed: Vec<_> = report.failed().collect();
        assert!(failed.is_empty(), "{name} {precision}: {failed:#?}");
        assert!(
            report.checks.len() > 60,
            "{} comparisons",
            report.checks.len()
        );
    }
}

#[test]
fn random_models_equal_transformers() {
    let fixtures = Fixtures::unpack().unwrap();
    let subjects = Subject::committed(&fixtures);
    assert!(!subjects.is_empty());
    // Small products use one core, so each model has a thread.
    thread::scope(|scope| {
        for subject in &subjects {
            scope.spawn(|| {
                assert_parity(subject, Precision::F32);
                assert_parity(subject, Precision::Bf16);
                assert_parity(subject, Precision::F16);
            });
        }
    });
}

/// The real MiniLM, where `cargo xtask fetch-minilm` put it and `cargo xtask minilm-expected`
/// described it.
#[test]
fn real_minilm_equals_transformers() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    match Subject::minilm(&models) {
        Some(subject) => assert_parity(&subject, Precision::F32),
        None => eprintln!("skipped: models/minilm-expected.safetensors is absent (README)"),
    }
}

/// One changed bit in one weight, and the suite fails.
#[test]
fn a_wrong_weight_is_noticed() {
    let fixtures = Fixtures::unpack().unwrap();
    let subject = &Subject::committed(&fixtures)[0];
    let path = subject.model.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    // The sign of the last value, a weight or bias near the output.
    *bytes.last_mut().unwrap() ^= 0x80;
    fs::write(&path, bytes).unwrap();
    for NamedDevice { name, device, .. } in devices() {
        let tolerance = Tolerance::of(&name, Precision::F32);
        let report = subject.check(&device, &tolerance).unwrap();
        assert!(report.failed().count() > 0, "{name}");
    }
}
