//! What a backend needs on this machine, and the parity suite on every backend.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::{cargo, execute, python};

/// What can be set up.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Setup {
    /// libtorch: a Python environment with the right torch, and the build settings for it.
    Tch,
    /// A Vulkan loader and driver: checks, and names the packages.
    Vulkan,
}

/// A backend that the parity suite can be run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    Flex,
    Ndarray,
    Tch,
    Cuda,
    Vulkan,
    Wgpu,
}

impl Backend {
    /// First word of its device strings.
    fn device(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Tch => "tch",
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
        }
    }

    /// What is missing to build and run it here.
    fn missing(self, root: &Path) -> Option<String> {
        match self {
            Self::Flex | Self::Ndarray => None,
            Self::Tch => (!torch_settings(root).is_file())
                .then(|| "run `cargo xtask setup tch` first".to_owned()),
            Self::Vulkan | Self::Wgpu => vulkan_missing(),
            Self::Cuda => find_library("libcuda.so.1")
                .is_none()
                .then(|| "no NVIDIA driver (libcuda.so.1)".to_owned()),
        }
    }
}

/// A parity program: one file with the fixtures inside that can be carried to another machine. There
/// are several, to keep each quick to build, because one with libtorch does not start without it, and
/// because the build of `cuda` downloads LLVM (tracel-llvm-bundler), which not every machine can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// Pure Rust on the CPU.
    Plain,
    /// Kernels are compiled where it runs, from WGSL.
    Wgpu,
    /// The same, from SPIR-V through Vulkan. Apart, since with it `wgpu` takes SPIR-V too.
    Vulkan,
    /// The same, through CUDA as well.
    Kernels,
    /// libtorch.
    Torch,
}

impl Program {
    const ALL: [Self; 5] = [
        Self::Plain,
        Self::Wgpu,
        Self::Vulkan,
        Self::Kernels,
        Self::Torch,
    ];

    /// The one that holds a backend.
    fn of(backend: Backend) -> Self {
        match backend {
            Backend::Flex | Backend::Ndarray => Self::Plain,
            Backend::Wgpu => Self::Wgpu,
            Backend::Vulkan => Self::Vulkan,
            Backend::Cuda => Self::Kernels,
            Backend::Tch => Self::Torch,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "beft-parity-plain",
            Self::Wgpu => "beft-parity-wgpu",
            Self::Vulkan => "beft-parity-vulkan",
            Self::Kernels => "beft-parity",
            Self::Torch => "beft-parity-tch",
        }
    }

    fn features(self) -> &'static str {
        match self {
            Self::Plain => "flex,ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Kernels => "cuda,vulkan",
            Self::Torch => "tch",
        }
    }

    /// Builds it, stripped, into `target/parity/`.
    fn build(self, root: &Path) -> Result<PathBuf> {
        execute(
            cargo(root)
                .args(["build", "--profile", "dist", "-p", "beft-parity"])
                .args(["--no-default-features", "--features", self.features()]),
        )?;
        let out = root.join("target/parity");
        fs::create_dir_all(&out)?;
        let program = out.join(self.name());
        fs::copy(root.join("target/dist/beft-parity"), &program)?;
        Ok(program)
    }
}

/// Runs the parity suite on the given backends; on all that this machine can run when `all` is
/// set, on the two that need nothing when nothing is given.
pub(crate) fn parity(root: &Path, backends: &[Backend], all: bool, verbose: bool) -> Result<()> {
    let mut chosen = backends.to_vec();
    if all {
        for backend in Backend::value_variants() {
            match backend.missing(root) {
                Some(reason) => println!("left out: {} ({reason})", backend.device()),
                None => chosen.push(*backend),
            }
        }
    } else if chosen.is_empty() {
        chosen = vec![Backend::Flex, Backend::Ndarray];
    }
    for backend in &chosen {
        if let Some(reason) = backend.missing(root) {
            bail!("{}: {reason}", backend.device());
        }
    }
    for program in Program::ALL {
        let share = chosen
            .iter()
            .filter(|backend| Program::of(**backend) == program);
        let devices: Vec<&str> = share.flat_map(|b| ["--device", b.device()]).collect();
        if devices.is_empty() {
            continue;
        }
        let mut command = Command::new(program.build(root)?);
        command.current_dir(root).arg("check").args(devices);
        if verbose {
            command.arg("--verbose");
        }
        execute(&mut command)?;
    }
    Ok(())
}

/// What a program that is carried to a GPU machine may weigh.
const LARGEST_PROGRAM: u64 = 60_000_000;

/// Builds both programs, checks their size, and runs them if this machine has an NVIDIA GPU.
pub(crate) fn gpu_check(root: &Path, args: &[String]) -> Result<()> {
    let mut paths = Vec::new();
    match Program::Kernels.build(root) {
        Ok(path) => paths.push(path),
        Err(error) => {
            println!("left out: cuda ({error}; its build downloads LLVM, see above)");
            paths.push(Program::Vulkan.build(root)?);
        }
    }
    match Backend::Tch.missing(root) {
        Some(reason) => println!("left out: {} ({reason})", Program::Torch.name()),
        None => paths.push(Program::Torch.build(root)?),
    }
    for path in &paths {
        let size = fs::metadata(path)?.len();
        println!("{}: {:.1} MB", path.display(), size as f64 / 1e6);
        if size > LARGEST_PROGRAM {
            bail!("that is more than {} MB", LARGEST_PROGRAM / 1_000_000);
        }
    }
    if let Some(reason) = Backend::Cuda.missing(root) {
        println!("not run here: {reason}");
        println!("on a machine with an NVIDIA GPU: beft-parity gpu");
        return Ok(());
    }
    paths
        .iter()
        .try_for_each(|program| execute(Command::new(program).arg("gpu").args(args)))
}

/// Sets a backend up; does nothing where that is done.
pub(crate) fn setup(root: &Path, what: Setup) -> Result<()> {
    match what {
        Setup::Tch => setup_tch(root),
        Setup::Vulkan => match vulkan_missing() {
            None => {
                let drivers = vulkan_drivers();
                let names: Vec<String> = drivers.iter().map(|p| p.display().to_string()).collect();
                println!("ready: Vulkan loader and drivers {}", names.join(", "));
                Ok(())
            }
            Some(reason) => bail!("{reason}"),
        },
    }
}

/// Where the build settings go; `.cargo/config.toml` includes the file if it is there.
fn torch_settings(root: &Path) -> PathBuf {
    root.join(".cargo/tch.toml")
}

/// Torch into `.venv`, and `LIBTORCH` for every build of this checkout: burn-tch compiles against
/// it, and the build scripts of our programs put its `lib` into their run path.
fn setup_tch(root: &Path) -> Result<()> {
    python::setup(root)?;
    let torch = python::torch_dir(root)?;
    let settings = format!(
        "# Written by `cargo xtask setup tch`; delete this file to undo.\n[env]\nLIBTORCH = {:?}\n",
        torch.display().to_string()
    );
    let path = torch_settings(root);
    if fs::read_to_string(&path).is_ok_and(|old| old == settings) {
        println!(
            "ready: {} already names {}",
            path.display(),
            torch.display()
        );
        return Ok(());
    }
    fs::write(&path, settings).with_context(|| format!("cannot write {}", path.display()))?;
    println!("ready: {} now names {}", path.display(), torch.display());
    println!("build with: cargo build --release -p beft-cli --features tch");
    Ok(())
}

/// What a Vulkan program would not find here.
fn vulkan_missing() -> Option<String> {
    let packages = "Debian, Ubuntu: apt install libvulkan1 mesa-vulkan-drivers; Fedora: dnf install vulkan-loader mesa-vulkan-drivers; NVIDIA's own driver brings one for its cards";
    if find_library("libvulkan.so.1").is_none() {
        Some(format!("no Vulkan loader (libvulkan.so.1). {packages}"))
    } else if vulkan_drivers().is_empty() {
        Some(format!("a Vulkan loader but no driver. {packages}"))
    } else {
        None
    }
}

/// Driver manifests where the Vulkan loader looks on Linux.
fn vulkan_drivers() -> Vec<PathBuf> {
    [
        "/etc/vulkan/icd.d",
        "/usr/share/vulkan/icd.d",
        "/usr/local/share/vulkan/icd.d",
    ]
    .into_iter()
    .filter_map(|dir| fs::read_dir(dir).ok())
    .flatten()
    .filter_map(|entry| Some(entry.ok()?.path()))
    .filter(|path| path.extension().is_some_and(|e| e == "json"))
    .collect()
}

/// Where the dynamic linker finds a library, by its own cache.
fn find_library(name: &str) -> Option<String> {
    let output = ["ldconfig", "/sbin/ldconfig"]
        .into_iter()
        .find_map(|program| Command::new(program).arg("-p").output().ok())?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find(|line| line.trim_start().starts_with(name))
        .map(|line| line.trim().to_owned())
}
