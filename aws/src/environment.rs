//! The process's environment variables, from which AWS's settings are read.

use std::collections::HashMap;

use aws_types::os_shim_internal::Env;

/// A snapshot of environment variables. Empty variables count as unset: templates and shells set variables that way when they
/// have no value, and the SDK would read an empty `AWS_ENDPOINT_URL` as a URL. Surrounding whitespace is removed from values,
/// such as the line break at the end of a secret's file.
#[derive(Clone)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// Returns the process's environment. Variables that are not UTF-8 are left out.
    #[allow(
        clippy::disallowed_methods,
        reason = "the SDK reads further variables, of which only the prefix is known"
    )]
    pub fn of_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        std::env::vars_os().filter_map(utf8).collect()
    }

    /// Returns the value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the first of these variables that is set, with its name.
    pub fn first<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &str)> {
        names.into_iter().find_map(|name| Some((name, self.get(name)?)))
    }

    /// Returns true if variables set credentials or a profile that has credentials.
    pub fn has_credentials(&self) -> bool {
        self.first(["AWS_ACCESS_KEY_ID", "AWS_PROFILE"]).is_some()
    }

    pub(crate) fn for_sdk(&self) -> Env {
        Env::from(self.0.clone())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let trimmed = variables.into_iter().map(|(name, value)| (name, value.trim().to_owned()));
        Self(trimmed.filter(|(_, value)| !value.is_empty()).collect())
    }
}

/// Creates an environment of only these variables, for tests.
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_none() {
        let environment = Environment::from([("AWS_ENDPOINT_URL", ""), ("AWS_REGION", " "), ("HOME", "/")]);
        assert_eq!(environment.get("AWS_ENDPOINT_URL"), None);
        assert!(environment.for_sdk().get("AWS_REGION").is_err(), "nor for the SDK");
        assert_eq!(environment.first(["AWS_REGION", "HOME"]), Some(("HOME", "/")));
    }

    #[test]
    fn values_are_trimmed() {
        let environment = Environment::from([("AWS_REGION", " eu-west-1\n")]);
        assert_eq!(environment.get("AWS_REGION"), Some("eu-west-1"));
        assert_eq!(environment.for_sdk().get("AWS_REGION").as_deref(), Ok("eu-west-1"), "for the SDK too");
    }
}
