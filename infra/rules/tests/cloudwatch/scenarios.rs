//! What the alarms and policies have to achieve, and under which assumptions.

use crate::expression::{Gap, Math};
use crate::service::Service;
use crate::world::{Assumptions, Course, Scenario, run};

/// A scenario with its requirement.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) min_tasks: u32,
    scenario: fn() -> Scenario,
    /// How long SQS takes to report an idle queue again.
    wakes: &'static [u32],
    /// Returns what is wrong with a course.
    requires: fn(&Service, &Scenario, &Course, Assumptions) -> Option<String>,
}

pub(crate) const SCENARIOS: [Case; 9] = [
    Case {
        name: "a burst on an active queue",
        min_tasks: 2,
        scenario: || Scenario { minutes: 200, tasks: 2, arrivals: burst, ..Scenario::default() },
        wakes: &[0],
        requires: out_and_in_again,
    },
    Case {
        name: "a load that stays after it has grown",
        min_tasks: 1,
        scenario: || Scenario { minutes: 150, arrivals: grown, ..Scenario::default() },
        wakes: &[0],
        requires: keeps_up,
    },
    Case {
        name: "a steady load near the target",
        min_tasks: 6,
        scenario: || Scenario { minutes: 90, tasks: 6, arrivals: steady, ..Scenario::default() },
        wakes: &[0],
        requires: stays_as_it_is,
    },
    Case {
        name: "a quiet service with one task",
        min_tasks: 1,
        scenario: || Scenario { arrivals: few, ..Scenario::default() },
        wakes: &[0],
        requires: stays_as_it_is,
    },
    Case {
        name: "handlers that run for hours in every slot",
        min_tasks: 2,
        scenario: || Scenario { tasks: 2, arrivals: few, is_stuck: true, ..Scenario::default() },
        wakes: &[0],
        requires: is_quiet,
    },
    Case {
        name: "all tasks dead under load",
        min_tasks: 1,
        scenario: || Scenario {
            minutes: 80,
            tasks: 2,
            arrivals: few,
            dead_from: Some(40),
            ..Scenario::default()
        },
        wakes: &[0],
        requires: rings,
    },
    Case {
        name: "all tasks dead with MinTasks 0",
        min_tasks: 0,
        scenario: || Scenario { minutes: 80, arrivals: few, dead_from: Some(40), ..Scenario::default() },
        wakes: &[0],
        requires: rings,
    },
    Case {
        name: "a message for a service at zero",
        min_tasks: 0,
        scenario: || Scenario { minutes: 60, tasks: 0, arrivals: one, ..Scenario::default() },
        wakes: &[0],
        requires: wakes_up,
    },
    Case {
        name: "a message for a service at zero after a night",
        min_tasks: 0,
        scenario: || Scenario {
            minutes: 60,
            tasks: 0,
            arrivals: one,
            idle_before: 480,
            ..Scenario::default()
        },
        wakes: &[0, 15],
        requires: wakes_up,
    },
];

/// When what a scenario is about begins: after the longest evaluation range.
const BEGINS: u32 = 40;

/// One task of the default concurrency finishes this many one-second jobs in a minute.
const TASK_A_MINUTE: f64 = 32.0 * 60.0;

fn burst(minute: u32) -> f64 {
    if minute == BEGINS { 12.0 * TASK_A_MINUTE } else { 10.0 }
}

/// Five tasks' worth.
fn grown(minute: u32) -> f64 {
    if minute < BEGINS { 10.0 } else { 5.0 * TASK_A_MINUTE }
}

/// Six tasks are enough, with half a minute's work waiting.
fn steady(minute: u32) -> f64 {
    if minute == 0 { 9.0 * TASK_A_MINUTE } else { 6.0 * TASK_A_MINUTE }
}

fn few(_: u32) -> f64 {
    40.0
}

fn one(minute: u32) -> f64 {
    f64::from(minute == BEGINS)
}

/// The first minute from `BEGINS` at which a condition on the desired tasks holds, counted from `BEGINS`.
fn reached(course: &Course, condition: impl Fn(u32) -> bool) -> Option<u32> {
    let after = course.desired.iter().skip(BEGINS as usize);
    after.copied().position(condition).map(|minutes| minutes as u32)
}

/// Out within three minutes, enough for the backlog within ten, and in again when it is gone.
fn out_and_in_again(service: &Service, _: &Scenario, course: &Course, _: Assumptions) -> Option<String> {
    let out = reached(course, |desired| desired > service.min);
    if out.is_none_or(|minutes| minutes > 3) {
        return Some(format!("scaled out after {out:?} minutes"));
    }
    let is_gone = |waiting: &&f64| **waiting == 0.0;
    let gone =
        BEGINS as usize + course.waiting.iter().skip(BEGINS as usize).take_while(|it| !is_gone(it)).count();
    if gone > BEGINS as usize + 10 {
        return Some(format!("the backlog was gone after {gone} minutes"));
    }
    let most = course.desired.iter().max().unwrap();
    let back = course.desired.iter().skip(gone).position(|desired| *desired == service.min);
    // 15 points, their lag and gaps, the cooldown after the last scale-out; then one task each cooldown at worst.
    let allowed = 25 + 5 * (most - service.min) as usize;
    if back.is_none_or(|minutes| minutes > allowed) {
        return Some(format!("{most} tasks were back at {} after {back:?} minutes", service.min));
    }
    None
}

/// The tasks become as many as the load needs and stay that many, and no backlog remains.
fn keeps_up(_: &Service, _: &Scenario, course: &Course, _: Assumptions) -> Option<String> {
    let settled = BEGINS as usize + 15;
    let fewest = course.desired[settled..].iter().min().unwrap();
    let most = course.waiting[settled..].iter().copied().fold(0.0, f64::max);
    // Five tasks handle that many within the acceptable minute.
    (*fewest < 5 || most > 5.0 * TASK_A_MINUTE).then(|| format!("{most} messages waited, {fewest} tasks"))
}

fn stays_as_it_is(
    service: &Service,
    scenario: &Scenario,
    course: &Course,
    assumed: Assumptions,
) -> Option<String> {
    let changed = course.desired.iter().find(|desired| **desired != service.min);
    if let Some(desired) = changed {
        return Some(format!("scaled from {} to {desired} tasks", service.min));
    }
    is_quiet(service, scenario, course, assumed)
}

fn is_quiet(_: &Service, _: &Scenario, course: &Course, _: Assumptions) -> Option<String> {
    course.rang.first().map(|(alarm, minute)| format!("{alarm} rang at {minute}"))
}

/// An alarm to the topic, which begins once the messages are back and M of N with the longest lag has passed.
fn rings(_: &Service, scenario: &Scenario, course: &Course, _: Assumptions) -> Option<String> {
    let dead = scenario.dead_from.unwrap();
    let limit = dead + scenario.lease_minutes + 15;
    let in_time = course.rang.iter().any(|(_, minute)| (dead..=limit).contains(minute));
    let false_alarm = course.rang.iter().find(|(_, minute)| *minute < dead);
    match false_alarm {
        Some((alarm, minute)) => Some(format!("{alarm} rang at {minute}, before the tasks died")),
        None => (!in_time).then(|| format!("rang: {:?}", course.rang)),
    }
}

/// A task is started with the first points that SQS reports, and only one.
fn wakes_up(_: &Service, scenario: &Scenario, course: &Course, assumed: Assumptions) -> Option<String> {
    let woken = reached(course, |desired| desired > 0);
    // The first point, its lag, and a second point if the first one never arrives.
    let limit = scenario.wake_minutes + 1 + assumed.lags[0] + u32::from(assumed.every_missing > 0);
    if woken.is_none_or(|minutes| minutes > limit) {
        return Some(format!("woken after {woken:?} minutes"));
    }
    let most = course.desired.iter().max().unwrap();
    (*most > 1).then(|| format!("{most} tasks for one message"))
}

impl Case {
    /// Returns the first failure, with the assumptions under which it occurs.
    pub(crate) fn failure(&self, service: &Service) -> Option<String> {
        for wake_minutes in self.wakes {
            let scenario = Scenario { wake_minutes: *wake_minutes, ..(self.scenario)() };
            for assumed in assumptions() {
                let course = run(service, &scenario, assumed);
                if let Some(problem) = (self.requires)(service, &scenario, &course, assumed) {
                    return Some(format!(
                        "{}: {problem}\n{assumed:?}\ndesired: {:?}",
                        self.name, course.desired
                    ));
                }
            }
        }
        None
    }
}

/// The lags of visible messages, SQS's other metrics and Container Insights.
const LAGS: [[u32; 3]; 5] = [[0, 0, 0], [2, 2, 2], [0, 2, 2], [2, 0, 0], [1, 2, 0]];

/// What is open, combined: every third of all combinations, which has all pairs of values.
fn assumptions() -> impl Iterator<Item = Assumptions> {
    let timings = [0, 2, 7].into_iter().flat_map(|extra_range| {
        [0, 5].into_iter().flat_map(move |every_missing| LAGS.map(|lags| (extra_range, every_missing, lags)))
    });
    let flags = (0..32_usize).map(|mask| move |index: usize| mask >> index & 1 == 1);
    timings.enumerate().flat_map(move |(at, (extra_range, every_missing, lags))| {
        let flags = flags.clone().enumerate().filter(move |(mask, _)| (at + mask) % 3 == 0);
        flags.map(move |(_, flag)| Assumptions {
            math: Math {
                gap: if flag(0) { Gap::IsZero } else { Gap::DropsPoint },
                fills_empty_series: flag(1),
            },
            lags,
            every_missing,
            extra_range,
            is_sparse: flag(2),
            insights_are_silent: flag(3),
            start_minutes: if flag(4) { 4 } else { 1 },
            scales_in_by_one: flag(4),
        })
    })
}
