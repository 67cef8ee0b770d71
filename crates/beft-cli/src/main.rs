//! The `beft` command.

mod answer_columns;
mod args;
mod commands;
mod hints;
mod interrupt;
mod memory;
mod mistakes;
mod output;
mod panics;
mod peers;
mod progress;
mod rows;
mod speech;

use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};

use args::{Cli, Command};
use beft_train::Team;

fn main() -> ExitCode {
    let command = match Cli::read() {
        Ok(cli) => {
            speech::begin(cli.speech, &cli.command);
            cli.command
        }
        // Help and version are such an "error" too: they go to standard output, with exit code 0.
        Err(error) => {
            return match error.print() {
                Err(e) if !error.use_stderr() && e.kind() != ErrorKind::BrokenPipe => {
                    fail(&anyhow!("cannot write to standard output: {e}"))
                }
                _ => ExitCode::from(error.exit_code() as u8),
            };
        }
    };
    memory::set_remedy(match &command {
        Command::ComparePass(_) => memory::Remedy::Pass,
        Command::Rank(_) | Command::Tune(_) | Command::Run(_) | Command::Demo(_) => {
            memory::Remedy::Training
        }
        _ => memory::Remedy::Other,
    });
    panics::hear();
    let membership = match peers::Membership::join(&command) {
        Ok(membership) => membership,
        Err(error) => return fail(&error),
    };
    let team = membership.team();
    // Servers finish what is in flight by themselves, and processes of one job cannot stop one by one.
    let serves = matches!(command, Command::Serve(_) | Command::DeviceServer(_));
    let listened = match serves || team.processes() > 1 {
        true => Ok(()),
        false => interrupt::listen(),
    };
    let started = listened.and_then(|()| start_threads());
    let result = started.and_then(|()| run(command, &team));
    match result.and_then(|()| output::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if interrupt::wish().is_asked() => stopped(&error),
        Err(error) => membership.fail(|| fail(&error)),
    }
}

/// Starts the threads that all computation shares. Left to themselves they start when they are first
/// needed, and panic if the system refuses them.
fn start_threads() -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .build_global()
        .context("the system refuses threads: let the process have more memory and threads, or set RAYON_NUM_THREADS=1")
}

fn run(command: Command, team: &Team) -> Result<()> {
    match command {
        Command::Rank(args) => commands::rank::rank(&args),
        Command::Tune(args) => commands::tune::tune(&args, team),
        Command::Eval(args) => commands::eval::eval(&args),
        Command::Predict(args) => commands::predict::predict(&args),
        Command::Embed(args) => commands::embed::embed(&args),
        Command::Serve(args) => commands::serve::serve(&args),
        Command::Merge(args) => commands::merge::merge(&args),
        Command::Inspect(args) => commands::inspect::inspect(&args),
        Command::Tasks(args) => commands::tasks::tasks(&args),
        Command::Generate(args) => commands::generate::generate(&args),
        Command::Plan(args) => commands::plan::plan(&args),
        Command::Sample(args) => commands::sample::sample(&args),
        Command::Compare(args) => commands::compare::compare(&args),
        Command::Sweep(args) => commands::sweep::sweep(&args),
        Command::ComparePass(args) => commands::trials::pass(&args),
        Command::Run(args) => commands::run::run(&args),
        Command::Demo(args) => commands::demo::demo(&args),
        Command::DeviceServer(args) => commands::device_server::device_server(&args),
        Command::Devices(args) => {
            commands::devices::devices(args);
            Ok(())
        }
        Command::Completions { shell } => {
            commands::shell::completions(shell);
            Ok(())
        }
        Command::Man { out } => commands::shell::man(&out),
    }
}

/// Ends a command that was interrupted, and whose work can be continued.
fn stopped(error: &anyhow::Error) -> ExitCode {
    let hint = hints::hint(error);
    let remedy = hint.unwrap_or_else(|| "run the same command again to continue".to_owned());
    output::tell!("{}: {remedy}", message(error));
    ExitCode::from(interrupt::CODE)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    let hint = hints::hint(error).map(|hint| format!(": {hint}"));
    let error_word = output::painted("error:", "1;31");
    output::complain!(
        "{error_word} {}{}",
        message(error),
        hint.unwrap_or_default()
    );
    // A refusal stays one; what failed under way may succeed the next time.
    match error.downcast_ref::<commands::trials::TrainingsFailed>() {
        Some(_) => ExitCode::from(1),
        None => ExitCode::from(2),
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
