//! The schedules among the settings in force.

use super::effective::Effective;
use super::origin::Origin;
use super::reader::Reader;
use super::schedules::ScheduleSettings;

impl Reader<'_> {
    /// Returns the schedules, and shows them among the settings in force.
    pub(super) fn schedules(&mut self) -> Vec<ScheduleSettings> {
        let schedules = self.sources.schedules.clone();
        let shown = schedules.iter().map(|schedule| Effective {
            queue: None,
            key: format!("schedule.{}", schedule.name),
            value: Some(format!("{}: {}", schedule.times, schedule.job_type)),
            origin: Origin::File,
        });
        self.effective.extend(shown);
        schedules
    }
}
