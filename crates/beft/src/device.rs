//! The one place that names backends.

use burn::tensor::Device;

/// A device string that names nothing this program can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("device `{name}` is not available: this program was built with {}", available(.compiled))]
pub struct DeviceError {
    /// As the user wrote it.
    pub name: String,
    /// What is compiled in.
    pub compiled: &'static [&'static str],
}

fn available(compiled: &[&str]) -> String {
    if compiled.is_empty() {
        "no backend (enable one, for example the feature `flex`)".to_owned()
    } else {
        format!("{} (choose one with --device)", compiled.join(", "))
    }
}

/// The device strings that [`parse_device`] accepts in this build.
pub fn compiled_devices() -> &'static [&'static str] {
    &[
        #[cfg(feature = "flex")]
        "flex",
    ]
}

/// The device of a string such as `flex`.
///
/// # Errors
///
/// When it is unknown or its backend is not compiled in. There is no silent fall back.
pub fn parse_device(name: &str) -> Result<Device, DeviceError> {
    match name.trim().to_ascii_lowercase().as_str() {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        _ => Err(DeviceError {
            name: name.to_owned(),
            compiled: compiled_devices(),
        }),
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_refused_with_the_choices() {
        assert_eq!(parse_device("flex").unwrap(), Device::flex());
        let message = parse_device("cuda:0").unwrap_err().to_string();
        assert!(
            message.contains("`cuda:0`") && message.contains("flex"),
            "{message}"
        );
    }
}
