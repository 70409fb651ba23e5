//! A queue, its worker service and CloudWatch's data about both, minute by minute.

use std::collections::BTreeMap;

use crate::alarm::{Evaluation, MissingData, State};
use crate::assumptions::Assumptions;
use crate::expression::Series;
use crate::metric::Metric;
use crate::service::{Service, Watch};

/// The minutes after its last use at which SQS stops reporting a queue.
const IDLE_MINUTES: u32 = 360;

/// The minute from which alarms are evaluated, with as many earlier points as they read.
const WARM_UP_MINUTES: u32 = 30;

/// The periods of target tracking's own alarms, and the ratio to the target below which it scales in.
const HIGH_PERIODS: usize = 3;
const LOW_PERIODS: usize = 15;
const LOW_PART: f64 = 0.9;

/// The load and the faults of a scenario.
pub(crate) struct Scenario {
    pub(crate) minutes: u32,
    pub(crate) tasks: u32,
    /// The seconds that a handler takes.
    pub(crate) handler_seconds: f64,
    pub(crate) arrivals: fn(minute: u32) -> f64,
    /// The minute in which the service and its alarms are created.
    pub(crate) created: u32,
    /// The minute from which no task runs.
    pub(crate) dead_from: Option<u32>,
    /// The minutes for which dead tasks' messages stay in flight.
    pub(crate) lease_minutes: u32,
    /// The minutes that an alarm may take after the dead tasks' messages are visible.
    pub(crate) death_minutes: u32,
    /// The time for which the queue was unused before the first minute.
    pub(crate) idle_before: u32,
    /// The time that SQS takes to report an idle queue again.
    pub(crate) wake_minutes: u32,
    /// True if handlers do not end within the scenario.
    pub(crate) is_stuck: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            minutes: 60,
            tasks: 1,
            handler_seconds: 1.0,
            arrivals: |_| 0.0,
            created: 0,
            dead_from: None,
            lease_minutes: 15,
            death_minutes: 0,
            idle_before: 0,
            wake_minutes: 0,
            is_stuck: false,
        }
    }
}

/// The observed course, by minute.
pub(crate) struct Course {
    pub(crate) desired: Vec<u32>,
    pub(crate) waiting: Vec<f64>,
    /// The alarms that notify the topic, with the minute at which they fired.
    pub(crate) rang: Vec<(String, u32)>,
    /// The alarms that are firing at the end.
    pub(crate) ringing: Vec<String>,
}

struct World<'a> {
    service: &'a Service,
    scenario: &'a Scenario,
    assumed: Assumptions,
    /// Points by metric.
    points: [Series; Metric::COUNT],
    visible: f64,
    in_flight: f64,
    /// The minutes at which each task starts to run.
    tasks: Vec<u32>,
    desired: u32,
    last_used: i64,
    reports_from: u32,
    states: BTreeMap<String, State>,
    scaled_out: Option<u32>,
    scaled_in: Option<u32>,
    stepped: BTreeMap<String, u32>,
}

/// Runs a scenario.
pub(crate) fn run(service: &Service, scenario: &Scenario, assumed: Assumptions) -> Course {
    let mut world = World {
        service,
        scenario,
        assumed,
        points: std::array::from_fn(|_| Series::new()),
        visible: 0.0,
        in_flight: 0.0,
        tasks: vec![0; scenario.tasks as usize],
        desired: scenario.tasks,
        last_used: -i64::from(scenario.idle_before),
        reports_from: 0,
        states: BTreeMap::new(),
        scaled_out: None,
        scaled_in: None,
        stepped: BTreeMap::new(),
    };
    let mut course =
        Course { desired: Vec::new(), waiting: Vec::new(), rang: Vec::new(), ringing: Vec::new() };
    for minute in 0..scenario.minutes {
        if minute >= WARM_UP_MINUTES.max(scenario.created) {
            world.evaluate(minute, &mut course.rang);
        }
        course.desired.push(world.desired);
        world.work(minute);
        course.waiting.push(world.visible);
    }
    course.ringing = world.states.iter().filter(|it| *it.1 == State::Alarm).map(|it| it.0.clone()).collect();
    course
}

impl World<'_> {
    /// Simulates arriving messages and working tasks, then records the minute's points.
    fn work(&mut self, minute: u32) {
        let arriving = (self.scenario.arrivals)(minute);
        self.visible += arriving;
        self.tasks.resize(self.desired as usize, minute + self.assumed.start_minutes);
        let is_dead = self.scenario.dead_from.is_some_and(|dead| minute >= dead);
        let exists = minute >= self.scenario.created;
        let running = if is_dead || !exists {
            0
        } else {
            self.tasks.iter().filter(|start| **start <= minute).count() as u32
        };
        let slots = f64::from(running) * self.service.concurrency;
        let done = if self.scenario.is_stuck { 0.0 } else { slots * 60.0 / self.scenario.handler_seconds };
        let before = self.in_flight;
        let done = done.min(self.visible + self.in_flight);
        if running > 0 {
            let left = self.visible + self.in_flight - done;
            self.in_flight = left.min(slots);
            self.visible = left - self.in_flight;
        } else if self.scenario.dead_from.is_some_and(|dead| minute >= dead + self.scenario.lease_minutes) {
            self.visible += std::mem::take(&mut self.in_flight);
        }
        // An average over the minute. The number at its end is greater only if a backlog waits.
        let in_flight = self.in_flight.max(done * self.scenario.handler_seconds / 60.0);
        let received = (done + self.in_flight - before).max(0.0);
        let polls = if running > 0 && self.in_flight < slots { 3.0 * f64::from(running) } else { 0.0 };
        let is_used = arriving > 0.0 || running > 0;
        if is_used {
            if i64::from(minute) - self.last_used > i64::from(IDLE_MINUTES) {
                self.reports_from = minute + self.scenario.wake_minutes;
            }
            self.last_used = minute.into();
        }
        let is_reported =
            minute >= self.reports_from && i64::from(minute) - self.last_used <= i64::from(IDLE_MINUTES);
        let sparse = |value: f64| is_reported && (value > 0.0 || !self.assumed.is_sparse);
        let insights = exists && (running > 0 || !self.assumed.insights_are_silent);
        for (metric, value, is_there) in [
            (Metric::Visible, self.visible, is_reported),
            (Metric::InFlight, in_flight, sparse(in_flight)),
            (Metric::Received, received, sparse(received)),
            (Metric::Deleted, done, sparse(done)),
            (Metric::Empty, polls, sparse(polls)),
            (Metric::Running, running.into(), insights),
            (Metric::Desired, self.desired.into(), insights),
        ] {
            self.points[metric as usize].push(is_there.then_some(value));
        }
    }

    /// Returns the points of a metric that can be read now, over a range that ends with the last full minute. A late evaluation
    /// acts now on the points that could be read when it began.
    fn range(&self, metric: Option<Metric>, periods: usize, now: u32) -> Series {
        let length = (periods + self.assumed.extra_range) as u32;
        let Some(metric) = metric else { return vec![None; length as usize] };
        let (now, lag) = (now - self.assumed.evaluation_delay, self.assumed.lag(metric));
        let at = |back: u32| {
            let minute = now.checked_sub(back)?;
            let is_known = back > lag && !self.assumed.misses(metric, minute);
            is_known.then(|| self.points[metric as usize][minute as usize]).flatten()
        };
        (1..=length).rev().map(at).collect()
    }

    fn series(&self, watch: &Watch, periods: usize, now: u32) -> Series {
        watch.series(|metric| self.range(metric, periods, now), self.assumed.math)
    }

    /// Evaluates all alarms at the beginning of a minute and carries out the actions that they trigger.
    fn evaluate(&mut self, now: u32, rang: &mut Vec<(String, u32)>) {
        let service = self.service;
        let mut wanted = Vec::new();
        for alarm in &service.alarms {
            let series = self.series(&alarm.watch, alarm.evaluation.periods, now);
            let points: Vec<_> =
                series.iter().map(|point| point.map(|value| alarm.breaches(value))).collect();
            let before = self.state(&alarm.id);
            let state = alarm.evaluation.state(&points, before);
            self.states.insert(alarm.id.clone(), state);
            if state != State::Alarm {
                continue;
            }
            if alarm.notifies && before != State::Alarm {
                rang.push((alarm.id.clone(), now));
            }
            // The action is repeated every minute while the alarm lasts.
            let mut real = series.iter().rev().copied().flatten().take(alarm.evaluation.periods);
            let Some(newest) = real.next() else { continue };
            let goes_by = if self.assumed.steps_by_greatest { real.fold(newest, f64::max) } else { newest };
            for id in &alarm.policies {
                let steps = &service.steps[id];
                let cools = self.stepped.get(id).is_some_and(|at| now < at + steps.cooldown);
                if let Some(capacity) =
                    steps.capacity(self.desired, goes_by - alarm.threshold).filter(|_| !cools)
                {
                    self.stepped.insert(id.clone(), now);
                    wanted.push(capacity);
                }
            }
        }
        let mut lower = None;
        for (index, tracking) in service.tracking.iter().enumerate() {
            let newest = |series: &Series| series.iter().rev().copied().flatten().next();
            let mut fires = |periods: usize, breaches: &dyn Fn(f64) -> bool| {
                let series = self.series(&tracking.watch, periods, now);
                let points: Vec<_> = series.iter().map(|point| point.map(breaches)).collect();
                let evaluation = Evaluation { periods, to_alarm: periods, missing: MissingData::Missing };
                let id = format!("tracking {index} of {periods}");
                let state = evaluation.state(&points, self.state(&id));
                self.states.insert(id, state);
                newest(&series).filter(|_| state == State::Alarm)
            };
            let high = fires(HIGH_PERIODS, &|value| value > tracking.target);
            let low = fires(LOW_PERIODS, &|value| value < LOW_PART * tracking.target);
            let cools = |since: Option<u32>, cooldown: u32| since.is_some_and(|at| now < at + cooldown);
            let needed = |value: f64| (f64::from(self.desired) * value / tracking.target).ceil() as u32;
            if let Some(value) = high.filter(|_| !cools(self.scaled_out, tracking.out_cooldown)) {
                wanted.push(needed(value));
            }
            if let Some(value) = low.filter(|_| {
                tracking.scales_in && !cools(self.scaled_in.max(self.scaled_out), tracking.in_cooldown)
            }) {
                let step = if self.assumed.scales_in_by_one { self.desired.saturating_sub(1) } else { 0 };
                lower = Some(needed(value).max(step));
            }
        }
        let higher = wanted.into_iter().max().map_or(0, |capacity| capacity.min(service.max));
        if higher > self.desired {
            (self.desired, self.scaled_out) = (higher, Some(now));
        } else if let Some(lower) = lower.map(|lower| lower.max(service.min)).filter(|it| *it < self.desired)
        {
            (self.desired, self.scaled_in) = (lower, Some(now));
        }
    }

    fn state(&self, id: &str) -> State {
        self.states.get(id).copied().unwrap_or(State::InsufficientData)
    }
}
