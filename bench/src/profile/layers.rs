//! The layers of a worker, and the assignment of a sampled stack to one.

use serde::Serialize;

/// A part of a worker in which processor time is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Layer {
    Client,
    Driver,
    Ledger,
    Decode,
    Claim,
    Span,
    Metrics,
    Run,
    Hop,
    Kernel,
    Other,
}

/// The path prefixes of a layer's functions. The first entry that matches a function counts.
const PATHS: &[(Layer, &[&str])] = &[
    (
        Layer::Client,
        &[
            "drumline_sqs::",
            "drumline_runtime::aws::",
            "aws_",
            "http::",
            "httparse::",
            "hyper::",
            "hyper_rustls::",
            "hyper_util::",
            "mio::",
            "ring::",
            "rustls::",
            "tokio::io::",
            "tokio::net::",
            "tokio::runtime::io::",
        ],
    ),
    (Layer::Ledger, &["drumline::core::"]),
    (Layer::Claim, &["drumline_store::", "drumline_runtime::claims::", "drumline::run::claim"]),
    (
        Layer::Span,
        &["tracing", "drumline_runtime::logs", "drumline_runtime::logging", "drumline_runtime::span_"],
    ),
    (Layer::Metrics, &["drumline_consumer::metrics", "drumline_runtime::since_sent", "prometheus_client::"]),
    (Layer::Decode, &["drumline::message::", "drumline::api::router", "xxhash_rust::"]),
    (Layer::Driver, &["drumline_runtime::", "drumline_consumer::"]),
    (Layer::Run, &["drumline::", "noop::"]),
    (Layer::Hop, &["tokio::"]),
];

impl Layer {
    pub(super) const ALL: [Self; 11] = [
        Self::Client,
        Self::Driver,
        Self::Ledger,
        Self::Decode,
        Self::Claim,
        Self::Span,
        Self::Metrics,
        Self::Run,
        Self::Hop,
        Self::Kernel,
        Self::Other,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Client => "client: requests, signatures, answers, HTTP",
            Self::Driver => "driver: the loop around the ledger",
            Self::Ledger => "ledger",
            Self::Decode => "decode: envelope, identity, payload",
            Self::Claim => "claim: the store",
            Self::Span => "span and logs",
            Self::Metrics => "metrics",
            Self::Run => "run: context and handler",
            Self::Hop => "handler hop: tokio's tasks, wake-ups, channels",
            Self::Kernel => "kernel: sockets, wake-ups, memory",
            Self::Other => "other",
        }
    }

    /// Returns the layer of a stack, whose innermost function comes first.
    ///
    /// Functions that a layer calls belong to it: allocation, copies and JSON count for the function that needs them.
    pub(super) fn of<'a>(stack: impl IntoIterator<Item = (u64, &'a str)>) -> Self {
        for (place, (address, function)) in stack.into_iter().enumerate() {
            if place == 0 && address >= KERNEL {
                return Self::Kernel;
            }
            let path = path(function);
            let fits = |paths: &[&str]| paths.iter().any(|beginning| path.starts_with(beginning));
            if let Some((layer, _)) = PATHS.iter().find(|(_, paths)| fits(paths)) {
                return *layer;
            }
        }
        Self::Other
    }
}

/// The lowest address of the kernel on 64-bit machines.
const KERNEL: u64 = 1 << 63;

/// Returns the path at the beginning of a function's name: that of the type, for a method of a trait and for the drop of a
/// value.
fn path(function: &str) -> &str {
    let mut path = function.strip_prefix("core::ptr::drop_in_place").unwrap_or(function);
    let before = ["<", "&", "mut ", "dyn ", "(", "*const ", "*mut "];
    while let Some(rest) = before.iter().find_map(|before| path.strip_prefix(before)) {
        path = rest;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(stack: &[&str]) -> Layer {
        Layer::of(stack.iter().map(|function| (0x1000, *function)))
    }

    #[test]
    fn the_innermost_function_of_a_layer_decides() {
        let client = [
            "__memmove_avx512_unaligned_erms",
            "serde_json::de::from_trait",
            "<drumline_sqs::decode::Shape as serde_core::de::Deserialize>::deserialize",
            "<tracing::instrument::Instrumented<T> as core::future::future::Future>::poll",
            "tokio::runtime::task::raw::poll",
        ];
        assert_eq!(layer(&client), Layer::Client);
        assert_eq!(layer(&client[3..]), Layer::Span);
        assert_eq!(layer(&client[4..]), Layer::Hop);
        assert_eq!(layer(&client[..2]), Layer::Other);
        assert_eq!(Layer::of([(0xffff_ffff_8100_0130, "entry_SYSCALL_64"), (1, client[2])]), Layer::Kernel);
    }

    #[test]
    fn methods_and_drops_belong_to_their_type() {
        let drop = "core::ptr::drop_in_place<drumline_store::memory::name::Name>";
        assert_eq!(layer(&["mi_free", drop]), Layer::Claim);
        let host = "<drumline_runtime::handlers::TokioHost as drumline::api::run_environment::RunEnvironment>::admit";
        assert_eq!(layer(&[host]), Layer::Driver);
        assert_eq!(layer(&["<&mut drumline::core::ledger::Ledger as core::fmt::Debug>::fmt"]), Layer::Ledger);
    }
}
