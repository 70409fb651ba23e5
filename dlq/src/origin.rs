//! The queue in which a letter died.
