//! Sending in the background: many callers, few requests.
//!
//! A [`Sender`] takes single messages from many callers and sends them in batches. Each caller awaits the answer to its own message.
//! The parts: [`line`](self::line) decides which messages leave together, and when, without I/O or a clock; `task` performs what it
//! decides; `ticket` is a caller's claim to an answer, which is kept in every case.

mod answer;
mod failure;
mod handle;
mod line;
#[cfg(test)]
mod line_properties;
mod options;
mod task;
#[cfg(test)]
mod tests;
mod ticket;

pub use failure::TrySendError;
pub use handle::Sender;
pub use options::SenderOptions;
pub use ticket::Pending;
