//! A batch whose large messages were made small.

use futures_util::future::join_all;

use crate::delivery::BEHIND;
use crate::pack::Outgoing;
use crate::payload::{OffloadError, PayloadStore};
use crate::send::{NotTaken, Reply, Why};

/// A batch as it can be sent, and the messages that cannot be.
#[derive(Debug)]
pub(crate) struct Offloaded {
    pub(crate) ready: Vec<Outgoing>,
    /// With their places in the batch.
    pub(crate) refused: Vec<(usize, Outgoing, NotTaken)>,
}

impl Offloaded {
    /// A batch that is sent as it is.
    pub(crate) fn unchanged(batch: Vec<Outgoing>) -> Self {
        Self { ready: batch, refused: Vec::new() }
    }

    /// Puts the bodies of large messages into the store. In a FIFO queue a message behind one of its group that cannot be sent is not
    /// sent either.
    pub(crate) async fn by(store: &PayloadStore, batch: Vec<Outgoing>, is_fifo: bool) -> Self {
        let offloading = batch.into_iter().map(async |message| {
            if !store.is_large(&message) {
                return (message, None);
            }
            // The message as it was is needed for the next try.
            match store.offload(message.clone()).await {
                Ok(message) => (message, None),
                Err(error) => (message, Some(not_taken(&error))),
            }
        });
        let mut offloaded = Self::unchanged(Vec::new());
        for (place, (message, problem)) in join_all(offloading).await.into_iter().enumerate() {
            let is_behind =
                is_fifo && offloaded.refused.iter().any(|(_, other, _)| other.group == message.group);
            match problem {
                Some(problem) => offloaded.refused.push((place, message, problem)),
                None if is_behind => {
                    let text = BEHIND.to_owned();
                    offloaded.refused.push((place, message, NotTaken { why: Why::Unavailable, text }));
                }
                None => offloaded.ready.push(message),
            }
        }
        offloaded
    }

    /// Returns the batch in its order, with the answer to each message. If the request failed as a whole, all of them can be sent again.
    pub(crate) fn answered(self, mut reply: Reply) -> (Vec<Outgoing>, Reply) {
        let mut batch = self.ready;
        for (place, message, not_taken) in self.refused {
            batch.insert(place, message);
            if let Ok(answers) = &mut reply {
                answers.insert(place, Err(not_taken));
            }
        }
        (batch, reply)
    }
}

fn not_taken(error: &OffloadError) -> NotTaken {
    let why = match error {
        OffloadError::NotPut { .. } => Why::Unavailable,
        OffloadError::NoRoom { .. } | OffloadError::TooLarge { .. } => Why::Refused,
    };
    NotTaken { why, text: error.to_string() }
}
