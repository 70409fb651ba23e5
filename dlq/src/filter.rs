//! The choice among dead letters: all that is given has to hold.
