//! The run of one attempt: admission, the handler, and what it is observed by.

pub(crate) mod admission;
pub(crate) mod answer;
pub(crate) mod event;
pub(crate) mod invoke;
pub(crate) mod observer;
pub(crate) mod resources;
