//! Scenarios, and the requirements on the alarms and policies.

use crate::assumptions::{Assumptions, assumptions};
use crate::service::Service;
use crate::world::{Course, Scenario, run};

/// A scenario with its requirement.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) min_tasks: u32,
    scenario: fn() -> Scenario,
    /// The times that SQS takes to report an idle queue again.
    wakes: &'static [u32],
    /// Returns the problem of a course.
    requires: fn(&Service, &Scenario, &Course, Assumptions) -> Option<String>,
}

pub(crate) const SCENARIOS: [Case; 14] = [
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
            dead_from: Some(BEGINS),
            ..Scenario::default()
        },
        wakes: &[0],
        requires: rings,
    },
    Case {
        name: "all tasks dead with MinTasks 0",
        min_tasks: 0,
        scenario: || Scenario { minutes: 80, arrivals: few, dead_from: Some(BEGINS), ..Scenario::default() },
        wakes: &[0],
        requires: rings,
    },
    Case {
        name: "all tasks dead with full slots",
        min_tasks: 2,
        scenario: || Scenario {
            minutes: 80,
            tasks: 2,
            arrivals: few,
            is_stuck: true,
            dead_from: Some(BEGINS),
            ..Scenario::default()
        },
        wakes: &[0],
        requires: rings,
    },
    Case {
        name: "a service at zero that has finished its messages",
        min_tasks: 0,
        scenario: || Scenario { minutes: 100, tasks: 0, arrivals: one, ..Scenario::default() },
        wakes: &[0],
        requires: is_at_zero_again,
    },
    Case {
        name: "all tasks dead with an empty queue",
        min_tasks: 1,
        scenario: || Scenario { minutes: 90, dead_from: Some(40), lease_minutes: 0, ..Scenario::default() },
        wakes: &[0],
        requires: rings_to_the_end,
    },
    Case {
        name: "a service that was just created",
        min_tasks: 1,
        scenario: || Scenario { minutes: 80, arrivals: few_later, created: 40, ..Scenario::default() },
        wakes: &[0],
        requires: is_quiet,
    },
    Case {
        name: "a service that goes to zero",
        min_tasks: 0,
        scenario: || Scenario { minutes: 110, arrivals: few_at_first, ..Scenario::default() },
        wakes: &[0],
        requires: rests_at_zero,
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
            minutes: 80,
            tasks: 0,
            arrivals: one,
            idle_before: 480,
            ..Scenario::default()
        },
        wakes: &[0, 15],
        requires: wakes_up,
    },
];

/// The beginning of a scenario's event: after the longest evaluation range.
const BEGINS: u32 = 40;

/// One task of the default concurrency finishes this many one-second jobs in a minute.
const TASK_A_MINUTE: f64 = 32.0 * 60.0;

fn burst(minute: u32) -> f64 {
    if minute == BEGINS { 12.0 * TASK_A_MINUTE } else { 10.0 }
}

/// The work of five tasks.
fn grown(minute: u32) -> f64 {
    if minute < BEGINS { 10.0 } else { 5.0 * TASK_A_MINUTE }
}

/// A load for which six tasks are enough, with half a minute's work waiting.
fn steady(minute: u32) -> f64 {
    if minute == 0 { 9.0 * TASK_A_MINUTE } else { 6.0 * TASK_A_MINUTE }
}

fn few(_: u32) -> f64 {
    40.0
}

fn few_at_first(minute: u32) -> f64 {
    if minute < BEGINS { 40.0 } else { 0.0 }
}

fn few_later(minute: u32) -> f64 {
    40.0 - few_at_first(minute)
}

fn one(minute: u32) -> f64 {
    f64::from(minute == BEGINS)
}

/// Returns the first minute from `BEGINS` at which a condition on the desired tasks holds, counted from `BEGINS`.
fn reached(course: &Course, condition: impl Fn(u32) -> bool) -> Option<u32> {
    let after = course.desired.iter().skip(BEGINS as usize);
    after.copied().position(condition).map(|minutes| minutes as u32)
}

/// Requires a scale-out with the first point of the burst that arrives, enough tasks for the backlog within ten minutes, and a
/// scale-in when the backlog is gone.
fn out_and_in_again(
    service: &Service,
    scenario: &Scenario,
    course: &Course,
    assumed: Assumptions,
) -> Option<String> {
    let seen = assumed.until_seen();
    let out = reached(course, |desired| desired > service.min);
    if out.is_none_or(|minutes| minutes > seen) {
        return Some(format!("scaled out after {out:?} minutes, not {seen}"));
    }
    let is_gone = |waiting: &&f64| **waiting == 0.0;
    let waited = course.waiting.iter().skip(BEGINS as usize).take_while(|it| !is_gone(it)).count();
    if waited > 10 {
        return Some(format!("the backlog was gone after {waited} minutes"));
    }
    is_in_again(service, scenario, course, assumed, BEGINS as usize + waited)
}

/// Requires the minimum number of tasks again soon after the last message.
fn is_in_again(
    service: &Service,
    _: &Scenario,
    course: &Course,
    assumed: Assumptions,
    gone: usize,
) -> Option<String> {
    let most = course.desired.iter().max().unwrap();
    let back = course.desired.iter().skip(gone).position(|desired| *desired == service.min);
    // 15 points, their lag and gaps; one task each cooldown if they are removed one by one.
    let steps = if assumed.scales_in_by_one { (most - service.min) as usize } else { 1 };
    let allowed = 20 + 5 * steps;
    back.is_none_or(|minutes| minutes > allowed)
        .then(|| format!("{most} tasks were back at {} after {back:?} minutes, not {allowed}", service.min))
}

fn is_at_zero_again(
    service: &Service,
    scenario: &Scenario,
    course: &Course,
    assumed: Assumptions,
) -> Option<String> {
    let Some(woken) = reached(course, |desired| desired > 0) else { return Some("not woken".to_owned()) };
    let started = (BEGINS + woken + assumed.start_minutes) as usize;
    is_in_again(service, scenario, course, assumed, started)
}

/// Requires as many tasks as the load needs, a stable number, and no backlog in the end.
fn keeps_up(_: &Service, _: &Scenario, course: &Course, _: Assumptions) -> Option<String> {
    let settled = BEGINS as usize + 15;
    let fewest = course.desired[settled..].iter().min().unwrap();
    let most = course.waiting[settled..].iter().copied().fold(0.0, f64::max);
    // Five tasks process this many within the acceptable minute.
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

/// Requires an alarm to the topic that reads only the queue's metrics, because the others may end with the tasks. It fires when
/// the dead tasks' messages are visible again and M of N with the longest lag has passed.
fn rings(service: &Service, scenario: &Scenario, course: &Course, _: Assumptions) -> Option<String> {
    let dead = scenario.dead_from.unwrap();
    let in_flight = if scenario.is_stuck { scenario.lease_minutes } else { 0 };
    let limit = dead + in_flight + scenario.death_minutes;
    if let Some((alarm, minute)) = course.rang.iter().find(|(_, minute)| *minute < dead) {
        return Some(format!("{alarm} rang at {minute}, before the tasks died"));
    }
    let of_queue = |id: &str| service.alarms.iter().any(|it| it.id == id && it.watch.is_of_the_queue());
    let in_time = course.rang.iter().any(|(id, minute)| *minute <= limit && of_queue(id));
    (!in_time).then(|| format!("no alarm of the queue rang until {limit}: {:?}", course.rang))
}

/// Requires that any alarm fires within 15 minutes, and lasts as long as the tasks are dead. The queue is empty, so its metrics
/// show nothing.
fn rings_to_the_end(_: &Service, scenario: &Scenario, course: &Course, _: Assumptions) -> Option<String> {
    let dead = scenario.dead_from.unwrap();
    let is_in_time = |minute: u32| (dead..=dead + 15).contains(&minute);
    let is_right = course.rang.iter().all(|(_, minute)| *minute >= dead)
        && course.rang.iter().any(|(id, minute)| is_in_time(*minute) && course.ringing.contains(id));
    (!is_right).then(|| format!("rang: {:?}, and at the end: {:?}", course.rang, course.ringing))
}

/// Requires that without a load the last task is removed and no alarm fires.
fn rests_at_zero(
    service: &Service,
    scenario: &Scenario,
    course: &Course,
    assumed: Assumptions,
) -> Option<String> {
    match course.desired.last() {
        Some(0) => is_quiet(service, scenario, course, assumed),
        last => Some(format!("{last:?} tasks at the end")),
    }
}

/// Requires that one task, and only one, starts with the first points that SQS reports.
fn wakes_up(_: &Service, scenario: &Scenario, course: &Course, assumed: Assumptions) -> Option<String> {
    let woken = reached(course, |desired| desired > 0);
    let limit = scenario.wake_minutes + assumed.until_seen();
    if woken.is_none_or(|minutes| minutes > limit) {
        return Some(format!("woken after {woken:?} minutes, not {limit}"));
    }
    let most = course.desired.iter().max().unwrap();
    (*most > 1).then(|| format!("{most} tasks for one message"))
}

impl Case {
    /// Returns the first failure, with the assumptions under which it occurs.
    pub(crate) fn failure(&self, service: &Service, death_minutes: u32) -> Option<String> {
        for wake_minutes in self.wakes {
            let scenario = Scenario { wake_minutes: *wake_minutes, death_minutes, ..(self.scenario)() };
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
