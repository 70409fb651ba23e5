//! The decision of whether a span is recorded, by the standard samplers. See
//! [`OTEL_TRACES_SAMPLER`](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration).
//!
//! The SDK's own samplers decide with a span's name, attributes and links in hand; here a span that is not recorded is never made.

use drumline::message::Traceparent;

/// A standard sampler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampler {
    /// A span with a parent is recorded if its parent is.
    parent_based: bool,
    /// The share of traces that are recorded, of those that begin here.
    root: Share,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Share {
    All,
    None,
    /// Those whose ids are below this bound.
    Below(u64),
}

/// The sampler without a variable: `parentbased_always_on`.
impl Default for Sampler {
    fn default() -> Self {
        Self { parent_based: true, root: Share::All }
    }
}

impl Sampler {
    /// Returns the sampler of this name and argument, as in `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`. `None` if it is none of
    /// the built-in ones, or its ratio is no number from 0 to 1.
    pub(crate) fn named(name: &str, argument: Option<&str>) -> Option<Self> {
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let root = match root {
            "always_on" => Share::All,
            "always_off" => Share::None,
            "traceidratio" => Share::of(argument.map_or(Some(1.0), |ratio| ratio.trim().parse().ok())?)?,
            _ => return None,
        };
        Some(Self { parent_based, root })
    }

    /// Returns true if a span with this parent is recorded.
    pub(crate) fn records(self, parent: &Traceparent) -> bool {
        if self.parent_based { parent.is_sampled() } else { self.root.has(lower_half(parent.trace_id())) }
    }

    /// Returns the ID of a new trace if it is recorded. Its lower half decides and is drawn first, because most traces end there.
    pub(crate) fn new_trace(self, mut draw: impl FnMut() -> u64) -> Option<u128> {
        let low = draw();
        // An ID of zero is none.
        self.root.has(low).then(|| u128::from(draw().max(1)) << 64 | u128::from(low))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn lower_half(trace_id: u128) -> u64 {
    trace_id as u64
}

impl Share {
    fn of(ratio: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between 0 and 2^63, to the precision of a ratio"
        )]
        let below = |ratio: f64| (ratio * (1_u64 << 63) as f64) as u64;
        match ratio {
            1.0 => Some(Self::All),
            0.0..1.0 => Some(Self::Below(below(ratio))),
            _ => None,
        }
    }

    /// Decides by the lower half of a trace's ID, as the SDKs do, so that all services of a trace agree.
    fn has(self, low: u64) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Below(bound) => low >> 1 < bound,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_standard_names_are_known_and_others_are_not() {
        let table = [
            ("always_on", None, Some((false, Share::All))),
            ("always_off", None, Some((false, Share::None))),
            ("parentbased_always_on", None, Some((true, Share::All))),
            ("parentbased_always_off", None, Some((true, Share::None))),
            ("traceidratio", Some("0.5"), Some((false, Share::Below(1 << 62)))),
            ("parentbased_traceidratio", Some("0"), Some((true, Share::Below(0)))),
            ("parentbased_traceidratio", None, Some((true, Share::All))),
            ("traceidratio", Some("1.5"), None),
            ("traceidratio", Some("-0.1"), None),
            ("traceidratio", Some("NaN"), None),
            ("traceidratio", Some("a"), None),
            ("jaeger_remote", None, None),
            ("", None, None),
        ];
        for (name, argument, expected) in table {
            let expected = expected.map(|(parent_based, root)| Sampler { parent_based, root });
            assert_eq!(Sampler::named(name, argument), expected, "{name} {argument:?}");
        }
    }

    #[test]
    fn a_parent_decides_only_for_a_sampler_that_is_based_on_it() {
        let parent = |is_sampled| Traceparent::new(7, 8, is_sampled);
        let based = Sampler::named("parentbased_always_off", None).unwrap();
        assert!(based.records(&parent(true)) && !based.records(&parent(false)));
        assert_eq!(based.new_trace(|| 7), None);
        assert!(!Sampler::default().records(&parent(false)));
        let always = Sampler::named("always_on", None).unwrap();
        assert!(always.records(&parent(false)));
        assert_eq!(always.new_trace(|| 7), Some(7 << 64 | 7));
        assert_eq!(always.new_trace(|| 0), Some(1 << 64));
        let half = Sampler::named("traceidratio", Some("0.5")).unwrap();
        let of = |trace_id| Traceparent::new(trace_id, 8, true);
        assert!(half.records(&of(7 << 64 | 7)) && !half.records(&of(7 << 64 | u128::from(u64::MAX))));
    }

    #[test]
    fn about_one_trace_of_a_hundred_is_recorded_at_one_percent() {
        let sampler = Sampler::named("traceidratio", Some("0.01")).unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let recorded = (0..100_000).filter_map(|_| sampler.new_trace(|| random.u64(..))).count();
        assert!((800..1_200).contains(&recorded), "{recorded}");
    }
}
