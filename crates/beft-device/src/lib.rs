//! Devices that a program can compute on, as the user names them. This is the one place that names backends.
//!
//! A backend is there if the program was built with its Cargo feature (`flex`, `tch`, `cuda`, ...):
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! let device = beft_device::parse_device("flex").unwrap();
//! assert_eq!(beft_device::backend_of(&device).unwrap().name, "flex");
//! # }
//! assert!(beft_device::parse_device("abacus").is_err());
//! ```

mod find;
mod remote;

use burn::tensor::{DType, Device};

pub use remote::{RemoteError, TOKEN_FILE, borrowed, serve_device};

/// A device that this program can compute on, and how the user writes it.
#[derive(Clone, Debug)]
pub struct NamedDevice {
    /// As `--device` takes it: `flex`, `tch:cuda:0`, `vulkan:1`.
    pub name: String,
    /// What it is, where the driver says.
    pub about: Option<String>,
    /// The device.
    pub device: Device,
}

/// One way to compute that burn offers: a Cargo feature, and a first word of device strings.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// First word of its device strings.
    pub name: &'static str,
    /// The Cargo feature of `beft` and `beft-cli` that compiles it in.
    pub feature: &'static str,
    /// Whether it is compiled in. Unlike [`devices`](Self::devices), this looks for no device.
    pub compiled: bool,
    /// What it is.
    pub about: &'static str,
    /// What a machine needs for it.
    pub needs: &'static str,
    /// Whether it computes in this process's own memory, of which the system says how much is free.
    pub in_host_memory: bool,
    /// Whether its devices are GPUs; of `tch` it is the device's name that says it.
    pub on_gpu: bool,
    /// Its devices on this machine; `None` when it is not compiled in.
    find: fn() -> Option<Vec<NamedDevice>>,
}

/// All backends, compiled in or not.
pub const BACKENDS: [Backend; 8] = [
    Backend {
        name: "flex",
        feature: "flex",
        compiled: cfg!(feature = "flex"),
        about: "CPU, pure Rust",
        needs: "nothing",
        in_host_memory: true,
        on_gpu: false,
        find: find::flex,
    },
    Backend {
        name: "ndarray",
        feature: "ndarray",
        compiled: cfg!(feature = "ndarray"),
        about: "CPU, pure Rust (deprecated by burn)",
        needs: "nothing",
        in_host_memory: true,
        on_gpu: false,
        find: find::ndarray,
    },
    Backend {
        name: "tch",
        feature: "tch",
        compiled: cfg!(feature = "tch"),
        about: "libtorch, CPU and CUDA (deprecated by burn)",
        needs: "libtorch 2.9: `cargo xtask setup tch`; for tch:cuda an NVIDIA driver as well",
        in_host_memory: false,
        on_gpu: false,
        find: find::tch,
    },
    Backend {
        name: "cuda",
        feature: "cuda",
        compiled: cfg!(feature = "cuda"),
        about: "NVIDIA GPUs, kernels compiled when first used",
        needs: "an NVIDIA driver, and libnvrtc of CUDA 12 or 13; its build downloads LLVM",
        in_host_memory: false,
        on_gpu: true,
        find: find::cuda,
    },
    Backend {
        name: "vulkan",
        feature: "vulkan",
        compiled: cfg!(feature = "vulkan"),
        about: "GPUs through Vulkan, kernels compiled when first used",
        needs: "a Vulkan driver: `cargo xtask setup vulkan`",
        in_host_memory: false,
        on_gpu: true,
        find: find::vulkan,
    },
    Backend {
        name: "wgpu",
        feature: "wgpu",
        compiled: cfg!(feature = "wgpu"),
        about: "GPUs through the machine's best graphics interface",
        needs: "a driver for Vulkan, Metal, DirectX 12 or OpenGL",
        in_host_memory: false,
        on_gpu: true,
        find: find::wgpu,
    },
    Backend {
        name: "cubecl-cpu",
        feature: "cpu",
        compiled: cfg!(feature = "cpu"),
        about: "CPU, kernels compiled when first used",
        needs: "nothing to run; its build downloads LLVM",
        in_host_memory: false,
        on_gpu: false,
        find: find::cubecl_cpu,
    },
    Backend {
        name: remote::NAME,
        feature: "remote",
        compiled: cfg!(feature = "remote"),
        about: "a device of another machine, as remote:HOST:PORT",
        needs: "a device server there, and its token",
        in_host_memory: false,
        on_gpu: false,
        find: find::remote,
    },
];

impl Backend {
    /// Its devices on this machine, the preferred one first; `None` when it is not compiled in.
    pub fn devices(&self) -> Option<Vec<NamedDevice>> {
        (self.find)()
    }
}

/// The kinds of numbers a device can compute with (`f32`, `bf16`, ...).
pub fn supported_dtypes(device: &Device) -> Vec<&'static str> {
    [
        ("f64", DType::F64),
        ("f32", DType::F32),
        ("f16", DType::F16),
        ("bf16", DType::BF16),
        ("i64", DType::I64),
        ("i32", DType::I32),
    ]
    .into_iter()
    .filter(|(_, dtype)| device.supports_dtype(*dtype))
    .map(|(name, _)| name)
    .collect()
}

/// A device string that names nothing this program can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The first word is no backend.
    #[error("unknown device `{name}`: a device is {}, some with a number (`cuda:0`, `tch:cuda:0`)", BACKENDS.map(|b| b.name).join(", "))]
    Unknown {
        /// As the user wrote it.
        name: String,
    },
    /// A device of another machine.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A list where one device is meant.
    #[error("`{list}` is a list of devices, and this computes on one: name one of them")]
    List {
        /// As the user wrote it.
        list: String,
    },
    /// A list of devices that compute differently.
    #[error("the devices `{list}` are of several backends: name devices of one")]
    Mixed {
        /// As the user wrote it.
        list: String,
    },
    /// The backend is not part of this build.
    #[error(
        "device `{name}`: this program was built without the Cargo feature `{feature}` (needs: {needs})"
    )]
    NotCompiled {
        /// As the user wrote it.
        name: String,
        /// The Cargo feature.
        feature: &'static str,
        /// What the machine needs.
        needs: &'static str,
    },
    /// The backend is there, the device is not.
    #[error("device `{name}` is not on this machine: {}", there(.found, .needs))]
    Absent {
        /// As the user wrote it.
        name: String,
        /// The backend's devices that are.
        found: Vec<String>,
        /// What the machine needs for more.
        needs: &'static str,
    },
}

fn there(found: &[String], needs: &str) -> String {
    if found.is_empty() {
        format!("no device of this kind was found; it needs {needs}")
    } else {
        format!("found {}", found.join(", "))
    }
}

/// The device of a string such as `flex`, `cuda:0` or `tch:cuda:1`. Without a number it is the
/// backend's first device (see [`Backend::devices`]).
///
/// # Errors
///
/// When it is unknown, its backend is not compiled in, or it is not on this machine. There is no
/// silent fall back.
pub fn parse_device(name: &str) -> Result<Device, DeviceError> {
    if name.contains(',') {
        return Err(DeviceError::List {
            list: name.to_owned(),
        });
    }
    let written = plain(name);
    let backend = named_backend(&written).ok_or_else(|| DeviceError::Unknown {
        name: name.to_owned(),
    })?;
    let devices = backend.devices().ok_or_else(|| DeviceError::NotCompiled {
        name: name.to_owned(),
        feature: backend.feature,
        needs: backend.needs,
    })?;
    if let Some(address) = remote_address(&written) {
        return Ok(remote::connect(address)?);
    }
    // `cuda` is short for the first device whose name begins so: `cuda:0`.
    let wanted = |device: &&NamedDevice| {
        device
            .name
            .strip_prefix(&written)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    match devices.iter().find(wanted) {
        Some(found) => Ok(found.device.clone()),
        None => Err(DeviceError::Absent {
            name: name.to_owned(),
            found: devices.into_iter().map(|d| d.name).collect(),
            needs: backend.needs,
        }),
    }
}

/// The devices of a list such as `cuda:0,cuda:1`, all of one backend. One may be named more than once.
///
/// # Errors
///
/// As [`parse_device`], and when they are of several backends.
pub fn parse_devices(list: &str) -> Result<Vec<NamedDevice>, DeviceError> {
    let mut found: Vec<NamedDevice> = Vec::new();
    for name in list.split(',') {
        if name.trim().is_empty() {
            let name = list.to_owned();
            return Err(DeviceError::Unknown { name });
        }
        let device = parse_device(name)?;
        let backend = |device| backend_of(device).map(|backend| backend.name);
        if found
            .first()
            .is_some_and(|first| backend(&first.device) != backend(&device))
        {
            return Err(DeviceError::Mixed {
                list: list.to_owned(),
            });
        }
        found.push(NamedDevice {
            name: plain(name),
            about: None,
            device,
        });
    }
    Ok(found)
}

/// `HOST:PORT` of a remote device's string.
fn remote_address(plain: &str) -> Option<&str> {
    plain.strip_prefix(remote::NAME)?.strip_prefix(':')
}

/// Whether a device string, or one of a list, names a device of another machine.
pub fn names_remote(list: &str) -> bool {
    list.split(',')
        .any(|name| remote_address(&plain(name)).is_some())
}

/// Whether a device string names a GPU: `cuda`, `vulkan:1`, `tch:cuda:0`.
pub fn names_gpu(name: &str) -> bool {
    let written = plain(name);
    written.contains(":cuda") || named_backend(&written).is_some_and(|backend| backend.on_gpu)
}

/// A device string without what does not matter in it.
fn plain(name: &str) -> String {
    name.trim().to_ascii_lowercase()
}

/// The backend that a plain device string begins with.
fn named_backend(plain: &str) -> Option<&'static Backend> {
    let first = plain.split(':').next().unwrap_or_default();
    BACKENDS.iter().find(|backend| backend.name == first)
}

/// The backend that a device belongs to; `None` for a device that no backend of this build lists.
pub fn backend_of(device: &Device) -> Option<&'static Backend> {
    // No list has the devices of other machines.
    if format!("{device:?}").contains("Remote") {
        return named_backend(remote::NAME);
    }
    let lists = |backend: &&Backend| {
        let devices = backend.devices().unwrap_or_default();
        devices.iter().any(|found| found.device == *device)
    };
    BACKENDS.iter().find(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "flex")]
    fn devices_of_this_build_are_found() {
        for backend in BACKENDS {
            assert_eq!(
                backend.compiled,
                backend.devices().is_some(),
                "{}",
                backend.name
            );
        }
        assert_eq!(parse_device(" Flex ").unwrap(), Device::flex());
        assert!(supported_dtypes(&Device::flex()).contains(&"f32"));
        let message = parse_device("flex:1").unwrap_err().to_string();
        assert_eq!(
            message,
            "device `flex:1` is not on this machine: found flex"
        );
    }

    #[test]
    #[cfg(all(feature = "flex", feature = "ndarray"))]
    fn lists_are_of_one_backend() {
        let names = |list: &str| {
            let found = parse_devices(list);
            found.map(|found| {
                found
                    .into_iter()
                    .map(|device| device.name)
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(names("flex, FLEX").unwrap(), ["flex", "flex"]);
        assert_eq!(names("flex").unwrap(), ["flex"]);
        let list = "flex,ndarray".to_owned();
        assert_eq!(names(&list), Err(DeviceError::Mixed { list: list.clone() }));
        assert!(names("flex,").is_err() && names("flex,tpu").is_err());
        assert_eq!(parse_device(&list), Err(DeviceError::List { list }));
    }

    #[test]
    fn gpus_are_told_by_their_names() {
        for gpu in ["cuda", " CUDA:1", "vulkan:0", "wgpu", "tch:cuda:0"] {
            assert!(names_gpu(gpu), "{gpu}");
        }
        for other in ["flex", "ndarray", "tch", "tch:cpu", "cubecl-cpu", "abacus"] {
            assert!(!names_gpu(other), "{other}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_with_the_remedy() {
        let message = parse_device("tpu").unwrap_err().to_string();
        for backend in BACKENDS {
            assert!(message.contains(backend.name), "{message}");
            if backend.devices().is_none() {
                let message = parse_device(backend.name).unwrap_err().to_string();
                let remedy = format!("feature `{}`", backend.feature);
                assert!(message.contains(&remedy), "{message}");
            }
        }
    }
}
