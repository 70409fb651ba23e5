#![allow(clippy::unwrap_used)]

use std::time::Instant;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::core::limits::{JobClass, LimitRules, Limits, Permit};
use crate::message::sqs_message::Message;

fn tenant(queue: usize, group: usize) -> Tenant {
    Tenant { queue: format!("queue {queue}").into(), group: format!("group {group}").into() }
}

#[derive(Debug, Clone)]
enum Step {
    Ask { queue: usize, group: usize },
    End(usize),
    SetShare { queue: usize, percent: u8, slots: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3_usize, 0..4_usize).prop_map(|(queue, group)| Step::Ask { queue, group }),
        3 => any::<usize>().prop_map(Step::End),
        1 => (0..2_usize, 1..=100_u8, 1..20_usize)
            .prop_map(|(queue, percent, slots)| Step::SetShare { queue, percent, slots }),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    /// The model is the list of all runs. The third queue limits no tenant.
    #[test]
    fn a_tenant_runs_its_share_and_one_at_least(steps in steps()) {
        let (mut tenants, mut running, mut shares) = (Tenants::default(), Vec::new(), [None; 3]);
        for step in steps {
            match step {
                Step::SetShare { queue, percent, slots } => {
                    let (name, slots) = (tenant(queue, 0).queue, NonZeroUsize::new(slots).unwrap());
                    tenants.set_share(&name, format!("{percent}%").parse().unwrap(), slots);
                    shares[queue] = Some(usize::max(1, slots.get() * usize::from(percent) / 100));
                }
                Step::Ask { queue, group } => {
                    let asks = tenants.of_message(&tenant(queue, group).queue, Some(&tenant(queue, group).group));
                    prop_assert_eq!(&asks, &shares[queue].map(|_| tenant(queue, group)));
                    let count = running.iter().filter(|other| **other == asks).count();
                    let may_start = shares[queue].is_none_or(|most| count < most);
                    prop_assert_eq!(tenants.check(asks.as_ref()).is_ok(), may_start);
                    if may_start {
                        tenants.take(asks.as_ref());
                        running.push(asks);
                    }
                }
                Step::End(_) if running.is_empty() => {}
                Step::End(pick) => {
                    let ended = running.remove(pick % running.len());
                    tenants.free(ended.as_ref());
                }
            }
            let kept: usize = tenants.0.values().flat_map(|queue| queue.running.values()).sum();
            prop_assert_eq!(kept, running.iter().flatten().count(), "nothing is kept of tenants that do not run");
        }
    }
}

/// The answer to a run of this type, whose message is of this group.
fn admit(
    limits: &Limits,
    queue: &str,
    job_type: &str,
    group: Option<&str>,
) -> Result<Option<Permit>, LimitReason> {
    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    let now = Instant::now();
    let message = Message { group: group.map(str::to_owned), ..Message::default() };
    let answer = limits.admit(now, &queue.into(), &job_type.into(), &message, RawValue::NULL, None);
    answer.map_err(|(class, wait)| {
        let tenant = class.tenant.unwrap();
        assert_eq!((&*tenant.queue, Some(&*tenant.group)), (queue, group));
        wait.reason
    })
}

#[test]
fn a_share_counts_all_types_of_a_queue_even_without_rules() {
    let limits = Limits::new(LimitRules::none(NonZeroUsize::MIN));
    assert_eq!(
        admit(&limits, "jobs", "a", Some("noisy")),
        Ok(None),
        "nothing is limited, so nothing is kept"
    );
    limits.set_tenant_share(&"jobs".into(), "50%".parse().unwrap(), NonZeroUsize::new(4).unwrap());
    let first = admit(&limits, "jobs", "a", Some("noisy")).unwrap().unwrap();
    assert_eq!(first.class().job_type, JobClass::of_type("a").job_type);
    let second = admit(&limits, "jobs", "b", Some("noisy")).unwrap();
    assert_eq!(admit(&limits, "jobs", "a", Some("noisy")), Err(LimitReason::Tenant));
    assert!(admit(&limits, "jobs", "a", Some("quiet")).unwrap().is_some());
    assert_eq!(admit(&limits, "jobs", "a", None), Ok(None));
    assert_eq!(admit(&limits, "mail", "a", Some("noisy")), Ok(None), "another queue");
    drop(second);
    let third = admit(&limits, "jobs", "b", Some("noisy")).unwrap();
    assert_eq!(admit(&limits, "jobs", "b", Some("noisy")), Err(LimitReason::Tenant));
    drop((first, third));
}

#[test]
fn a_message_without_a_group_is_no_tenants() {
    let mut tenants = Tenants::default();
    let queue: Arc<str> = "jobs".into();
    tenants.set_share(&queue, "1%".parse().unwrap(), NonZeroUsize::MIN);
    assert_eq!(tenants.of_message(&queue, None), None);
    assert_eq!(tenants.check(None), Ok(()));
}
