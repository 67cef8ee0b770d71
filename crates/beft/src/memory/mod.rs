//! How much memory a training needs, and how much there is.

mod plan;

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use beft_device::backend_of;
use beft_modes::Mode;
use beft_nn::Precision;

pub use plan::{MemoryPlan, PlanOptions, plan_memory};

use beft_train::TrainSettings;

use crate::{Base, Error, ModelConfig, TaskData};

/// What memory is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryUse {
    /// The model's weights in this precision.
    Weights(Precision),
    /// Weights, gradients and the optimizer's state of full fine-tuning.
    FullFineTuning,
}

impl MemoryUse {
    /// What takes less.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Weights(Precision::F32) => {
                "take precision bf16, which halves them, or free memory"
            }
            Self::Weights(Precision::Bf16 | Precision::F16) => {
                "free memory, or use a smaller model"
            }
            Self::FullFineTuning => {
                "train biases or LoRA, which need little beside the weights, or free memory"
            }
        }
    }
}

impl fmt::Display for MemoryUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weights(_) => "its weights",
            Self::FullFineTuning => {
                "full fine-tuning (weights, gradients and the optimizer's state)"
            }
        })
    }
}

/// A training that may need more memory than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryWarning {
    /// Bytes that it may need.
    pub needed: u64,
    /// Bytes that are available.
    pub available: u64,
}

impl fmt::Display for MemoryWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gb = |bytes: u64| bytes as f64 / 1e9;
        write!(
            f,
            "this training may take {:.1} GB of memory, and {:.1} GB are available",
            gb(self.needed),
            gb(self.available)
        )
    }
}

/// Bytes of memory that this process can still take: the least of what the machine, its control group
/// and its limit of address space leave. `None` where the system does not say it.
pub fn available_memory() -> Option<u64> {
    available(Path::new("/"))
}

fn available(root: &Path) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let machine = read("proc/meminfo").and_then(|text| {
        let free = kilobytes(&text, "MemAvailable:")?;
        Some(free + kilobytes(&text, "SwapFree:").unwrap_or(0))
    });
    let address_space = read("proc/self/limits").and_then(|text| {
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("Max address space"));
        let limit: u64 = line?.split_whitespace().next()?.parse().ok()?;
        let taken = kilobytes(&read("proc/self/status")?, "VmSize:")?;
        Some(limit.saturating_sub(taken))
    });
    let group = read("proc/self/cgroup").and_then(|text| group_memory(root, &text));
    [machine, address_space, group].into_iter().flatten().min()
}

/// The value of a line such as `MemAvailable:   1024 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let value: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(1024 * value)
}

/// What the control groups of `/proc/self/cgroup` leave: the least of the group's and those above it.
fn group_memory(root: &Path, groups: &str) -> Option<u64> {
    let number =
        |path: PathBuf| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    let mut least = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        // Version 2 has one hierarchy without a name, version 1 one for memory.
        let (mount, limit, usage) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max", "memory.current"),
            "memory" => (
                "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            ),
            _ => continue,
        };
        let mount = root.join(mount);
        let mut folder = mount.join(group.trim_start_matches('/'));
        loop {
            let found = number(folder.join(limit)).zip(number(folder.join(usage)));
            if let Some((limit, usage)) = found {
                // Pages of files are given back when there is need.
                let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
                let files = ["inactive_file ", "active_file "].map(|name| {
                    let line = stat.lines().find_map(|line| line.strip_prefix(name));
                    line.and_then(|value| value.trim().parse::<u64>().ok())
                });
                let files: u64 = files.into_iter().flatten().sum();
                let left = limit.saturating_sub(usage.saturating_sub(files));
                least = Some(least.map_or(left, |least: u64| least.min(left)));
            }
            if folder == mount || !folder.pop() {
                break;
            }
        }
    }
    least
}

/// Whether the model is kept in the machine's own memory.
fn in_host_memory(base: &Base) -> bool {
    backend_of(base.device()).is_some_and(|backend| backend.in_host_memory)
}

/// Bytes of a model's weights.
fn weights(base: &Base) -> u64 {
    let width = match base.precision() {
        Precision::F32 => 4,
        Precision::Bf16 | Precision::F16 => 2,
    };
    width * base.num_values() as u64
}

fn refuse(base: &Base, what: MemoryUse, needed: u64, available: u64) -> Error {
    Error::Memory {
        model: base.name().to_owned(),
        what,
        needed,
        available,
    }
}

/// Fails if the weights alone do not fit the memory that there is.
pub(crate) fn check_weights(base: &Base) -> Result<(), Error> {
    let needed = weights(base);
    match available_memory().filter(|_| in_host_memory(base)) {
        Some(available) if needed > available => Err(refuse(
            base,
            MemoryUse::Weights(base.precision()),
            needed,
            available,
        )),
        _ => Ok(()),
    }
}

/// Compares what a training takes with the memory that there is. The note is for one that may not fit.
///
/// # Errors
///
/// When it cannot fit.
pub fn check_training_memory(
    base: &Base,
    data: &TaskData,
    mode: &Mode,
    settings: &TrainSettings,
) -> Result<Option<MemoryWarning>, Error> {
    let Some(available) = available_memory().filter(|_| in_host_memory(base)) else {
        return Ok(None);
    };
    check_fit(base, data, mode, settings, available)
}

fn check_fit(
    base: &Base,
    data: &TaskData,
    mode: &Mode,
    settings: &TrainSettings,
    available: u64,
) -> Result<Option<MemoryWarning>, Error> {
    if mode.trains_all() {
        // A gradient and two moments of each value.
        let needed = weights(base) + 3 * 4 * base.num_values() as u64;
        if needed > available {
            return Err(refuse(base, MemoryUse::FullFineTuning, needed, available));
        }
    }
    if settings.checkpointing || mode.terms().is_none() {
        return Ok(None);
    }
    let at_once = settings.micro_batch.unwrap_or(settings.batch_size);
    let lengths = data.train.encodings.iter().map(|e| e.ids.len());
    let longest = lengths.max().unwrap_or(0).max(2);
    let plan = plan::plan(
        base.config(),
        &PlanOptions {
            mode: mode.clone(),
            precision: base.precision(),
            forward: settings.forward,
            batch_size: Some(at_once.min(data.train.len())),
            length: Some(longest.min(base.max_length())),
            predicted: match base.config() {
                ModelConfig::Encoder(_) => None,
                ModelConfig::Decoder(_) => Some(1),
            },
        },
    )?;
    Ok((plan.total() > available).then(|| MemoryWarning {
        needed: plan.total(),
        available,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal: 9000 kB\nMemAvailable:    8000 kB\nSwapFree: 1000 kB\n",
    );

    #[test]
    fn the_least_of_all_limits_counts() {
        let of = |files: &[(&str, &str)]| available(root(files).path());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[MEMINFO]), Some(9000 << 10));
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax address space         5120000              unlimited            bytes\n";
        let status = ("proc/self/status", "Name: beft\nVmSize:\t    1000 kB\n");
        let limited = [MEMINFO, ("proc/self/limits", limits), status];
        assert_eq!(of(&limited), Some(4000 << 10));
        let free = limits.replace("5120000", "unlimited");
        let unlimited = [MEMINFO, ("proc/self/limits", free.as_str()), status];
        assert_eq!(of(&unlimited), Some(9000 << 10));
        // The group above has less left, and pages of files do not count.
        let groups = [
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "500\n"),
            ("sys/fs/cgroup/a/memory.max", "3000\n"),
            ("sys/fs/cgroup/a/memory.current", "1500\n"),
            (
                "sys/fs/cgroup/a/memory.stat",
                "anon 900\ninactive_file 500\nactive_file 100\n",
            ),
        ];
        assert_eq!(of(&groups), Some(2100));
        let first = [
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/x\n0::/\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "2000"),
            ("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1200"),
        ];
        assert_eq!(of(&first), Some(800));
    }

    #[test]
    fn what_cannot_fit_is_refused_before_it_is_begun() {
        let dir = tempfile::tempdir().unwrap();
        let (model, data) = (dir.path().join("model"), dir.path().join("data"));
        beft_demo::write_model(&model).unwrap();
        beft_demo::write_data(&data).unwrap();
        let name = model.display().to_string();
        let base = Base::open(&name, Some(32), &Default::default()).unwrap();
        let task = crate::find_task(&name, "text", None).unwrap();
        let data = TaskData::load(&task, &data, &base, &Default::default()).unwrap();
        let fits = |mode: &Mode, available| {
            let options = crate::protocol(&task, mode, &base, 0);
            check_fit(&base, &data, mode, &options, available)
        };
        let weights = weights(&base);
        assert_eq!(fits(&Mode::Full, 4 * weights).unwrap(), None);
        let text = fits(&Mode::Full, 4 * weights - 1).unwrap_err().to_string();
        assert!(
            text.contains("out of memory") && text.contains("train biases or LoRA"),
            "{text}"
        );
        let biases = Mode::Biases(beft_core::TermSet::all());
        assert_eq!(fits(&biases, 1 << 40).unwrap(), None);
        assert!(fits(&biases, weights).unwrap().is_some());
    }

    #[test]
    fn an_encoder_is_planned_from_its_config() {
        let dir = tempfile::tempdir().unwrap();
        beft_demo::write_model(dir.path()).unwrap();
        let options = |length, batch_size| PlanOptions {
            mode: Mode::Biases("v".parse().unwrap()),
            precision: Precision::F32,
            forward: Default::default(),
            batch_size: Some(batch_size),
            length: Some(length),
            predicted: None,
        };
        let model = dir.path().display().to_string();
        let plan = |length, batch_size| plan_memory(&model, &options(length, batch_size)).unwrap();
        let base = Base::open(&model, Some(32), &Default::default()).unwrap();
        let small = plan(16, 4);
        // The file has tensors beside, which are not loaded.
        let stored = weights(&base);
        assert!(small.weights <= stored && small.weights > stored * 9 / 10);
        assert_eq!(plan(16, 8).activations, 2 * small.activations);
        assert!(plan(32, 4).activations > 2 * small.activations);
        let error = plan_memory(&model, &options(1 << 20, 4)).unwrap_err();
        assert!(error.to_string().contains("1048576"), "{error}");
    }

    #[test]
    fn a_decoder_that_may_not_fit_is_noted() {
        let name = beft_fixtures::model("llama-tiny").display().to_string();
        let base = Base::open(&name, Some(32), &Default::default()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        for split in ["train", "dev"] {
            let path = dir.path().join(format!("{split}.tsv"));
            fs::write(path, "sentence\tlabel\na film\t1\na plot\t0\n").unwrap();
        }
        let task = crate::find_task(&name, "sst2", None).unwrap();
        let data = TaskData::load(&task, dir.path(), &base, &Default::default()).unwrap();
        let mode = Mode::Biases("v".parse().unwrap());
        let options = crate::protocol(&task, &mode, &base, 0);
        let note = |settings: &TrainSettings, available| {
            check_fit(&base, &data, &mode, settings, available).unwrap()
        };
        assert_eq!(note(&options, 1 << 40), None);
        let text = note(&options, 1 << 20).unwrap().to_string();
        assert!(text.contains("0.0 GB are available"), "{text}");
        let anew = TrainSettings {
            checkpointing: true,
            ..options
        };
        assert_eq!(note(&anew, 1 << 20), None);
    }
}
