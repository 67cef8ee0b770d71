//! How each backend's devices are found; every function is `None` without its feature.

use burn::tensor::Device;

use crate::NamedDevice;

#[cfg(any(feature = "flex", feature = "ndarray", feature = "tch"))]
fn named(name: &str, device: Device) -> NamedDevice {
    NamedDevice {
        name: name.to_owned(),
        about: None,
        device,
    }
}

/// Numbers the devices of a GPU backend in the order burn lists them: discrete ones first,
/// software renderers last.
#[cfg(any(
    feature = "cuda",
    feature = "wgpu",
    feature = "vulkan",
    feature = "cpu"
))]
fn numbered(name: &str, filter: burn::tensor::DeviceType) -> Vec<NamedDevice> {
    Device::enumerate(filter)
        .into_iter()
        .enumerate()
        .map(|(index, device)| NamedDevice {
            name: format!("{name}:{index}"),
            about: device.identity().map(|identity| identity.name),
            device,
        })
        .collect()
}

pub(super) fn flex() -> Option<Vec<NamedDevice>> {
    #[cfg(feature = "flex")]
    return Some(vec![named("flex", Device::flex())]);
    #[cfg(not(feature = "flex"))]
    None
}

pub(super) fn ndarray() -> Option<Vec<NamedDevice>> {
    #[cfg(feature = "ndarray")]
    #[allow(deprecated)] // our users ask for it
    return Some(vec![named("ndarray", Device::ndarray())]);
    #[cfg(not(feature = "ndarray"))]
    None
}

pub(super) fn tch() -> Option<Vec<NamedDevice>> {
    #[cfg(feature = "tch")]
    #[allow(deprecated)] // our users ask for it
    {
        let cpu = named("tch", Device::libtorch());
        // burn lists the CUDA devices only.
        let cuda = Device::enumerate(burn::tensor::DeviceType::LibTorch)
            .into_iter()
            .enumerate()
            .map(|(index, device)| named(&format!("tch:cuda:{index}"), device));
        Some(std::iter::once(cpu).chain(cuda).collect())
    }
    #[cfg(not(feature = "tch"))]
    None
}

pub(super) fn cuda() -> Option<Vec<NamedDevice>> {
    #[cfg(feature = "cuda")]
    return Some(numbered("cuda", burn::tensor::DeviceType::Cuda));
    #[cfg(not(feature = "cuda"))]
    None
}

pub(super) fn vulkan() -> Option<Vec<NamedDevice>> {
    #[cfg(feature = "vulkan")]
    return Some(numbered("vulkan", burn::tensor::DeviceType::Vulkan));
    #[cfg(not(feature = "vulkan"))]
    None
}

pub(super) fn wgpu() -> Option<Vec<NamedDevice>> {
    #[cfg(feature = "wgpu")]
    return Some(numbered("wgpu", burn::tensor::DeviceType::Wgpu));
    #[cfg(not(feature = "wgpu"))]
    None
}

pub(super) fn remote() -> Option<Vec<NamedDevice>> {
    // Nobody knows which there are.
    cfg!(feature = "remote").then(Vec::new)
}

pub(super) fn cubecl_cpu() -> Option<Vec<NamedDevice>> {
    #[cfg(feature = "cpu")]
    return Some(numbered("cubecl-cpu", burn::tensor::DeviceType::Cpu));
    #[cfg(not(feature = "cpu"))]
    None
}
