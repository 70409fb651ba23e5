//! No code: of this package, its dependencies matter.
