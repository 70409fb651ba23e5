//! A changed body that keeps the bytes of all that is not changed.
