//! Finds time zones by their names.

use jiff::tz::{TimeZone, db};

use super::error::ScheduleError;

/// The maximum number of names that an error text suggests.
const MOST_SUGGESTED: usize = 3;

/// The maximum number of typing errors in a name.
const MOST_SLIPS: usize = 3;

/// Checks the name of a time zone.
pub(crate) fn check_time_zone(schedule: &str, name: &str) -> Result<(), ScheduleError> {
    time_zone(name).map(drop).map_err(|reason| ScheduleError::new(schedule, "time_zone", reason))
}

/// Returns the time zone with this IANA name, from the system's database or else from the one in this program.
///
/// # Errors
/// If there is no such zone. The text suggests similar names.
pub(crate) fn time_zone(name: &str) -> Result<TimeZone, String> {
    // The database has no zone with an empty name. A path to a zone file is refused because other machines may not have the
    // file.
    let known = TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some());
    known.ok_or_else(|| {
        let meant = meant(name);
        let hint = match meant.split_last() {
            None => "there is UTC, and names such as Europe/Zurich".to_owned(),
            Some((last, [])) => format!("did you mean {last}?"),
            Some((last, first)) => format!("did you mean {} or {last}?", first.join(", ")),
        };
        format!("{name:?} is not the name of a time zone in the IANA database: {hint}")
    })
}

/// Returns the names that a wrong name resembles: the zones of the city with this name, or else names a few typing errors away.
fn meant(name: &str) -> Vec<String> {
    let wanted = folded(name);
    let all: Vec<String> = db().available().map(|name| name.to_string()).collect();
    let city = |full: &str| folded(full.rsplit('/').next().unwrap_or(full));
    let mut near: Vec<String> = all.iter().filter(|full| city(full) == wanted).cloned().collect();
    if near.is_empty() {
        let distance = |full: &String| {
            let whole = strsim::damerau_levenshtein(&folded(full), &wanted);
            let of_city = strsim::damerau_levenshtein(&city(full), &wanted);
            whole.min(of_city)
        };
        let most = MOST_SLIPS.min(wanted.len() / 3);
        let nearest = all.iter().map(distance).min().filter(|nearest| *nearest <= most);
        near = all.iter().filter(|full| Some(distance(full)) == nearest).cloned().collect();
    }
    near.sort();
    near.truncate(MOST_SUGGESTED);
    near
}

fn folded(name: &str) -> String {
    name.to_lowercase().replace([' ', '-'], "_")
}
