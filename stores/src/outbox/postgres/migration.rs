//! The schema of the outbox.

/// The tables and functions of the outbox, as statements that may be run again.
pub const MIGRATION: &str =
    concat!(include_str!("tables.sql"), "\n", include_str!("adding.sql"), "\n", include_str!("taking.sql"));
