//! docs/cli.md, made from the definitions of the options.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use super::Cli;

const PAGE: &str = "../../docs/cli.md";

const INTRODUCTION: &str = "# Commands and options

<!-- Made from crates/beft-cli/src/args. Do not edit this page: edit the help texts there, then run
     `BLESS=1 cargo test --workspace --bin beft`. -->

`beft --help` and `beft COMMAND --help` print the same texts. Results go to standard output, progress and messages to standard
error. The exit code is 0 after success, 1 when some trainings of a comparison failed, 2 after another error, and 130 when the
command was interrupted. An option that is given twice has its last value, unless the
text says that it can be given more than once.
";

/// The whole page.
fn page() -> String {
    let mut command = Cli::command();
    command.build();
    let mut text = INTRODUCTION.to_owned();
    let commands: Vec<_> = command
        .get_subcommands()
        .filter(|c| !c.is_hide_set() && c.get_name() != "help")
        .collect();
    text += "\n| command | what it does |\n|---|---|\n";
    for command in &commands {
        let (name, about) = (command.get_name(), about(command));
        writeln!(text, "| [`{name}`](#beft-{name}) | {about} |").unwrap();
    }
    text += "\n## Options of all commands\n";
    let global = command.get_arguments().filter(|arg| arg.is_global_set());
    table(&mut text, &global.collect::<Vec<_>>());
    for command in commands {
        section(&mut text, command);
    }
    text
}

fn section(text: &mut String, command: &Command) {
    let name = command.get_name();
    writeln!(text, "\n## beft {name}\n\n{}", about(command)).unwrap();
    let args: Vec<_> = command
        .get_arguments()
        .filter(|arg| arg.get_id() != "help" && !arg.is_global_set())
        .collect();
    table(text, &args);
}

fn table(text: &mut String, args: &[&Arg]) {
    if args.is_empty() {
        return;
    }
    *text += "\n| option | default | what it says |\n|---|---|---|\n";
    for arg in args {
        let (help, default) = help_and_default(arg);
        writeln!(text, "| {} | {default} | {help} |", spelling(arg)).unwrap();
    }
}

fn about(command: &Command) -> String {
    let text = command.get_about().map(ToString::to_string);
    format!("{}.", cell(&text.unwrap_or_default()))
}

/// `--terms MODE`, with other names.
fn spelling(arg: &Arg) -> String {
    let mut names = vec![format!("--{}", arg.get_long().unwrap_or_default())];
    let others = arg.get_visible_aliases().unwrap_or_default();
    names.extend(others.into_iter().map(|name| format!("--{name}")));
    let value = match arg.get_action().takes_values() {
        true => arg.get_value_names().unwrap_or_default().join(" "),
        false => String::new(),
    };
    let spelled = |name: &String| format!("`{}`", format!("{name} {}", cell(&value)).trim_end());
    names.iter().map(spelled).collect::<Vec<_>>().join(", ")
}

/// What the option does, and its value if it is not given.
fn help_and_default(arg: &Arg) -> (String, String) {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let (help, described) = match help.split_once("[default: ") {
        Some((help, default)) => (
            help.to_owned(),
            Some(default.trim_end_matches(']').to_owned()),
        ),
        None => (help, None),
    };
    let mut help = format!("{}.", cell(help.trim()).trim_end_matches('.'));
    let possible: Vec<_> = match arg.get_action().takes_values() {
        true => arg.get_possible_values(),
        false => Vec::new(),
    };
    if !possible.is_empty() {
        let value = |value: &clap::builder::PossibleValue| match value.get_help() {
            Some(help) => format!("`{}` ({})", value.get_name(), cell(&help.to_string())),
            None => format!("`{}`", value.get_name()),
        };
        let values: Vec<_> = possible.iter().map(value).collect();
        write!(help, " Values: {}.", values.join(", ")).unwrap();
    }
    let values: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    let default = match described {
        Some(text) => cell(&text),
        None if arg.is_required_set() => "must be given".to_owned(),
        None if values.is_empty() || arg.is_hide_default_value_set() => String::new(),
        None if !arg.get_action().takes_values() => String::new(),
        None => values.join(", "),
    };
    (help, default)
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[test]
fn the_definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_page_of_options_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let wanted = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).position(|(a, b)| a != b);
    assert!(
        found == wanted,
        "docs/cli.md differs from the options (line {:?}): run `BLESS=1 cargo test --workspace --bin beft`",
        differs.map(|line| line + 1)
    );
}
