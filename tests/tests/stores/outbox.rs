//! Outboxes and their relays as processes, which are killed, stopped and restarted like the servers around them.

mod commands;
mod kills;
mod late;
mod later;
mod redis;
mod shared;
pub(crate) mod world;
