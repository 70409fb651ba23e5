//! The journal of a replay: its records, and what a resumed one has to do.
