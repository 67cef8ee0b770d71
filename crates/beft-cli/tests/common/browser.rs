//! Pages as a browser shows them.

use std::path::Path;
use std::process::Command;

/// A browser without a window.
pub struct Browser {
    profile: tempfile::TempDir,
}

impl Browser {
    pub fn new() -> Self {
        Self {
            profile: tempfile::tempdir().unwrap(),
        }
    }

    fn run(&self, args: &[&str], address: &str) -> String {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let output = Command::new("chromium")
            // Tests may run as root, for whom there is no sandbox; the pages are ours.
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            // The page's clock goes on until it has asked the server, and been answered.
            .args(["--virtual-time-budget=10000", &profile])
            .args(args)
            .arg(address)
            .output()
            .unwrap_or_else(|error| panic!("chromium, a package of Debian: {error}"));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The page as it is after its script ran.
    pub fn dom(&self, width: u32, dark: bool, address: &str) -> String {
        self.run(
            &[
                "--dump-dom",
                &scheme(dark),
                &format!("--window-size={width},900"),
            ],
            address,
        )
    }

    pub fn screenshot(&self, width: u32, dark: bool, address: &str, file: &Path) {
        let shot = format!("--screenshot={}", file.display());
        self.run(
            &[&shot, &scheme(dark), &format!("--window-size={width},900")],
            address,
        );
    }
}

fn scheme(dark: bool) -> String {
    format!("--blink-settings=preferredColorScheme={}", u8::from(!dark))
}
