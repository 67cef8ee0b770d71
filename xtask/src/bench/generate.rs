//! Greedy texts beside transformers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::peers::{measure, number};
use super::ratios::Ratios;
use super::{Shape, build, keep_fastest, peer, shape};
use crate::python;

#[derive(Clone, Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Model of random weights.
    #[arg(long, value_enum, default_value = "opt-125m")]
    shape: DecoderShape,
    /// Numbers of prompts, of 8 to 32 tokens each.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,16")]
    prompts: Vec<usize>,
    /// New tokens of each prompt.
    #[arg(long, value_name = "N", default_value_t = 64)]
    tokens: usize,
    /// How often each side is measured, in turns; the fastest counts.
    #[arg(long, value_name = "N", default_value_t = 2)]
    rounds: usize,
    /// Fail when a ratio is worse than the stored one by more than the margin (never stores).
    #[arg(long)]
    check: bool,
}

/// A shape of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DecoderShape {
    /// 12 layers of width 768, a vocabulary of 50,272.
    #[value(name = "opt-125m")]
    Opt125m,
    /// 24 layers of width 896, a vocabulary of 151,936.
    #[value(name = "qwen2-0.5b")]
    Qwen2Half,
}

impl DecoderShape {
    fn shape(self) -> Shape {
        match self {
            Self::Opt125m => Shape::Opt125m,
            Self::Qwen2Half => Shape::Qwen2Half,
        }
    }
}

pub(super) fn run(root: &Path, args: &GenerateArgs) -> Result<()> {
    python::setup(root)?;
    let sides = Sides {
        root,
        args,
        model: shape(root, args.shape.shape())?,
        program: build(root, "flex")?,
    };
    let mut values = Vec::new();
    for count in &args.prompts {
        let [ours, theirs] = sides.measure(*count)?;
        let ratio = number(&theirs, "seconds") / number(&ours, "seconds");
        let share = number(&ours, "share");
        println!(
            "{count} prompts: beft {:.2} s ({:.0} % of the memory's speed; weights packed in {:.2} s), transformers {:.2} s",
            number(&ours, "seconds"),
            share * 100.0,
            number(&ours, "pack_seconds"),
            number(&theirs, "seconds"),
        );
        values.push((format!("transformers_time_{count}"), ratio));
        values.push((format!("share_of_memory_speed_{count}"), share));
    }
    Ratios {
        key: format!("{} generate {}", args.shape.shape().name(), args.tokens),
        path: root.join("benchmarks/ratios.json"),
        values,
    }
    .finish(args.check)
}

struct Sides<'a> {
    root: &'a Path,
    args: &'a GenerateArgs,
    model: PathBuf,
    program: PathBuf,
}

impl Sides<'_> {
    /// The fastest round of beft and of transformers, which must write the same tokens.
    fn measure(&self, count: usize) -> Result<[Value; 2]> {
        let path = self.root.join("target/bench-prompts.json");
        std::fs::write(&path, serde_json::to_vec(&prompts(count))?)?;
        let tokens = self.args.tokens.to_string();
        let own = |mut command: Command| {
            command
                .current_dir(self.root)
                .arg("--model")
                .arg(&self.model)
                .arg("--prompts")
                .arg(&path)
                .args(["--tokens", &tokens, "--rounds", "1"]);
            measure(command)
        };
        let mut fastest: [Option<Value>; 2] = [None, None];
        for _ in 0..self.args.rounds {
            let mut ours = Command::new(&self.program);
            ours.arg("generate");
            let found = [own(ours)?, own(peer(self.root, "peer_generate.py"))?];
            if found[0]["tokens"] != found[1]["tokens"] {
                bail!("the texts of {count} prompts are not those of transformers");
            }
            for (fastest, found) in fastest.iter_mut().zip(found) {
                keep_fastest(fastest, found);
            }
        }
        match fastest {
            [Some(ours), Some(theirs)] => Ok([ours, theirs]),
            _ => bail!("--rounds must be at least 1"),
        }
    }
}

/// So many prompts of different lengths.
fn prompts(count: usize) -> Vec<Vec<usize>> {
    let of = |prompt: usize| {
        let length = 8 + prompt * 7 % 25;
        let token = |place: usize| 1000 + (prompt * 7919 + place * 104_729) % 20_000;
        (0..length).map(token).collect()
    };
    (0..count).map(of).collect()
}
