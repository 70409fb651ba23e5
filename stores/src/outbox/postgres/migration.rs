//! The schema of the outbox.

/// The tables and functions of the outbox, as statements that can be run again. They fail if another transaction holds a table
/// for two seconds, so that other transactions do not wait behind them for longer.
pub const MIGRATION: &str = concat!(
    "SET lock_timeout = '2s';\n\n",
    include_str!("tables.sql"),
    "\n",
    include_str!("adding.sql"),
    "\n",
    include_str!("taking.sql"),
    "\nRESET lock_timeout;\n"
);
