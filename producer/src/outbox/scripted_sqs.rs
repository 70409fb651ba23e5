//! An SQS whose responses the test controls.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline_runtime::{BoxFuture, SqsError, SqsErrorKind};
use tokio::time::{Instant, sleep};

use crate::pack::Outgoing;
use crate::requests::Requests;
use crate::send::{NotTaken, Reply, Taken, Why};
use crate::target_queue::TargetQueue;

/// The time from a request to its answer.
const ROUND_TRIP: Duration = Duration::from_millis(10);

/// The response to a request.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    Taken,
    /// Jobs with these ids fail.
    Except(Vec<String>, Why, &'static str),
    Error(SqsError),
    /// SQS accepts all messages, and the response is lost.
    Lost,
    /// SQS accepts no message, and the response is lost.
    LostBefore,
    Hangs,
    Panics,
}

/// Decides by the number of the request, the name of the queue, and the ids.
pub(super) type Script = Box<dyn Fn(usize, &str, &[&str]) -> Fate + Send + Sync>;

/// A request that SQS received.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) at: Duration,
    pub(super) queue: String,
    pub(super) ids: Vec<String>,
}

pub(super) struct ScriptedSqs {
    pub(super) begun: Instant,
    script: Script,
    seen: Mutex<Vec<Seen>>,
    /// The ids by queue, in the order in which SQS has accepted them.
    taken: Mutex<BTreeMap<String, Vec<String>>>,
    pub(super) messages: Mutex<Vec<Outgoing>>,
}

impl ScriptedSqs {
    pub(super) fn new(script: impl Fn(usize, &str, &[&str]) -> Fate + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            script: Box::new(script),
            seen: Mutex::default(),
            taken: Mutex::default(),
            messages: Mutex::default(),
        })
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn taken(&self, queue: &str) -> Vec<String> {
        self.taken.lock().unwrap().get(queue).cloned().unwrap_or_default()
    }
}

impl Requests for ScriptedSqs {
    fn send(&self, queue: TargetQueue, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)> {
        let ids: Vec<String> = batch.iter().map(|message| message.deduplication_id.clone()).collect();
        let fate = {
            let mut seen = self.seen.lock().unwrap();
            let shown: Vec<&str> = ids.iter().map(|id| &**id).collect();
            let fate = (self.script)(seen.len(), queue.name(), &shown);
            seen.push(Seen { at: self.begun.elapsed(), queue: queue.name().to_owned(), ids: ids.clone() });
            fate
        };
        let lost = || SqsError { is_in_doubt: true, ..SqsError::new(SqsErrorKind::Unreachable, "no answer") };
        let taken = |id: &String| Taken { message_id: format!("m-{id}"), sequence_number: None };
        let is_taken_unseen = matches!(fate, Fate::Lost);
        let reply: Reply = match fate {
            Fate::Taken => Ok(ids.iter().map(|id| Ok(taken(id))).collect()),
            Fate::Lost | Fate::LostBefore => Err(lost()),
            Fate::Except(failing, why, text) => Ok(ids
                .iter()
                .map(|id| {
                    if failing.contains(id) {
                        Err(NotTaken { why, text: text.to_owned() })
                    } else {
                        Ok(taken(id))
                    }
                })
                .collect()),
            Fate::Error(error) => Err(error),
            Fate::Hangs => return Box::pin(std::future::pending()),
            Fate::Panics => return Box::pin(async { panic!("a bug") }),
        };
        let mut all = self.taken.lock().unwrap();
        let of_queue = all.entry(queue.name().to_owned()).or_default();
        match &reply {
            Ok(results) => {
                let taken = ids.iter().zip(results).filter(|(_, result)| result.is_ok());
                of_queue.extend(taken.map(|(id, _)| id.clone()));
            }
            Err(_) if is_taken_unseen => of_queue.extend(ids.iter().cloned()),
            Err(_) => {}
        }
        drop(all);
        self.messages.lock().unwrap().extend(batch.iter().cloned());
        Box::pin(async move {
            sleep(ROUND_TRIP).await;
            (batch, reply)
        })
    }
}
