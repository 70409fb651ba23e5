"""Lambda functions of LocalStack as child processes, without Docker.

LocalStack runs functions through a *runtime executor*, a plugin that it finds by its entry point. Its own one needs
Docker; this one takes the `bootstrap` out of a `provided.al2023` function's archive, starts it, and serves it the
Lambda Runtime API on the loopback interface.

- `plugin.py`: what LocalStack finds, and loads when a function is made.
- `executor.py`: one execution environment, as LocalStack drives it. LocalStack makes as many as there are
  invocations at once, and keeps each for the next invocation.
- `sandbox.py`: the process of such an environment. It is replaced when it ends or is over time.
- `runtime_api.py`: the HTTP server that this process asks for invocations.

Nothing is installed: `PYTHONPATH` names the folder above this one, and the `.dist-info` folder there holds the entry
point. `LAMBDA_RUNTIME_EXECUTOR=process` chooses it. `cargo xtask localstack` and `cargo xtask test` do both.

Differences from AWS: the memory size is passed to the function, not enforced; there is no isolation, so it is for
one's own functions; layers, extensions and container images are not supported; the start does not count as a part of
the first invocation.
"""
