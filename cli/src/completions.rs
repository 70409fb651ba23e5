//! `drumline completions`: prints the completion script of a shell.

use std::io::Write;
use std::process::ExitCode;

use clap::Command;
use clap_complete::{Shell, generate};
use drumline_consumer::ExitError;

use crate::output::print;

/// Prints the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} completions bash > /etc/bash_completion.d/{program}
  {program} completions zsh > ~/.zfunc/_{program}
  {program} completions fish > ~/.config/fish/completions/{program}.fish

Exit status: 0 printed, 64 bad usage.")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completions of this command line.
pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<ExitCode, ExitError> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(args.shell, &mut command, name, &mut script);
    print(|out| out.write_all(&script))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_gets_the_commands_under_the_programs_name() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            let mut command = Command::new("orders").subcommand(Command::new("reprocess"));
            generate(*shell, &mut command, "orders", &mut script);
            let script = String::from_utf8_lossy(&script);
            assert!(script.contains("orders") && script.contains("reprocess"), "{shell}: {script}");
        }
    }
}
