//! Concurrent calls.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::time::Instant;

use crate::conformance::outbox::OutboxWorld;
use crate::conformance::outbox::steps::*;
use crate::outbox::{Added, OnConflict, Outbox, OutboxJob, TakenJob, Unique};

const CALLERS: usize = 40;
const PROCESSES: usize = 4;
const ROUNDS: usize = 10;

async fn processes(world: &OutboxWorld) -> Vec<Arc<dyn Outbox>> {
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(world.outbox().await);
    }
    processes
}

/// Makes all calls at once, and returns their results in the order of the callers.
async fn race<T: Send + 'static, F: Future<Output = T> + Send>(
    processes: &[Arc<dyn Outbox>],
    call: impl Fn(Arc<dyn Outbox>, usize) -> F + Clone + Send + 'static,
) -> Vec<T> {
    let start = Arc::new(Barrier::new(CALLERS));
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (outbox, start) = (Arc::clone(&processes[caller % processes.len()]), Arc::clone(&start));
            let call = call.clone();
            tokio::spawn(async move {
                start.wait().await;
                call(outbox, caller).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

pub async fn one_of_many_adders_of_a_key_adds_its_job(world: OutboxWorld) {
    let processes = processes(&world).await;
    for round in 0..ROUNDS {
        let answers = race(&processes, move |outbox, caller| async move {
            let unique = Unique::new(format!("key {round}"), LONG, OnConflict::Keep);
            outbox.add_unique(&job(&format!("{round}-{caller}")), &unique).await.unwrap()
        })
        .await;
        let winners: Vec<usize> = (0..CALLERS).filter(|caller| answers[*caller] == Added::New).collect();
        let [winner] = winners[..] else { panic!("{winners:?}") };
        let expected = Added::Waiting { id: format!("{round}-{winner}") };
        let others = answers.iter().filter(|answer| **answer == expected).count();
        assert_eq!(others, CALLERS - 1, "{answers:?}");
        assert_eq!(drain(&processes[0], "relay", 1).await, [format!("{round}-{winner}")]);
        assert_nothing(&processes[0], "relay").await;
    }
}

pub async fn adders_of_one_id_add_it_once(world: OutboxWorld) {
    let processes = processes(&world).await;
    for round in 0..ROUNDS {
        race(&processes, move |outbox, caller| async move {
            // Each caller has two jobs that all share, in different orders, and one own job.
            let own = job(&format!("{round}-{caller}"));
            let mut added = vec![job(&format!("{round}-a")), own, job(&format!("{round}-b"))];
            if caller % 2 == 0 {
                added.reverse();
            }
            outbox.add(&added).await.unwrap();
        })
        .await;
        let drained = drain(&processes[0], "relay", CALLERS + 2).await;
        assert_eq!(drained.iter().collect::<HashSet<_>>().len(), CALLERS + 2, "{drained:?}");
        assert_nothing(&processes[0], "relay").await;
    }
}

/// The jobs that relays hold, and those that they have sent, in order.
#[derive(Default)]
struct Hands {
    held: HashMap<String, usize>,
    groups: HashMap<String, usize>,
    sent: Vec<String>,
}

impl Hands {
    fn take(&mut self, relay: usize, taken: &[TakenJob]) {
        for taken in taken {
            let former = self.held.insert(taken.job.id.clone(), relay);
            assert_eq!(former, None, "{} is in two hands", taken.job.id);
            let Some(group) = &taken.job.group else { continue };
            let holder = *self.groups.entry(group.clone()).or_insert(relay);
            assert_eq!(holder, relay, "group {group} is in two hands");
        }
    }

    fn release(&mut self, taken: &[TakenJob], count_sent: bool) {
        for taken in taken {
            self.held.remove(&taken.job.id);
            self.groups.retain(|group, _| taken.job.group.as_ref() != Some(group));
            if count_sent {
                self.sent.push(taken.job.id.clone());
            }
        }
    }
}

/// Lets relays send all jobs while they are being added. Returns the ids in the order of sending. After every `leave_every`
/// takes, a relay leaves.
async fn relayed(world: &OutboxWorld, added: Vec<OutboxJob>, leave_every: Option<usize>) -> Vec<String> {
    let (processes, count) = (processes(world).await, added.len());
    let hands: Arc<Mutex<Hands>> = Arc::default();
    let first = Arc::clone(&processes[0]);
    let adding = tokio::spawn(async move {
        for some in added.chunks(7) {
            first.add(some).await.unwrap();
        }
    });
    let begun = Instant::now();
    let tasks = processes.iter().enumerate().map(|(relay, outbox)| {
        let (outbox, hands) = (Arc::clone(outbox), Arc::clone(&hands));
        tokio::spawn(async move {
            let name = format!("relay {relay}");
            for round in 1.. {
                if hands.lock().unwrap().sent.len() == count {
                    return;
                }
                assert!(begun.elapsed() < PATIENCE, "sent {} of {count}", hands.lock().unwrap().sent.len());
                let taken = outbox.take(&name, 5, LONG).await.unwrap();
                hands.lock().unwrap().take(relay, &taken);
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..3))).await;
                let leaves = leave_every.is_some_and(|every| round % every == 0);
                // Recorded before the call: once it is made, other relays may have the jobs.
                hands.lock().unwrap().release(&taken, !leaves);
                if leaves {
                    outbox.leave(&name).await.unwrap();
                } else {
                    all_sent(&outbox, taken).await;
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    adding.await.unwrap();
    assert_nothing(&processes[0], "relay 0").await;
    assert_eq!(row_ids(&processes[0], None).await, [""; 0]);
    Arc::into_inner(hands).unwrap().into_inner().unwrap().sent
}

pub async fn relays_never_have_one_job_at_once(world: OutboxWorld) {
    const JOBS: usize = 500;
    let added: Vec<OutboxJob> = (0..JOBS).map(|index| job(&index.to_string())).collect();
    let sent = relayed(&world, added, None).await;
    assert_eq!(sent.iter().collect::<HashSet<_>>().len(), JOBS);
}

pub async fn groups_keep_their_order_among_relays_that_leave(world: OutboxWorld) {
    const JOBS: usize = 60;
    const GROUPS: usize = 5;
    let name = |group: usize, index: usize| format!("{group}-{index}");
    let indices = (0..JOBS).flat_map(|index| (0..GROUPS).map(move |group| (group, index)));
    let added =
        indices.map(|(group, index)| grouped(&name(group, index), &format!("group {group}"))).collect();
    let sent = relayed(&world, added, Some(4)).await;
    assert_eq!(sent.len(), JOBS * GROUPS);
    for group in 0..GROUPS {
        let prefix = format!("{group}-");
        let came: Vec<_> = sent.iter().filter(|id| id.starts_with(&prefix)).cloned().collect();
        assert_eq!(came, (0..JOBS).map(|index| name(group, index)).collect::<Vec<_>>(), "group {group}");
    }
}

pub async fn one_of_many_changes_is_made(world: OutboxWorld) {
    let processes = processes(&world).await;
    let mut before: Option<String> = None;
    for round in 0..ROUNDS {
        let read = before.clone();
        let changed = race(&processes, move |outbox, caller| {
            let read = read.clone();
            async move {
                let (text, id) = (format!("{round}-{caller}"), format!("job {round}-{caller}"));
                outbox.change("name", read.as_deref(), Some(&text), &[job(&id)]).await.unwrap()
            }
        })
        .await;
        let winners: Vec<usize> = (0..CALLERS).filter(|caller| changed[*caller]).collect();
        let [winner] = winners[..] else { panic!("{winners:?}") };
        let text = format!("{round}-{winner}");
        assert_eq!(processes[0].states().await, Ok(vec![("name".to_owned(), text.clone())]));
        assert_eq!(drain(&processes[0], "relay", 1).await, [format!("job {text}")]);
        assert_nothing(&processes[0], "relay").await;
        before = Some(text);
    }
}

pub async fn one_of_many_owners_leads(world: OutboxWorld) {
    let processes = processes(&world).await;
    let mut fencing_token = i64::MIN;
    for _ in 0..ROUNDS {
        let leases = race(&processes, |outbox, caller| async move {
            outbox.lead("name", &format!("owner {caller}"), LONG).await.unwrap()
        })
        .await;
        let leaders: Vec<usize> = (0..CALLERS).filter(|caller| leases[*caller].is_some()).collect();
        let [leader] = leaders[..] else { panic!("{leaders:?}") };
        let lease = leases[leader].as_ref().unwrap();
        assert!(lease.fencing_token > fencing_token, "{lease:?} after {fencing_token}");
        fencing_token = lease.fencing_token;
        processes[0].lead("name", &format!("owner {leader}"), Duration::ZERO).await.unwrap();
    }
}
