//! Crates that must stay free of runtimes and I/O, and forbidden dependencies between crates, direct or through other crates.
//!
//! `cargo tree` gives the exact answer: it resolves the features of only the requested crate, while `cargo metadata` unites
//! those of the whole workspace.

use anyhow::{Context, Result, ensure};

use xtask::project;

/// The packages that one crate must not have in its tree of normal and build dependencies, on any platform.
pub(crate) struct Rule {
    package: &'static str,
    features: &'static [&'static str],
    /// The names; a trailing `*` matches all names with this prefix.
    banned: &'static [&'static str],
    reason: &'static str,
}

const ALL_FEATURES: &[&str] = &["--all-features"];
const NO_FEATURES: &[&str] = &["--no-default-features"];
/// The packages that only sample jobs need.
const HEAVY: &[&str] = &["image", "ravif", "webp", "lettre", "aws-sdk-s3"];
const HEAVY_REASON: &str = "what is released runs no image codec, no mail client and no client of S3";
/// The features of a release: `bin` without `demo`.
const RELEASED: &[&str] = &["--no-default-features", "--features", "bin"];

pub(crate) const RULES: &[Rule] = &[
    Rule {
        package: "drumline",
        features: ALL_FEATURES,
        banned: &[
            "drumline-*",
            "tokio*",
            "async-std",
            "async-io",
            "async-global-executor",
            "smol",
            "mio",
            "polling",
            "socket2",
            "aws-*",
            "lambda_*",
            "hyper*",
            "h2",
            "reqwest",
            "ureq",
            "axum*",
            "tonic*",
            "rustls*",
            "chrono",
            "jiff",
            "time",
            "fastrand",
            "rand",
            "getrandom",
        ],
        reason: "the handler crate decides and performs nothing: no AWS SDK, runtime, network, clock or randomness",
    },
    Rule {
        package: "drumline-contract",
        features: ALL_FEATURES,
        banned: &[
            "drumline-runtime",
            "drumline-consumer",
            "drumline-producer",
            "drumline-store",
            "tokio*",
            "mio",
            "socket2",
            "aws-*",
            "hyper*",
            "reqwest",
            "jiff",
            "fastrand",
        ],
        reason: "what a contract says and a guard finds depends on no AWS SDK, runtime, network or clock",
    },
    Rule {
        package: "drumline-dlq",
        features: ALL_FEATURES,
        banned: &[
            "drumline-runtime",
            "drumline-consumer",
            "drumline-store",
            "tokio*",
            "mio",
            "socket2",
            "aws-*",
            "hyper*",
            "jiff",
            "fastrand",
            "rand",
            "getrandom",
        ],
        reason: "what happens to dead letters is decided without AWS SDK, runtime, network, clock or randomness",
    },
    Rule {
        package: "drumline-queue",
        features: NO_FEATURES,
        banned: &["tokio*", "async-std", "smol", "mio", "socket2", "hyper*", "axum*", "aws-*"],
        reason: "without its HTTP endpoint the queue is plain data that any runtime can hold",
    },
    Rule {
        package: "drumline-lambda",
        features: ALL_FEATURES,
        banned: &[
            "drumline-testing",
            "aws-sdk-sso",
            "aws-sdk-ssooidc",
            "aws-sdk-signin",
            "drumline-lambda-local",
            "drumline-queue",
        ],
        reason: "a function has its role's credentials, and its size is part of every cold start",
    },
    Rule {
        package: "drumline-lambda-local",
        features: ALL_FEATURES,
        banned: &["drumline", "drumline-runtime", "drumline-lambda", "drumline-cli", "aws-*", "clap*"],
        reason: "a function on a laptop is a process behind the Runtime API, made with any library",
    },
    Rule {
        package: "drumline-store",
        features: ALL_FEATURES,
        banned: &[
            "drumline-testing",
            "drumline-runtime",
            "drumline-consumer",
            "drumline-lambda",
            "drumline-cli",
        ],
        reason: "arrows point inward: a store knows no host",
    },
    Rule {
        package: "drumline-runtime",
        features: ALL_FEATURES,
        banned: &[
            "drumline-testing",
            "drumline-consumer",
            "drumline-lambda",
            "drumline-cli",
            "drumline-producer",
            "drumline-queue",
            "drumline-lambda-local",
        ],
        reason: "arrows point inward: what the hosts share knows no host",
    },
    Rule {
        package: "drumline-consumer",
        features: ALL_FEATURES,
        banned: &[
            "drumline-testing",
            "drumline-cli",
            "drumline-lambda",
            "drumline-lambda-local",
            "drumline-jobs",
            "drumline-infra-rules",
            "drumline-queue",
            "clap*",
            "comfy-table",
            "indicatif",
            "hcl-rs",
            "axum-macros",
        ],
        reason: "a service that links the consumer gets no command line, no rules and no embedded queue",
    },
    Rule {
        package: "drumline-producer",
        features: ALL_FEATURES,
        banned: &[
            "drumline-testing",
            "drumline-consumer",
            "drumline-lambda",
            "drumline-lambda-local",
            "drumline-cli",
            "drumline-queue",
            "clap*",
        ],
        reason: "what sends jobs does not consume them",
    },
    Rule {
        package: "drumline-status",
        features: NO_FEATURES,
        banned: &[
            "drumline-runtime",
            "drumline-consumer",
            "drumline-producer",
            "drumline-lambda*",
            "drumline-cli",
            "aws-*",
            "clap*",
        ],
        reason: "what shows jobs to users reads a store, and neither runs nor sends jobs",
    },
    Rule {
        package: "drumline-otel",
        features: ALL_FEATURES,
        banned: &[
            "drumline-consumer",
            "drumline-lambda*",
            "drumline-cli",
            "drumline-producer",
            "tonic*",
            "reqwest",
            "clap*",
        ],
        reason: "what exports traces knows the hosts' seams and no host, and brings no second HTTP stack",
    },
    Rule {
        package: "drumline-consumer",
        features: NO_FEATURES,
        banned: &["drumline-otel", "opentelemetry*", "prost*"],
        reason: "a service without the feature `otel` links nothing of it",
    },
    Rule {
        package: "drumline-timetable",
        features: ALL_FEATURES,
        banned: &[
            "drumline-testing",
            "drumline-consumer",
            "drumline-lambda",
            "drumline-lambda-local",
            "drumline-cli",
            "drumline-queue",
            "clap*",
        ],
        reason: "what adds jobs at set times does not consume them",
    },
    Rule {
        package: "drumline-cli",
        features: NO_FEATURES,
        banned: &[
            "drumline-testing",
            "drumline-infra-rules",
            "drumline-queue",
            "drumline-jobs",
            "drumline-lambda",
            "drumline-lambda-local",
            "hcl-rs",
            "aws-sdk-sso",
        ],
        reason: "a service chooses what its command line brings: `doctor`, `dev`, `sign-in`, stores",
    },
    Rule {
        package: "drumline-testing",
        features: ALL_FEATURES,
        banned: &["drumline-consumer", "drumline-lambda", "drumline-cli", "drumline-jobs", "clap*"],
        reason: "tests of handlers need no host and no command line",
    },
    Rule { package: "drumline-cli", features: RELEASED, banned: HEAVY, reason: HEAVY_REASON },
    Rule { package: "drumline-lambda", features: RELEASED, banned: HEAVY, reason: HEAVY_REASON },
];

impl Rule {
    /// Returns one line for each banned package, with the chain that leads to it.
    pub(crate) fn check(&self) -> Result<Vec<String>> {
        let names = self.tree(&["--prefix", "none"])?;
        self.violations(&names)
            .into_iter()
            .map(|found| {
                let chain = self.tree(&["--invert", &found])?;
                Ok(format!("{} depends on {found}; {}\n{chain}", self.package, self.reason))
            })
            .collect()
    }

    fn tree(&self, more: &[&str]) -> Result<String> {
        let output = project::cargo()
            .args(["tree", "--package", self.package])
            .args(self.features)
            .args(["--edges", "normal,build", "--target", "all", "--format", "{p}"])
            .args(more)
            .output()
            .context("cannot start cargo tree")?;
        ensure!(
            output.status.success(),
            "cargo tree for {} failed: {}",
            self.package,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Returns the banned packages as `name@version`, from lines of the form `name vVERSION ...`.
    fn violations(&self, tree: &str) -> Vec<String> {
        let mut found: Vec<String> = tree
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some((words.next()?, words.next()?.strip_prefix('v')?))
            })
            .filter(|(name, _)| self.banned.iter().any(|pattern| matches(pattern, name)))
            .map(|(name, version)| format!("{name}@{version}"))
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const RULE: Rule = Rule {
        package: "core",
        features: ALL_FEATURES,
        banned: &["tokio*", "aws-*", "time"],
        reason: "it is a test",
    };

    #[test]
    fn banned_packages_are_found_once_at_any_place() {
        let tree = "core v0.1.0 (/src/core)\nserde v1.0.0\ntokio v1.2.3\naws-types v2.0.0\ntokio v1.2.3 (*)\n\
                    tokio-util v0.7.0 (proc-macro)\n";
        assert_eq!(RULE.violations(tree), ["aws-types@2.0.0", "tokio-util@0.7.0", "tokio@1.2.3"]);
    }

    #[test]
    fn similar_names_are_no_violation() {
        let tree =
            "core v0.1.0\nhumantime v2.0.0\ntime-core v0.1.0\naws v1.0.0\nfutures-tokio v1.0.0\n\n[build]\n";
        assert_eq!(RULE.violations(tree), Vec::<String>::new());
    }

    #[test]
    fn a_real_tree_is_read_and_its_chain_shown() {
        // xtask's own tree contains clap.
        let rule = Rule { package: "xtask", features: ALL_FEATURES, banned: &["clap"], reason: "a test" };
        let violations = rule.check().unwrap();
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(violations[0].starts_with("xtask depends on clap@"), "{violations:?}");
        assert!(violations[0].contains("└── xtask v"), "{violations:?}");
    }
}
