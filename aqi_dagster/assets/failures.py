"""The first line of a failed run: our own error, which says what to do."""

import dagster as dg

from aqi_dagster.errors import AqiError


@dg.failure_hook
def log_cause(context: dg.HookContext) -> None:
    """Log our own error that failed a step, because Dagster's event buries it under pages of traceback."""
    if isinstance(context.op_exception, AqiError):
        context.log.error("%s: %s", type(context.op_exception).__name__, context.op_exception)
