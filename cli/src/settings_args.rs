//! The settings as flags of a command: one flag for each row of the table of settings, and `--config`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};
use drumline_consumer::ExitError;
use drumline_runtime::{Environment, Problems, SETTINGS, Setting, Settings};

/// Selects the settings for which a command has flags.
pub(crate) trait Choice {
    /// Returns true if the command has a flag for the setting with this key.
    fn includes(key: &str) -> bool;

    /// Returns the help texts that show the flag.
    fn shown(_setting: &Setting) -> ShownIn {
        ShownIn::BothHelps
    }
}

/// The help texts that show a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownIn {
    /// `-h` and `--help`.
    BothHelps,
    /// `--help` only.
    LongHelp,
    /// None: the command accepts the flag and ignores it.
    NoHelp,
}

/// The settings that `-h` shows for commands that accept all settings.
const ESSENTIAL: [&str; 10] = [
    "queue_url",
    "concurrency",
    "handler_timeout",
    "retry",
    "max_attempts",
    "shutdown_grace",
    "forward_to",
    "store_url",
    "http_addr",
    "log",
];

/// The prefix of the help text of a setting for functions.
const OF_FUNCTIONS: &str = "Lambda: ";

/// Selects all settings.
#[derive(Debug)]
pub(crate) enum Every {}

impl Choice for Every {
    fn includes(_key: &str) -> bool {
        true
    }

    fn shown(setting: &Setting) -> ShownIn {
        if ESSENTIAL.contains(&setting.key) { ShownIn::BothHelps } else { ShownIn::LongHelp }
    }
}

/// Selects the settings of `run`. Settings of functions are accepted, too, because one file or task definition may serve both.
#[derive(Debug)]
pub(crate) enum OfConsumer {}

impl Choice for OfConsumer {
    fn includes(_key: &str) -> bool {
        true
    }

    fn shown(setting: &Setting) -> ShownIn {
        if setting.help.starts_with(OF_FUNCTIONS) { ShownIn::NoHelp } else { Every::shown(setting) }
    }
}

/// The flags on a command line.
pub(crate) struct SettingsArgs<C> {
    /// The values by the setting's key.
    flags: BTreeMap<String, String>,
    file: Option<PathBuf>,
    choice: PhantomData<fn() -> C>,
}

/// Prints only keys, because values may be secret.
impl<C> fmt::Debug for SettingsArgs<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.flags.keys()).finish()
    }
}

impl<C> SettingsArgs<C> {
    /// Reads the settings of a consumer from these flags, the environment and the file.
    pub(crate) fn read(&self, environment: &Environment) -> Result<Settings, Problems> {
        environment.settings(&self.flags, self.file.as_deref())
    }

    /// Returns a function that reads the settings of a consumer like [`read`](Self::read) each time it is called.
    pub(crate) fn reader(
        &self,
        environment: &Environment,
    ) -> impl Fn() -> Result<Settings, Problems> + Send + Sync + 'static + use<C> {
        let (environment, flags, file) = (environment.clone(), self.flags.clone(), self.file.clone());
        move || environment.settings(&flags, file.as_deref())
    }

    /// Reads the settings of a command that may need no queue.
    pub(crate) fn read_for_tool(&self, environment: &Environment) -> Result<Settings, ExitError> {
        environment
            .settings_of_tool(&self.flags, self.file.as_deref())
            .map_err(|problems| ExitError::usage(problems.to_string()))
    }
}

impl<C: Choice> Args for SettingsArgs<C> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Settings as TOML [env: DRUMLINE_CONFIG]");
        command.arg(config).args(SETTINGS.iter().filter(|setting| C::includes(setting.key)).map(flag::<C>))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Choice> FromArgMatches for SettingsArgs<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let chosen = SETTINGS.iter().filter(|setting| C::includes(setting.key));
        let given = |setting: &Setting| {
            Some((setting.key.to_owned(), matches.get_one::<String>(setting.key)?.clone()))
        };
        Ok(Self {
            flags: chosen.filter_map(given).collect(),
            file: matches.get_one("config").cloned(),
            choice: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flag<C: Choice>(setting: &Setting) -> Arg {
    let default = setting.default.map(|text| format!(" [default: {text}]")).unwrap_or_default();
    let arg = Arg::new(setting.key).long(setting.flag()).value_name(setting.value);
    let arg = arg.help(format!("{}{default}", summary(setting.help))).long_help(format!(
        "{} [env: {}]{default}",
        setting.help,
        setting.variable()
    ));
    let arg = match C::shown(setting) {
        ShownIn::BothHelps => arg,
        ShownIn::LongHelp => arg.hide_short_help(true),
        ShownIn::NoHelp => arg.hide(true),
    };
    if setting.is_switch() {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        arg
    }
}

/// Returns the first clause of a setting's help, with its host, such as "Lambda: ".
fn summary(help: &str) -> &str {
    let host = help.find(": ").filter(|end| help[..*end].split(' ').count() <= 2);
    let from = host.map_or(0, |end| end + 2);
    let end = [". ", ": ", "; "].iter().filter_map(|mark| help[from..].find(mark)).min();
    end.map_or(help, |end| &help[..from + end])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    enum QueueOnly {}

    impl Choice for QueueOnly {
        fn includes(key: &str) -> bool {
            key == "queue_url"
        }
    }

    fn parse<C: Choice>(args: &[&str]) -> Result<SettingsArgs<C>, clap::Error> {
        let command = SettingsArgs::<C>::augment_args(Command::new("run").no_binary_name(true));
        SettingsArgs::from_arg_matches(&command.try_get_matches_from(args)?)
    }

    #[test]
    fn every_setting_has_a_flag() {
        for setting in SETTINGS {
            let args = parse::<Every>(&[&format!("--{}=x", setting.flag())]).unwrap();
            assert_eq!(args.flags, BTreeMap::from([(setting.key.to_owned(), "x".to_owned())]));
        }
        let args = parse::<Every>(&["--allow-unbounded", "--config", "a.toml"]).unwrap();
        assert_eq!(args.flags["allow_unbounded"], "true", "a switch needs no value");
        assert_eq!(args.file, Some("a.toml".into()));
    }

    #[test]
    fn a_command_has_the_flags_of_its_choice_only() {
        assert_eq!(parse::<QueueOnly>(&["--queue-url", "x"]).unwrap().flags["queue_url"], "x");
        assert!(parse::<QueueOnly>(&["--store-url", "memory:"]).is_err());
    }

    #[test]
    fn values_are_not_shown() {
        let args = parse::<Every>(&["--http-token", "s3cret"]).unwrap();
        assert_eq!(format!("{args:?}"), r#"{"http_token"}"#);
    }
}
