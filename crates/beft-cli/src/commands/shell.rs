//! What a package of this program installs beside it.

use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::output::{prepare_folder, say, write_file, write_now};

/// Prints the completions of a shell.
pub(crate) fn completions(shell: Shell) {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "beft", &mut text);
    write_now(&text);
}

/// Writes a manual page for the program and one for each command.
pub(crate) fn man(out: &Path) -> Result<()> {
    let _made = prepare_folder(out, &[])?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let own = std::iter::once(&command);
    let commands = command.get_subcommands().filter(|c| !c.is_hide_set());
    for command in own.chain(commands) {
        let name = command.get_display_name().unwrap_or("beft").to_owned();
        let mut text = Vec::new();
        let page = clap_mangen::Man::new(command.clone());
        page.render(&mut text).context("cannot make the page")?;
        write_file(&out.join(format!("{name}.1")), &text)?;
    }
    say!("Saved: {}", out.display());
    Ok(())
}
