//! The timetable of the settings, and the outbox that contains its states.

use drumline_consumer::ExitError;
use drumline_runtime::{Environment, Setting, Settings};
use drumline_timetable::{OperateError, Timetable};

use crate::opened_outbox::OpenedOutbox;
use crate::settings_args::{Choice, SettingsArgs, ShownIn};

/// Help about the choice of the schedules. Paragraphs are single lines, because the width of the terminal is not known.
pub(super) const WHICH_SCHEDULES: &str = "\
Schedules are [[schedule]] tables of the settings file (--config, DRUMLINE_CONFIG). Their keys are name, type, payload, queue, group, \
catch_up, and either cron with time_zone or every. The outbox keeps their states: DRUMLINE_OUTBOX_URL names it, postgres://… or redis://…. \
Without it, the outbox is in the store of DRUMLINE_STORE_URL, if that URL is of one of these kinds.";

/// The settings that name a timetable and its outbox.
#[derive(Debug)]
pub(super) enum TimetableSettings {}

impl Choice for TimetableSettings {
    fn includes(key: &str) -> bool {
        matches!(key, "outbox_url" | "store_url" | "timetable")
    }

    fn shown(setting: &Setting) -> ShownIn {
        if setting.key == "store_url" { ShownIn::LongHelp } else { ShownIn::BothHelps }
    }
}

/// Returns the timetable that the settings declare.
pub(super) fn timetable(settings: &Settings) -> Result<Timetable, ExitError> {
    Timetable::from_settings(settings).map_err(|problems| ExitError::usage(problems.to_string()))
}

/// The timetable of the settings, and its outbox.
pub(super) struct Declared {
    pub(super) timetable: Timetable,
    pub(super) opened: OpenedOutbox,
}

impl Declared {
    /// Opens the outbox of the settings.
    pub(super) async fn of(
        args: &SettingsArgs<TimetableSettings>,
        environment: &Environment,
    ) -> Result<Self, ExitError> {
        let settings = args.read_for_tool(environment)?;
        let timetable = timetable(&settings)?;
        Ok(Self { timetable, opened: OpenedOutbox::of(&settings).await? })
    }

    /// Returns the error of a command whose operation failed.
    pub(super) fn error(&self, error: &OperateError) -> ExitError {
        match error {
            OperateError::Outbox(error) => self.opened.error(error),
            OperateError::Unknown { .. } | OperateError::Elsewhere(_) => ExitError::usage(error.to_string()),
            other => ExitError::other(other.to_string()),
        }
    }
}
