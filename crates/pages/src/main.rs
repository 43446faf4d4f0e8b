//! Writes the manual pages and shell completions of `emotiond`, from the same description of its command line that the
//! program reads. A program of its own, so that the daemon carries none of it.
//!
//! `emotiond-pages FOLDER` makes FOLDER/man (one page for the program and one for each command) and
//! FOLDER/completions (bash, fish, zsh).

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use clap_complete::Shell;
use emotiond::command::cli::Cli;

/// What each page ends with.
const SEE_ALSO: &str = "\
.SH FILES
.TP
/etc/emotiond/emotiond.toml
the configuration; `emotiond config` prints it with every default
.TP
/etc/emotiond/NAME.toml
the configuration of the unit emotiond@NAME.service, one for each of several cameras
.TP
/var/lib/emotiond, /var/lib/emotiond@NAME
summaries that the broker has not acknowledged
.TP
/run/emotiond/camera
where emotiond\\-rpicam.socket hands over the pictures of a Raspberry Pi's own camera
.SH EXIT STATUS
0: stopped on request, or the recording is over. 65, 66: an input is damaged, or has ended. 69: `check` found something
that does not work. 70: an internal error. 78: configuration, model or device is wrong.
";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [folder] = arguments.as_slice() else { bail!("usage: emotiond-pages FOLDER") };
    let (pages, completions) = (Path::new(folder).join("man"), Path::new(folder).join("completions"));
    for folder in [&pages, &completions] {
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    }
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut Cli::command(), "emotiond", &completions)
            .with_context(|| format!("failed to write the completions for {shell}"))?;
    }
    // Gives each command its full name, and the options that all have.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    page(&pages, command.clone(), "emotiond", SEE_ALSO)?;
    for child in command.get_subcommands() {
        let name = format!("emotiond-{}", child.get_name());
        page(&pages, child.clone().display_name(&name), &name, ".SH SEE ALSO\nemotiond(1)\n")?;
    }
    Ok(())
}

/// Writes the page of one command, in section 1.
fn page(folder: &Path, command: clap::Command, name: &str, end: &str) -> anyhow::Result<()> {
    let path = folder.join(format!("{name}.1"));
    let mut roff = Vec::new();
    clap_mangen::Man::new(command).render(&mut roff).context("failed to write a page")?;
    roff.extend(end.as_bytes());
    fs::write(&path, roff).with_context(|| format!("failed to write {}", path.display()))
}
