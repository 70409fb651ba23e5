//! The parts of a scenario.

/// A name and the steps, in order.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
}

/// A receipt handle: that of the n-th message received in this scenario, or a text that is not one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handle {
    Of(usize),
    Text(&'static str),
}

/// A message to send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outgoing {
    pub(crate) body: String,
    pub(crate) delay: Option<i32>,
    pub(crate) group: Option<&'static str>,
    pub(crate) deduplication: Option<&'static str>,
    /// Name, data type, value; a `Binary` value is sent as bytes.
    pub(crate) attributes: Vec<(&'static str, &'static str, &'static str)>,
    pub(crate) trace: Option<&'static str>,
}

/// The options of a receive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Receiving {
    pub(crate) max: Option<i32>,
    pub(crate) visibility: Option<i32>,
    pub(crate) wait: Option<i32>,
}

/// One call. A `{{name}}` in an attribute's value stands for the ARN of that queue.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Create(&'static str, Vec<(&'static str, &'static str)>),
    Delete(&'static str),
    Url(&'static str),
    List(&'static str),
    Get(&'static str, Vec<&'static str>),
    Set(&'static str, &'static str, &'static str),
    Send(&'static str, Outgoing),
    SendBatch(&'static str, Vec<(&'static str, Outgoing)>),
    Receive(&'static str, Receiving),
    Remove(&'static str, Handle),
    RemoveBatch(&'static str, Vec<(&'static str, Handle)>),
    Hide(&'static str, Handle, i32),
    HideBatch(&'static str, Vec<(&'static str, Handle, i32)>),
    Purge(&'static str),
    Sources(&'static str),
    Tag(&'static str, &'static str, &'static str),
    Untag(&'static str, &'static str),
    Tags(&'static str),
    Move(&'static str, Option<&'static str>),
    Moves(&'static str),
    /// Requests an attribute until it has this value. With it, a script waits until time has passed.
    Until(&'static str, &'static str, &'static str),
}

/// Returns a message that has only a body.
pub(crate) fn text(body: &str) -> Outgoing {
    Outgoing { body: body.to_owned(), ..Default::default() }
}

/// Returns a FIFO message whose body is its deduplication ID.
pub(crate) fn ordered(group: &'static str, id: &'static str) -> Outgoing {
    Outgoing { group: Some(group), deduplication: Some(id), ..text(id) }
}

/// Receives up to ten messages at once.
pub(crate) fn ten() -> Receiving {
    Receiving { max: Some(10), ..Default::default() }
}

/// Receives up to ten messages, hidden for this many seconds.
pub(crate) fn ten_for(visibility: i32) -> Receiving {
    Receiving { visibility: Some(visibility), ..ten() }
}

/// Receives up to ten messages, and waits for the first as long as a test can need.
pub(crate) fn patient() -> Receiving {
    Receiving { wait: Some(10), ..ten() }
}
