//! The watch over a DLQ: depths and verdicts in, looks and alerts out.
