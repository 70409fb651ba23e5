//! The flags that describe a Lambda function, shared by `invoke` and `dev`.

use std::path::Path;
use std::time::Duration;

use drumline_lambda_local::{Function, MAX_TIMEOUT};

/// The configuration of a function. The bootstrap is the argument with the id `function`.
#[derive(Debug, clap::Args)]
pub(crate) struct FunctionArgs {
    /// The memory size that the function sees, in megabytes
    ///
    /// The command does not enforce this limit.
    #[arg(long, value_name = "MB", default_value_t = 256, requires = "function", value_parser = clap::value_parser!(u32).range(128..=10240))]
    memory: u32,
    /// A variable of the function's environment; may be given several times
    #[arg(long, value_name = "NAME=VALUE", requires = "function", value_parser = variable)]
    env: Vec<(String, String)>,
}

impl FunctionArgs {
    /// Returns the function of this program, without the variables of `--env`.
    pub(crate) fn function(&self, bootstrap: &Path) -> Function {
        // Without a folder, the system would search for the name in PATH.
        let is_bare = bootstrap.parent().is_some_and(|folder| folder == Path::new(""));
        let bootstrap = if is_bare { Path::new(".").join(bootstrap) } else { bootstrap.to_owned() };
        let function = Function::new(&bootstrap).memory_mb(self.memory);
        match bootstrap.file_stem().and_then(|name| name.to_str()) {
            Some(name) => function.name(name),
            None => function,
        }
    }

    /// Returns true if `--env` sets this variable.
    pub(crate) fn sets(&self, name: &str) -> bool {
        self.env.iter().any(|(set, _)| set == name)
    }

    /// Adds the variables of `--env`, which replace all others.
    pub(crate) fn with_variables(&self, function: Function) -> Function {
        self.env.iter().fold(function, |function, (name, value)| function.env(name, value))
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

/// Reads a function's timeout.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    let timeout =
        humantime::parse_duration(text).map_err(|error| format!("{error}; for example 30s or 5m"))?;
    if timeout < Duration::from_secs(1) || timeout > MAX_TIMEOUT {
        return Err("must be from 1s to 15m".to_owned());
    }
    Ok(timeout)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn timeouts_are_those_that_lambda_takes() {
        assert_eq!(timeout("15m").unwrap(), MAX_TIMEOUT);
        assert_eq!(timeout("3s").unwrap(), Duration::from_secs(3));
        for wrong in ["500ms", "16m", "3", "soon"] {
            assert!(timeout(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_variable_may_have_an_empty_value_or_an_equals_sign() {
        assert_eq!(variable("A=").unwrap(), ("A".to_owned(), String::new()));
        assert_eq!(variable("A=b=c").unwrap(), ("A".to_owned(), "b=c".to_owned()));
        assert!(variable("A").is_err() && variable("=b").is_err());
    }
}
