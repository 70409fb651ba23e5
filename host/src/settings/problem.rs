//! Problems with the settings: collected, and reported all at once.

use std::fmt;

use tokio::runtime::Handle;

use crate::service::Service;

/// A problem with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, and the source of its value.
    pub place: String,
    /// The reason and the valid form.
    pub text: String,
}

impl Problem {
    pub(super) fn new(place: String, text: String) -> Self {
        Self { place, text }
    }
}

/// All problems with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The problems, in the order in which they were found.
    pub list: Vec<Problem>,
    /// True if forward mode is selected, so that no handlers are needed.
    pub(super) forwards: bool,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        write!(f, "{count} problem{} with the settings:", if count == 1 { "" } else { "s" })?;
        self.list.iter().try_for_each(|problem| write!(f, "\n  {}: {}", problem.place, problem.text))
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// Makes the problems of a program whose handlers' settings are not checked.
    pub fn of(list: Vec<Problem>) -> Self {
        Self { list, forwards: true }
    }

    /// Returns all problems as text, together with those of the handlers and of their own settings, which the factory of
    /// `service` reads before its first wait. Forward mode has no handlers.
    pub async fn with_those_of(&self, service: Service, handlers: &Handle) -> String {
        if self.forwards {
            return self.to_string();
        }
        match service.problem(handlers).await {
            None => self.to_string(),
            Some(more) => format!("{self}\nand with the handlers':\n  {more}"),
        }
    }
}
