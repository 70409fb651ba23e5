//! Sends messages in the background: many callers share few requests.
//!
//! A [`Sender`] accepts single messages from many callers and sends them in batches. Each caller awaits the result of its own
//! message. The parts: [`line`](self::line) decides the batches and their times, without I/O or a clock; `task` performs these
//! decisions; `ticket` is a caller's claim to a result, which it always receives.

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
