//! The alarms of `drumline slo --format cloudwatch`, on what a worker writes to its log and what SQS reports. A test of the command
//! line keeps `slo.yaml` equal to the output.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::alarm::{Evaluation, MissingData, State};
use crate::expression::{Expression, Gap, Math, Series};

const FAST: &str = "burns fast";
const SLOWLY: &str = "burns slowly";
const FAIL: &str = "jobs fail";
const GROW: &str = "dead letters grow";
const STALLED: &str = "polling stalled";

/// A part of a scenario: for this many minutes, these numbers in each of them.
#[derive(Clone, Copy)]
struct Phase {
    minutes: usize,
    /// Jobs that succeed in time, and jobs that succeed late.
    done: u32,
    late: u32,
    retried: u32,
    dead: u32,
    visible: u32,
    in_flight: u32,
    received: u32,
}

const IDLE: Phase =
    Phase { minutes: 60, done: 0, late: 0, retried: 0, dead: 0, visible: 0, in_flight: 0, received: 0 };
const HEALTHY: Phase = Phase { done: 400, in_flight: 5, received: 400, ..IDLE };
/// Messages that no worker receives.
const WAITING: Phase = Phase { minutes: 15, visible: 50, ..IDLE };

struct Scenario {
    name: &'static str,
    phases: Vec<Phase>,
    /// True if the DLQ was empty and unused for hours, so that SQS reports nothing of it before its first message.
    has_idle_dlq: bool,
    rings: &'static [&'static str],
}

fn scenarios() -> Vec<Scenario> {
    let of = |name, phases: &[Phase], rings| Scenario {
        name,
        phases: phases.to_vec(),
        has_idle_dlq: false,
        rings,
    };
    let failing = |minutes, failed| Phase { minutes, done: 400 - failed, retried: failed, ..HEALTHY };
    let late = |minutes, late| Phase { minutes, done: 400 - late, late, ..HEALTHY };
    let dead = |minutes, dead| Phase { minutes, done: 400 - dead, dead, ..HEALTHY };
    let for_minutes = |minutes, phase| Phase { minutes, ..phase };
    let half_an_hour = for_minutes(31, HEALTHY);
    vec![
        of("all is well", &[HEALTHY], &[]),
        of("20 % fail for 5 minutes", &[HEALTHY, failing(5, 80)], &[FAIL]),
        of("1 % fails for an hour", &[HEALTHY, failing(60, 4)], &[]),
        of("20 % are late for an hour", &[HEALTHY, late(60, 80)], &[FAST, SLOWLY]),
        of("half an hour after they were late", &[HEALTHY, late(60, 80), half_an_hour], &[SLOWLY]),
        of("20 % are late for 5 minutes", &[for_minutes(600, HEALTHY), late(5, 80)], &[]),
        of("4 % are late for a day", &[late(1440, 16)], &[SLOWLY]),
        of("1.5 % are late for three days", &[late(4320, 6)], &[SLOWLY]),
        of("0.8 % are late for three days", &[late(4000, 3)], &[]),
        of("all are dead for an hour", &[HEALTHY, dead(60, 400)], &[FAST, SLOWLY, FAIL, GROW]),
        of("no job of a type has ever succeeded", &[dead(60, 400)], &[FAST, SLOWLY, FAIL, GROW]),
        of(
            "ten minutes without jobs after that",
            &[dead(60, 400), for_minutes(10, IDLE)],
            &[FAST, SLOWLY, GROW],
        ),
        of("90 minutes without jobs after that", &[dead(60, 400), for_minutes(90, IDLE)], &[SLOWLY]),
        of("a dead letter", &[HEALTHY, dead(1, 1), for_minutes(5, HEALTHY)], &[GROW]),
        Scenario {
            has_idle_dlq: true,
            ..of(
                "the first dead letter after a night",
                &[HEALTHY, dead(1, 1), for_minutes(5, HEALTHY)],
                &[GROW],
            )
        },
        of("dead letters that stay there", &[HEALTHY, dead(1, 1), for_minutes(35, HEALTHY)], &[]),
        of("no jobs", &[HEALTHY, IDLE], &[]),
        of("no jobs at all", &[IDLE], &[]),
        of(
            "4 of 4 attempts fail in a quiet hour",
            &[HEALTHY, IDLE, Phase { minutes: 1, retried: 4, ..IDLE }, for_minutes(2, IDLE)],
            &[],
        ),
        of(
            "5 of 5 attempts fail in a quiet hour",
            &[HEALTHY, IDLE, Phase { minutes: 1, retried: 5, ..IDLE }, for_minutes(2, IDLE)],
            &[FAIL],
        ),
        of("messages that are not received", &[HEALTHY, WAITING], &[STALLED]),
        of("messages that wait for five minutes", &[HEALTHY, for_minutes(5, WAITING)], &[]),
        of("messages that wait for long jobs", &[HEALTHY, Phase { in_flight: 10, ..WAITING }], &[]),
        of(
            "messages that wait, and short jobs",
            &[HEALTHY, Phase { received: 100, done: 100, ..WAITING }],
            &[],
        ),
    ]
}

/// The assumed behaviour where it is open: see the table in `main.rs`.
#[derive(Debug, Clone, Copy)]
struct Assumed {
    math: Math,
    extra_range: usize,
    /// The minutes after which points can be read: of the worker's metrics, of visible messages, and of SQS's other metrics.
    lags: [usize; 3],
    /// The phase of SQS's points that never arrive.
    missing: Option<usize>,
    is_sparse: bool,
    trimmed_count_is_zero: bool,
}

/// Calls a function with all combinations.
fn for_all(mut check: impl FnMut(Assumed)) {
    for gap in [Gap::IsZero, Gap::DropsPoint] {
        for bits in 0..8 {
            let math = Math { gap, fills_empty_series: bits & 1 == 1 };
            let (is_sparse, trimmed_count_is_zero) = (bits & 2 == 2, bits & 4 == 4);
            for extra_range in [0, 2, 7] {
                for lags in [[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2], [2, 2, 2]] {
                    for missing in [None, Some(0), Some(3)] {
                        check(Assumed { math, extra_range, lags, missing, is_sparse, trimmed_count_is_zero });
                    }
                }
            }
        }
    }
}

/// The points of a scenario, by minute.
struct Course {
    minutes: Vec<Phase>,
    /// The DLQ's depth after each minute, if SQS reports it.
    depth: Vec<Option<u32>>,
    /// The sums before each minute: of done, late, retried and dead jobs.
    sums: Vec<[u32; 4]>,
}

impl Course {
    fn new(scenario: &Scenario) -> Self {
        let minutes: Vec<Phase> =
            scenario.phases.iter().flat_map(|phase| vec![*phase; phase.minutes]).collect();
        let (mut sums, mut depth) = (vec![[0; 4]], Vec::new());
        for at in &minutes {
            let [done, late, retried, dead] = sums[depth.len()];
            sums.push([done + at.done, late + at.late, retried + at.retried, dead + at.dead]);
            let letters = dead + at.dead;
            depth.push(Some(letters).filter(|letters| *letters > 0 || !scenario.has_idle_dlq));
        }
        Self { minutes, depth, sums }
    }

    /// Returns the points of a metric over the range of an alarm that is evaluated after the last minute, oldest first.
    fn points(&self, stat: &Value, periods: usize, assumed: Assumed) -> Series {
        let minutes = usize::try_from(stat["Period"].as_u64().unwrap() / 60).unwrap();
        let now = self.minutes.len();
        (0..periods + assumed.extra_range)
            .rev()
            .map(|back| {
                let window = (now.saturating_sub((back + 1) * minutes), now.saturating_sub(back * minutes));
                self.point(stat, window, assumed)
            })
            .collect()
    }

    fn point(&self, stat: &Value, (from, to): (usize, usize), assumed: Assumed) -> Option<f64> {
        let metric = &stat["Metric"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (name, stat) = (text(&metric["MetricName"]), text(&stat["Stat"]));
        let dimensions: BTreeMap<String, Value> = metric["Dimensions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (text(&it["Name"]), it["Value"].clone()))
            .collect();
        let [own, visible, other] =
            assumed.lags.map(|lag| from..to.min(self.minutes.len() - lag.min(self.minutes.len())).max(from));
        if metric["Namespace"] == "Drumline" {
            assert_eq!(dimensions["queue"]["Ref"], "QueueName");
            assert_eq!(dimensions["type"], "email.send");
            let [done, late, retried, dead]: [u32; 4] =
                std::array::from_fn(|at| self.sums[own.end][at] - self.sums[own.start][at]);
            let outcome = dimensions.get("outcome").map(text);
            let count = |count: u32, is_there: bool| is_there.then(|| f64::from(count));
            let is_zero = assumed.trimmed_count_is_zero;
            // The worker writes only what has grown.
            return match (&*name, outcome.as_deref(), &*stat) {
                ("drumline_job_dwell_seconds", None, "SampleCount")
                | ("drumline_jobs_total", Some("ack"), "Sum") => count(done + late, done + late > 0),
                ("drumline_job_dwell_seconds", None, "TC(120:)") => {
                    count(late, late > 0 || is_zero && done > 0)
                }
                ("drumline_job_dwell_seconds", None, "TC(:120)") => {
                    count(done, done > 0 || is_zero && late > 0)
                }
                ("drumline_jobs_total", Some("retry"), "Sum") => count(retried, retried > 0),
                ("drumline_jobs_total", Some("dead_letter"), "Sum") => count(dead, dead > 0),
                other => panic!("a worker does not write {other:?}"),
            };
        }
        assert_eq!(metric["Namespace"], "AWS/SQS");
        let queue = text(&dimensions["QueueName"]["Ref"]);
        let arrives = |minute: &usize| assumed.missing.is_none_or(|phase| minute % 5 != phase);
        let sparse = |value: u32| Some(value).filter(|value| *value > 0 || !assumed.is_sparse);
        let values: Vec<f64> = match (&*queue, &*name) {
            ("QueueName", "ApproximateNumberOfMessagesVisible") => {
                visible.filter(arrives).map(|minute| self.minutes[minute].visible.into()).collect()
            }
            ("DeadLetterQueueName", "ApproximateNumberOfMessagesVisible") => {
                visible.filter(arrives).filter_map(|minute| self.depth[minute]).map(f64::from).collect()
            }
            ("QueueName", "ApproximateNumberOfMessagesNotVisible") => other
                .filter(arrives)
                .filter_map(|minute| sparse(self.minutes[minute].in_flight))
                .map(f64::from)
                .collect(),
            ("QueueName", "NumberOfMessagesReceived") => other
                .filter(arrives)
                .filter_map(|minute| sparse(self.minutes[minute].received))
                .map(f64::from)
                .collect(),
            unknown => panic!("{unknown:?} is not in the model"),
        };
        values.into_iter().reduce(match &*stat {
            "Minimum" => f64::min,
            "Maximum" => f64::max,
            "Sum" => |sum, value| sum + value,
            other => panic!("{name} with {other}"),
        })
    }

    /// Returns true if an alarm fires after the last minute.
    fn fires(&self, alarm: &Value, assumed: Assumed) -> bool {
        let whole = |name: &str| alarm[name].as_u64().map(|value| usize::try_from(value).unwrap());
        let periods = whole("EvaluationPeriods").unwrap();
        let mut known: BTreeMap<String, Series> = BTreeMap::new();
        let mut queries: Vec<&Value> = alarm["Metrics"].as_array().unwrap().iter().collect();
        // CloudWatch does not care for the order.
        queries.sort_by_key(|query| query["Expression"].is_string());
        let mut returned = None;
        for query in queries {
            let series = match query["Expression"].as_str() {
                Some(text) => Expression::parse(text).series(&known, assumed.math),
                None => self.points(&query["MetricStat"], periods, assumed),
            };
            if query["ReturnData"] == true {
                returned = Some(series.clone());
            }
            known.insert(query["Id"].as_str().unwrap().to_owned(), series);
        }
        assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold");
        assert_eq!(alarm["TreatMissingData"], "notBreaching");
        let threshold = alarm["Threshold"].as_f64().unwrap();
        let range: Vec<Option<bool>> =
            returned.unwrap().iter().map(|point| point.map(|value| value > threshold)).collect();
        let to_alarm = whole("DatapointsToAlarm").unwrap_or(periods);
        let evaluation = Evaluation { periods, to_alarm, missing: MissingData::NotBreaching };
        evaluation.state(&range, State::Ok) == State::Alarm
    }

    /// Returns the kinds of the alarms that notify after the last minute.
    fn ringing(&self, template: &Value, assumed: Assumed) -> BTreeSet<&'static str> {
        let resources = template["Resources"].as_object().unwrap();
        let fires = |id: &str| self.fires(&resources[id]["Properties"], assumed);
        let is_ringing = |id: &str, alarm: &Value| match alarm["AlarmRule"]["Fn::Sub"].as_str() {
            Some(rule) if rule.contains(" OR ") => rule.split(" OR ").any(|part| fires(part_of(part))),
            Some(rule) => rule.split(" AND ").all(|part| fires(part_of(part))),
            None => fires(id),
        };
        let notifying = resources.iter().map(|(id, resource)| (id, &resource["Properties"]));
        notifying
            .filter(|(_, alarm)| alarm["AlarmActions"].is_array())
            .filter(|(id, alarm)| is_ringing(id, alarm))
            .map(|(id, _)| match &**id {
                "EmailSendBurn1HAlarm" | "EmailSendBurn6HAlarm" => FAST,
                "EmailSendBurn1DAlarm" | "EmailSendBurn3DAlarm" => SLOWLY,
                "EmailSendFailAlarm" => FAIL,
                "DeadLettersGrowAlarm" => GROW,
                "PollingStalledAlarm" => STALLED,
                other => panic!("{other} is not known"),
            })
            .collect()
    }
}

/// Returns the resource in `ALARM("${Resource}")`.
fn part_of(text: &str) -> &str {
    text.strip_prefix("ALARM(\"${")
        .and_then(|rest| rest.strip_suffix("}\")"))
        .unwrap_or_else(|| panic!("{text}"))
}

/// Returns the first failure of a scenario.
fn failure(scenario: &Scenario, template: &str) -> Option<String> {
    let template: Value = serde_norway::from_str(template).unwrap();
    let course = Course::new(scenario);
    let expected: BTreeSet<&str> = scenario.rings.iter().copied().collect();
    let mut failure = None;
    for_all(|assumed| {
        if failure.is_some() {
            return;
        }
        let ringing = course.ringing(&template, assumed);
        if ringing != expected {
            failure = Some(format!("{}: {ringing:?} ring, and not {expected:?}\n{assumed:?}", scenario.name));
        }
    });
    failure
}

fn generated() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cloudwatch/slo.yaml");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn alarms_of_a_target_ring_when_they_must_and_only_then() {
    let template = generated();
    let failures: Vec<String> = scenarios().iter().filter_map(|it| failure(it, &template)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The mistakes that the scenarios must find: what is replaced in the template, and the scenario that fails then.
const MISTAKES: [(&str, &str, &str); 8] = [
    ("SUM([late, dead]) / SUM([done, dead])", "(late + dead) / (done + dead)", "20 % are late for an hour"),
    ("TC(120:)", "TC(:120)", "all is well"),
    (
        "FILL(IF(failed >= 5, failed / SUM([retried, dead, done]), 0), 0)",
        "IF(failed >= 5, failed / SUM([retried, dead, done]), 0)",
        "ten minutes without jobs after that",
    ),
    ("failed >= 5", "failed >= 4", "4 of 4 attempts fail in a quiet hour"),
    (" AND ", " OR ", "half an hour after they were late"),
    ("DIFF(FILL(FILL(depth, REPEAT), 0))", "DIFF(depth)", "the first dead letter after a night"),
    ("DatapointsToAlarm: 1\n      EvaluationPeriods: 2", "EvaluationPeriods: 1", "a dead letter"),
    ("SUM([waiting * 0, inflight, received])", "SUM([inflight, received])", "messages that are not received"),
];

#[test]
fn the_scenarios_find_mistakes() {
    for (right, wrong, name) in MISTAKES {
        let template = generated();
        assert!(template.contains(right), "{right}");
        let scenario = scenarios().into_iter().find(|scenario| scenario.name == name).unwrap();
        assert!(failure(&scenario, &template.replace(right, wrong)).is_some(), "{wrong}: {name}");
    }
}
