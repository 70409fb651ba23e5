# The `drumline` binary as an image: non-root, no shell, a read-only root will do. The consumer of this repository's jobs, or
# of any HTTP application's by DRUMLINE_FORWARD_TO. A service of your own takes this file with its own package
# and binary in the two lines of `cargo build`, without the features, and copies `[profile.dist]` from Cargo.toml.
#
#     docker build --tag drumline:0.1.0 .
#     docker run --rm drumline:0.1.0 --help

# The release that rust-toolchain.toml names, whose linters a build does not need. Of the same Debian as the image below,
# whose C library it is linked to.
FROM rust:1.95.0-bookworm AS build
ENV RUSTUP_TOOLCHAIN=1.95.0
# `demo` has the sample jobs with image codecs, mail and S3 as well.
ARG FEATURES=bin
WORKDIR /build
COPY . .
# The cache mounts keep what is built from one build of the image to the next.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --profile dist --locked --package drumline-cli --no-default-features --features "$FEATURES" && \
    cp target/dist/drumline /drumline

# C library and root certificates, and nothing to run but what is put there.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /drumline /usr/local/bin/drumline
# `nonroot`, as a number, because Kubernetes' runAsNonRoot cannot look a name up.
USER 65532:65532
# Exec forms: SIGTERM reaches the process itself, and there is no shell.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["/usr/local/bin/drumline", "health"]
ENTRYPOINT ["/usr/local/bin/drumline"]
CMD ["run"]
