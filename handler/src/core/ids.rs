//! The identifiers by which a ledger and its host name deliveries and calls.

/// A delivery in the ledger. The default belongs to none: it is for runs without a ledger, for example in a handler's test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub(crate) u64);

/// A call in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(crate) u64);
