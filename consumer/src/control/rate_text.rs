//! A rate that an operator orders, as a text.

use std::fmt;

use drumline::core::{Rate, RateOrder};
use serde::{Deserialize, Serialize};

/// A rate as a text: `50/s`, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RateText(pub RateOrder);

impl TryFrom<String> for RateText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(RateOrder::Off));
        }
        let rate = text.parse::<Rate>().map_err(|error| format!("{error}, or off"))?;
        Ok(Self(RateOrder::At(rate)))
    }
}

impl From<RateText> for String {
    fn from(text: RateText) -> Self {
        text.to_string()
    }
}

impl fmt::Display for RateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            RateOrder::Off => f.write_str("off"),
            RateOrder::At(rate) => rate.fmt(f),
        }
    }
}
