//! The changes of a body as lines for people.
