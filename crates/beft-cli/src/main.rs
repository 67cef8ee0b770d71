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
        Command::Run(args) => commands::run::run(&args),
        Command::Demo(args) => commands::demo::demo(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
