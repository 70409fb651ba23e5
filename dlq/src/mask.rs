//! The masked text of a reason: numbers, ids, quoted values and paths stand for all of their kind.
