//! The message that replays a letter and keeps its job's identity.
