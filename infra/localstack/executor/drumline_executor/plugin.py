"""What LocalStack finds by the entry point."""

from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    """Chosen by `LAMBDA_RUNTIME_EXECUTOR=process`."""

    name = "process"

    def load(self, *_args: object, **_kwargs: object) -> type[RuntimeExecutor]:
        # Not at the top: looking for plugins must not load those that are not used.
        from drumline_executor.executor import ProcessExecutor

        return ProcessExecutor
