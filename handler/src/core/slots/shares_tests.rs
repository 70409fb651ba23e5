#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]
use super::*;
