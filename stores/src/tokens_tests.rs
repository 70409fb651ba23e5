#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "small figures of a simulation"
)]
//! Workers that share a rate, on virtual time: workers are killed, answers are late or lost, and clocks differ.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroUsize;
use std::time::Instant;

use drumline::core::{GrantedTokens, JobClass, LimitRules, Limits, RateRule, TokenDemand, TypeRules};
use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// The disturbances of a simulation.
#[derive(Debug, Clone)]
struct Trouble {
    /// The longest transmission time of a request, and of its answer.
    delay: Duration,
    /// The percentage of answers that are lost.
    lost: u32,
    /// The largest difference between the clocks of workers, if each uses its own.
    skew: Duration,
    /// The interval at which workers are killed and replaced, in turn.
    kill_every: Option<Duration>,
    /// The time that a worker takes to notice that it may continue.
    late: Duration,
}

const NONE: Trouble = Trouble {
    delay: Duration::from_millis(5),
    lost: 0,
    skew: Duration::ZERO,
    kill_every: None,
    late: Duration::from_millis(2),
};

/// The time after which a request counts as not answered.
const TIMEOUT: Duration = Duration::from_secs(1);

enum Event {
    /// The worker requests permits.
    Wakes(u64),
    /// A request arrives at the server.
    Arrives(u64, TokenDemand, Duration),
    /// A request of this time is answered, or its answer is lost.
    Answers(u64, TokenDemand, Duration, Option<TokenLease>),
    Kill,
}

struct Worker {
    limits: Limits,
    skew: Duration,
}

struct World {
    trouble: Trouble,
    rule: RateRule,
    base: Instant,
    workers: BTreeMap<u64, Worker>,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    what: BTreeMap<u64, Event>,
    next_id: u64,
    random: fastrand::Rng,
    full_at: u64,
    starts: Vec<Duration>,
}

impl World {
    fn new(rule: RateRule, trouble: Trouble, workers: usize, seed: u64) -> Self {
        let mut world = Self {
            trouble,
            rule,
            base: Instant::now(),
            workers: BTreeMap::new(),
            events: BinaryHeap::new(),
            what: BTreeMap::new(),
            next_id: 0,
            random: fastrand::Rng::with_seed(seed),
            full_at: 0,
            starts: Vec::new(),
        };
        for _ in 0..workers {
            world.begin(Duration::ZERO);
        }
        if let Some(every) = world.trouble.kill_every {
            world.at(every, Event::Kill);
        }
        world
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn at(&mut self, at: Duration, event: Event) {
        let id = self.id();
        self.events.push(Reverse((at, id)));
        self.what.insert(id, event);
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.random.f64())
    }

    fn begin(&mut self, now: Duration) {
        let mut rules = LimitRules::none(NonZeroUsize::MIN);
        let of_type = TypeRules { rate: Some(self.rule.clone()), ..TypeRules::default() };
        rules.types.insert("mail".to_owned(), of_type);
        let limits = Limits::new(rules);
        limits.share_rates();
        let (id, skew) = (self.id(), self.up_to(self.trouble.skew));
        self.workers.insert(id, Worker { limits, skew });
        self.at(now, Event::Wakes(id));
    }

    fn run(mut self, length: Duration) -> Vec<Duration> {
        while let Some(Reverse((now, id))) = self.events.pop() {
            if now > length {
                break;
            }
            let event = self.what.remove(&id).unwrap();
            self.happens(now, event);
        }
        self.starts
    }

    fn happens(&mut self, now: Duration, event: Event) {
        match event {
            Event::Wakes(id) => self.act(now, id),
            Event::Arrives(id, demand, asked_at) => {
                let skew = self.workers.get(&id).map_or(Duration::ZERO, |worker| worker.skew);
                // An arbitrary time of the deciding clock.
                let clock = SECOND * 1_000 + now + skew;
                let clock = u64::try_from(clock.as_micros()).unwrap();
                let TokenDemand { rate, burst, most, .. } = demand;
                let request = TokenRequest { bucket: demand.bucket(), rate, burst, most };
                let (leased, full_at) = lease(&request, self.full_at, clock);
                self.full_at = full_at;
                let back = self.up_to(self.trouble.delay);
                if self.random.u32(0..100) < self.trouble.lost {
                    self.at(asked_at + TIMEOUT, Event::Answers(id, demand, asked_at, None));
                } else {
                    self.at(now + back, Event::Answers(id, demand, asked_at, Some(leased)));
                }
            }
            Event::Answers(id, demand, asked_at, answer) => {
                let Some(worker) = self.workers.get(&id) else { return };
                let instant = self.base + now;
                match answer {
                    Some(TokenLease { tokens, valid_for, next_in }) => {
                        let until = self.base + asked_at + valid_for;
                        let granted = GrantedTokens { tokens, until, next_at: instant + next_in };
                        worker.limits.tokens_granted(instant, &demand, granted);
                    }
                    None => worker.limits.tokens_unanswered(&demand, instant + 250 * MS),
                }
                self.act(now, id);
            }
            Event::Kill => {
                let killed = *self.workers.keys().next().unwrap();
                self.workers.remove(&killed);
                self.begin(now + 100 * MS);
                self.at(now + self.trouble.kill_every.unwrap(), Event::Kill);
            }
        }
    }

    /// Starts the permitted jobs, of which there are always enough, and requests more tokens.
    fn act(&mut self, now: Duration, id: u64) {
        let Some(worker) = self.workers.get(&id) else { return };
        let (limits, instant) = (worker.limits.clone(), self.base + now);
        let class = JobClass::of_type("mail");
        let until = loop {
            match limits.ask(instant, &class) {
                Ok(_) => self.starts.push(now),
                Err(wait) => break wait.until,
            }
        };
        for demand in limits.token_demand(instant, 16) {
            let way = self.up_to(self.trouble.delay);
            self.at(now + way, Event::Arrives(id, demand, now));
        }
        if let Some(at) = [until, limits.next_token_demand()].into_iter().flatten().min() {
            let late = self.up_to(self.trouble.late);
            let wake = (at - self.base).max(now + Duration::from_micros(1)) + late;
            self.at(wake, Event::Wakes(id));
        }
    }
}

fn rule(per_second: u32, burst: Option<u32>) -> RateRule {
    let rate: Rate = format!("{per_second}/s").parse().unwrap();
    let burst = burst.map_or(rate.default_burst(), |burst| burst.try_into().unwrap());
    RateRule { rate, burst, key: None }
}

/// Returns the largest number of starts in any interval beyond the number that the rate gives.
fn excess(starts: &[Duration], per_second: u32) -> f64 {
    let (mut lowest, mut most) = (f64::INFINITY, 0.0_f64);
    for (index, at) in starts.iter().enumerate() {
        let ahead = index as f64 - at.as_secs_f64() * f64::from(per_second);
        lowest = lowest.min(ahead);
        // Both ends of the interval count.
        most = most.max(ahead - lowest + 1.0);
    }
    most
}

/// Returns the largest number of starts within ten seconds.
fn most_in_ten_seconds(starts: &[Duration]) -> usize {
    let mut first = 0;
    let counts = starts.iter().enumerate().map(|(index, at)| {
        while starts[first] + 10 * SECOND <= *at {
            first += 1;
        }
        index + 1 - first
    });
    counts.max().unwrap_or(0)
}

/// Returns 105 % of the rate, plus the start at the other end of the interval.
fn most_allowed(per_second: u32) -> usize {
    per_second as usize * 21 / 2 + 1
}

#[test]
fn three_workers_share_a_rate_while_two_are_killed() {
    let trouble = Trouble { kill_every: Some(10 * SECOND), ..NONE };
    for seed in 0..10 {
        let starts = World::new(rule(100, None), trouble.clone(), 3, seed).run(30 * SECOND);
        assert!((2_850..=3_045).contains(&starts.len()), "{seed}: {}", starts.len());
        assert!(most_in_ten_seconds(&starts) <= 1_050, "{seed}");
    }
}

#[test]
fn one_worker_of_a_hundred_gets_what_the_others_leave() {
    for workers in [1, 2, 10, 100] {
        let starts = World::new(rule(100, None), NONE, workers, 1).run(20 * SECOND);
        assert!((1_900..=2_045).contains(&starts.len()), "{workers}: {}", starts.len());
    }
}

#[test]
fn low_rates_are_kept_too() {
    for (per_second, least) in [(1, 18), (2, 37), (5, 93), (6, 112), (9, 168), (11, 205)] {
        let starts = World::new(rule(per_second, None), NONE, 3, 1).run(20 * SECOND);
        assert!(starts.len() >= least, "{per_second}/s: {}", starts.len());
        assert!(most_in_ten_seconds(&starts) <= most_allowed(per_second), "{per_second}/s");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Late tokens expire: the rate is never exceeded.
    #[test]
    fn it_is_never_more_than_the_rate(
        (per_second, burst) in (1_u32..150, prop::option::of(1_u32..60)),
        workers in 1_usize..6,
        (delay, late, skew) in (0_u64..800, 0_u64..100, 0_u64..300),
        lost in 0_u32..30,
        kill_every in prop::option::of(200_u64..5_000),
        seed in any::<u64>(),
    ) {
        let rule = rule(per_second, burst);
        let trouble = Trouble {
            delay: delay as u32 * MS,
            lost,
            skew: skew as u32 * MS,
            kill_every: kill_every.map(|millis| millis as u32 * MS),
            late: late as u32 * MS,
        };
        let starts = World::new(rule.clone(), trouble.clone(), workers, seed).run(12 * SECOND);
        let shared = f64::from(rule.burst.get()).max((f64::from(per_second) * 0.2).ceil());
        let late = (TOKEN_VALIDITY + trouble.skew).as_secs_f64() * f64::from(per_second);
        let excess = excess(&starts, per_second);
        prop_assert!(excess <= shared + late + 1.0, "{} > {} + {}", excess, shared, late);
        if burst.is_none() && skew == 0 {
            prop_assert!(most_in_ten_seconds(&starts) <= most_allowed(per_second));
        }
    }

    /// If answers arrive within a tenth of the tokens' validity, nearly the whole rate is used.
    #[test]
    fn it_is_nearly_all_of_the_rate(
        per_second in 10_u32..150,
        workers in 1_usize..6,
        (delay, late) in (0_u64..15, 0_u64..8),
        kill_every in prop::option::of(4_000_u64..10_000),
        seed in any::<u64>(),
    ) {
        let trouble = Trouble {
            delay: delay as u32 * MS,
            late: late as u32 * MS,
            kill_every: kill_every.map(|millis| millis as u32 * MS),
            ..NONE
        };
        // If a single worker is killed, nothing starts until the next one runs.
        let workers = workers.max(if kill_every.is_some() { 3 } else { 1 });
        let starts = World::new(rule(per_second, None), trouble, workers, seed).run(12 * SECOND);
        let least = f64::from(per_second) * 12.0 * 0.9 - 1.0;
        prop_assert!(starts.len() as f64 >= least, "{} of {}", starts.len(), per_second * 12);
    }
}
