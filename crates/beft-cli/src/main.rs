//! The `beft` command.

mod args;
mod commands;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    // Wrong usage exits with 2 from within the parser.
    let result = match Cli::parse().command {
        Command::Rank(args) => commands::rank::rank(&args),
        Command::Tune(args) => commands::tune::tune(&args),
        Command::Eval(args) => commands::eval::eval(&args),
        Command::Predict(args) => commands::predict::predict(&args),
        Command::Generate(args) => commands::generate::generate(&args),
        Command::Plan(args) => commands::plan::plan(&args),
        Command::Sample(args) => commands::sample::sample(&args),
        Command::Compare(args) => commands::compare::compare(&args),
        Command::Sweep(args) => commands::sweep::sweep(&args),
        Command::ComparePass(args) => commands::cells::pass(&args),
        Command::Run(args) => commands::run::run(&args),
        Command::Demo(args) => commands::demo::demo(&args),
        Command::Devices => {
            commands::devices::devices();
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::tell!("error: {}", message(&error));
            ExitCode::from(2)
        }
    }
}

/// The error and its causes, leaving out a cause that the text before it already gives.
fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
