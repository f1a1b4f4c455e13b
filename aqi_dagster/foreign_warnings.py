"""Warnings of other packages that nobody who reads our output can act on: each is left out by its own words.

Whatever is not named here is shown.
"""

import logging
import os
import warnings
from pathlib import Path

PYTHON_WARNINGS = [
    # Dagster calls backfill policies beta whenever it loads ours. Without them a backfill is a run for each window.
    "Parameter `backfill_policy`",
    # Dagster would have us call `dg dev`, which is a package of its own and starts the same processes.
    "Function `dev_command` is superseded",
]
"""How their messages begin."""

NO_CURSOR = "No cursor for event type"
"""Of Dagster's daemon in a new DAGSTER_HOME, about runs before it: there are none that it might retry."""

SETTINGS_IN_TWO_PLACES = "will not be used to configure Dagster"
"""Of `dagster dev` about the ``dagster.yaml`` of the present folder, of which DAGSTER_HOME holds a copy."""


def environment() -> dict[str, str]:
    """Variables by which Python processes that we start leave out :data:`PYTHON_WARNINGS`."""
    entries = [os.environ.get("PYTHONWARNINGS", ""), *(f"ignore:{message}" for message in PYTHON_WARNINGS)]
    return {"PYTHONWARNINGS": ",".join(filter(None, entries))}


def leave_out_python_warnings() -> None:
    """Leave out :data:`PYTHON_WARNINGS` in this process."""
    for message in PYTHON_WARNINGS:
        warnings.filterwarnings("ignore", message)


def leave_out_log_lines() -> None:
    """Leave out the lines of Dagster's log in this process."""
    logging.getLogger("dagster.daemon.EventLogConsumerDaemon").addFilter(_is_no_missing_cursor)
    logging.getLogger("dagster").addFilter(_is_no_copy_of_settings)


def _is_no_missing_cursor(record: logging.LogRecord) -> bool:
    return NO_CURSOR not in record.getMessage()


def _is_no_copy_of_settings(record: logging.LogRecord) -> bool:
    """False for the line about ``dagster.yaml``, unless the one in DAGSTER_HOME says something else."""
    if SETTINGS_IN_TWO_PLACES not in record.getMessage():
        return True
    here, used = Path("dagster.yaml"), Path(os.environ["DAGSTER_HOME"]) / "dagster.yaml"
    return not used.exists() or here.read_bytes() != used.read_bytes()
