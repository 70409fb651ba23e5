//! The pace of a replay: so many letters after so much time.
