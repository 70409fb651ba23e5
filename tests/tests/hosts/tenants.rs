//! Tenants of one queue: a noisy one gets its share of the slots, and the others the rest.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::{LimitRules, Limits, Policy};
use drumline::{Context, Job, Router};
use drumline_tests::ModelQueue;
use tokio::time::{Instant, sleep};

use crate::running::Consumer;

const LEASE: Duration = Duration::from_secs(30);

#[derive(serde::Deserialize)]
struct Work {}

impl Job for Work {
    const TYPE: &'static str = "work";
}

/// The running, peak and done jobs of each tenant, and the time of the last start.
#[derive(Default)]
struct Seen(Mutex<HashMap<String, OfTenant>>);

#[derive(Default, Clone, Copy)]
struct OfTenant {
    running: usize,
    most: usize,
    done: usize,
    began: Option<Instant>,
}

impl Seen {
    fn router(self: &Arc<Self>) -> Router {
        let seen = Arc::clone(self);
        Router::new().handle(move |context: Context, _: Work| {
            let seen = Arc::clone(&seen);
            async move {
                let tenant = context.message().group.clone().unwrap_or_default();
                let change = |change: &dyn Fn(&mut OfTenant)| {
                    change(seen.0.lock().unwrap().entry(tenant.clone()).or_default());
                };
                change(&|tenant| {
                    tenant.running += 1;
                    tenant.most = tenant.most.max(tenant.running);
                    tenant.began = Some(Instant::now());
                });
                sleep(Duration::from_secs(2)).await;
                change(&|tenant| {
                    tenant.running -= 1;
                    tenant.done += 1;
                });
                Ok(())
            }
        })
    }

    fn of(&self, tenant: &str) -> OfTenant {
        self.0.lock().unwrap().get(tenant).copied().unwrap_or_default()
    }
}

fn start(queue: &ModelQueue, seen: &Arc<Seen>, share: Option<&str>) -> Consumer {
    let change = |policy: &mut Policy| {
        policy.concurrency = NonZeroUsize::new(8).unwrap();
        policy.tenant_share = share.map(|share| share.parse().unwrap());
    };
    let limits = Limits::new(LimitRules::none(NonZeroUsize::MIN));
    Consumer::limited(queue, seen.router(), change, limits)
}

fn send(queue: &ModelQueue, tenant: Option<&str>, count: usize) {
    for _ in 0..count {
        queue.send(r#"{"type":"work","payload":{}}"#, tenant);
    }
}

#[tokio::test(start_paused = true)]
async fn a_noisy_tenant_leaves_room_for_a_quiet_one() {
    let (queue, seen) = (ModelQueue::new("jobs", LEASE, 5), Arc::<Seen>::default());
    // As many as are in hand. SQS delivers the messages of quiet tenants before the remaining ones; the model does not.
    send(&queue, Some("noisy"), 12);
    let consumer = start(&queue, &seen, Some("25%"));
    sleep(Duration::from_secs(3)).await;
    assert_eq!(seen.of("noisy").most, 2, "a quarter of eight");
    let sent = Instant::now();
    send(&queue, Some("quiet"), 2);
    sleep(Duration::from_secs(5)).await;
    let quiet = seen.of("quiet");
    assert_eq!(quiet.done, 2);
    let waited = quiet.began.unwrap().duration_since(sent);
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    send(&queue, None, 6);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(seen.of("").most, 6, "messages without a group are not limited");
    queue.drained().await;
    consumer.stop().await;
    assert_eq!((seen.of("noisy").most, seen.of("noisy").done), (2, 12));
}

#[tokio::test(start_paused = true)]
async fn a_tenants_backlog_is_done_in_its_share_without_dead_letters() {
    let (queue, seen) = (ModelQueue::new("jobs", LEASE, 5), Arc::<Seen>::default());
    send(&queue, Some("noisy"), 500);
    send(&queue, Some("quiet"), 10);
    let consumer = start(&queue, &seen, Some("25%"));
    assert!(queue.drained_within(Duration::from_secs(60 * 60)).await, "{}", seen.of("noisy").done);
    consumer.stop().await;
    assert_eq!((seen.of("noisy").most, seen.of("noisy").done, queue.dead().len()), (2, 500, 0));
    assert_eq!(seen.of("quiet").done, 10);
}

#[tokio::test(start_paused = true)]
async fn without_a_share_one_tenant_has_all_slots() {
    let (queue, seen) = (ModelQueue::new("jobs", LEASE, 5), Arc::<Seen>::default());
    send(&queue, Some("noisy"), 30);
    let consumer = start(&queue, &seen, None);
    queue.drained().await;
    consumer.stop().await;
    assert_eq!(seen.of("noisy").most, 8);
}
