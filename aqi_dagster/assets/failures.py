"""What a failed run shows first: our own error, which says what to do, on a line of its own."""

import dagster as dg

from aqi_dagster.errors import AqiError


@dg.failure_hook
def log_cause(context: dg.HookContext) -> None:
    """Log the error of this domain that failed a step: Dagster's own event hides it below pages of traceback."""
    if isinstance(context.op_exception, AqiError):
        context.log.error("%s: %s", type(context.op_exception).__name__, context.op_exception)
