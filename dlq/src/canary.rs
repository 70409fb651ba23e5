//! The first letters of a replay, whose outcomes decide whether it goes on.
