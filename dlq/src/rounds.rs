//! The rounds of a look into a queue with more letters than can be held at a time.
