//! Contains no code: this package exists for its dependencies.
