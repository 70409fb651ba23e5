//! Random scripts: the events of a host, step by step.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use drumline::core::{
    Acknowledge, Claims, CrashEvidence, DeadLetterPath, JitterMode, Policy, Polling, ReceiveLimit,
};
use proptest::prelude::*;

use crate::host::WAIT_TIME;

/// One event. A `pick` chooses among the available objects, so every script is possible.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A message is sent into one of three groups, after this number of earlier receives.
    Send { group: u8, receives: u32 },
    /// An open receive returns SQS's messages, with a second copy of one if `duplicate` is set.
    Land { pick: usize, duplicate: bool },
    /// An open receive fails, in one of the ways in which receives fail.
    FailReceive { pick: usize, how: u8 },
    /// Another consumer receives the visible messages, and lets them expire.
    Steal,
    /// A run ends.
    End { pick: usize, how: u8 },
    /// A call reaches SQS, and is answered later.
    Arrive { pick: usize, fates: u16 },
    /// A call is answered, and reaches SQS now if it has not before.
    Answer { pick: usize, fates: u16 },
    /// A call is answered with fewer results than it has entries.
    AnswerInPart { pick: usize },
    /// A call's answer is lost; the call has reached SQS, or not.
    Lose { pick: usize, arrives: bool },
    /// An answer is repeated.
    AnswerAgain { pick: usize },
    /// A request reaches the store, and is answered later.
    ArriveAtStore { pick: usize },
    /// A request to the store is answered: mostly as expected, or as if the store were unreachable.
    AnswerClaim { pick: usize, how: u8 },
    /// The store's answer is lost; the request has reached it, or not.
    LoseClaim { pick: usize, arrives: bool },
    /// The store becomes unreachable, or reachable again.
    TurnStore,
    /// An answer of the store is repeated.
    AnswerClaimAgain { pick: usize },
    /// Another worker claims the job of a run.
    ClaimElsewhere { pick: usize },
    /// A reason to pause begins, or ends if it holds.
    TurnPause { pick: usize },
    /// A probe of an unhealthy target is due.
    Probe,
    /// An event of the other queue that shares the slots, if one does.
    Rival { pick: usize, how: u8 },
    /// Every pause ends.
    Resume,
    /// The process dies, and another one replaces it.
    Die,
    /// Time passes.
    Wait(Duration),
}

impl From<[u8; 4]> for Step {
    /// The weights keep a script busy: messages are sent, run, end and are answered more often than something fails.
    fn from([kind, pick, a, b]: [u8; 4]) -> Self {
        let (pick, fates) = (usize::from(pick), u16::from_le_bytes([a, b]));
        match kind % 76 {
            0..5 => Self::Send { group: a % 3, receives: if b % 8 == 0 { 3 } else { 0 } },
            5..13 => Self::Land { pick, duplicate: a % 4 == 0 },
            13 => Self::FailReceive { pick, how: a },
            14 => Self::Steal,
            15..22 => Self::End { pick, how: a },
            22..24 => Self::Arrive { pick, fates },
            24..31 => Self::Answer { pick, fates },
            31 => Self::AnswerInPart { pick },
            32 => Self::Lose { pick, arrives: a % 2 == 0 },
            33 => Self::AnswerAgain { pick },
            34..37 => Self::Wait(Duration::from_millis(u64::from(fates % 300))),
            37..39 => Self::Wait(Duration::from_millis(u64::from(fates) / 4)),
            39..52 => Self::AnswerClaim { pick, how: a },
            52 => Self::ArriveAtStore { pick },
            53 => Self::LoseClaim { pick, arrives: a % 2 == 0 },
            54 => Self::AnswerClaimAgain { pick },
            55..58 => Self::ClaimElsewhere { pick },
            64 => Self::TurnStore,
            58..61 => Self::TurnPause { pick },
            61 => Self::Resume,
            62 if a % 8 == 0 => Self::Die,
            65..67 => Self::Probe,
            67..75 => Self::Rival { pick, how: a },
            _ => Self::Wait(Duration::from_secs(u64::from(a) * u64::from(b % 8))),
        }
    }
}

pub(crate) fn script(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<[u8; 4]>().prop_map(Step::from), 1..longest)
}

/// The properties of a queue that vary.
#[allow(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) fifo: bool,
    concurrency: usize,
    lease_secs: u64,
    timeout_secs: u64,
    pub(crate) dead_letter: DeadLetterPath,
    pub(crate) on_lambda: bool,
    pub(crate) claims: Claims,
    pub(crate) is_limited: bool,
    /// It shares its slots with another queue.
    pub(crate) shares_slots: bool,
    /// It has run short jobs before the script starts, so it receives ahead.
    pub(crate) is_quick: bool,
}

pub(crate) fn setting(fifo: bool, on_lambda: bool) -> impl Strategy<Value = Setting> {
    let leases = prop_oneof![3 => Just(1), 3 => Just(7), 3 => Just(30), 3 => Just(600), 1 => Just(43_200)];
    let paths =
        prop_oneof![Just(DeadLetterPath::Redrive), Just(DeadLetterPath::Copy), Just(DeadLetterPath::Nowhere)];
    let claims =
        prop_oneof![2 => Just(Claims::Off), 6 => Just(Claims::Required), 2 => Just(Claims::BestEffort)];
    let timeouts = prop_oneof![Just(5), Just(900), Just(100_000)];
    (1..=12_usize, leases, timeouts, paths, claims, prop::bool::weighted(0.3), any::<(bool, bool)>())
        .prop_map(
            move |(
                concurrency,
                lease_secs,
                timeout_secs,
                dead_letter,
                claims,
                is_limited,
                (shares_slots, is_quick),
            )| {
                Setting {
                    fifo,
                    concurrency,
                    lease_secs,
                    timeout_secs,
                    dead_letter,
                    on_lambda,
                    claims,
                    is_limited,
                    shares_slots: shares_slots && !on_lambda,
                    is_quick: is_quick && !on_lambda,
                }
            },
        )
}

impl Setting {
    pub(crate) fn policy(&self) -> Policy {
        let mut policy = Policy::new(Duration::from_secs(self.lease_secs));
        policy.fifo = self.fifo;
        policy.concurrency = NonZeroUsize::new(self.concurrency).unwrap();
        policy.handler_timeout = Duration::from_secs(self.timeout_secs);
        policy.retry = "exponential(0s,2,1h)".parse().unwrap();
        let steps = "schedule(0s,1s,700ms,20s)".parse::<drumline::RetryPolicy>().unwrap();
        policy.retry_by_type.insert("spread".to_owned(), steps.with_jitter(JitterMode::Full));
        policy.dead_letter = self.dead_letter;
        policy.claims = self.claims;
        // The model of a store outlives the process; half of the queues with a store do not rely on that.
        if self.claims != Claims::Off && self.lease_secs != 7 {
            policy.crash_evidence = CrashEvidence::Store;
        }
        policy.receives =
            NonZeroU32::new(self.max_receives()).map_or(ReceiveLimit::Unknown, ReceiveLimit::AtMost);
        policy.polling = (!self.on_lambda).then_some(Polling { wait_time: WAIT_TIME });
        policy.acknowledge = if self.on_lambda { Acknowledge::ByResponse } else { Acknowledge::ByDelete };
        policy
    }

    /// The redrive policy's `maxReceiveCount`: high, so that only messages that failed permanently reach it.
    pub(crate) fn max_receives(&self) -> u32 {
        if self.dead_letter == DeadLetterPath::Redrive { 60 } else { u32::MAX }
    }
}
