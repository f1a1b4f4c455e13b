"""DAGSTER_HOME: the folder of Dagster's records, and of the ``dagster.yaml`` by which its processes run.

Without that file Dagster runs on its own defaults: it reports its use to its makers, and runs steps at once that share
the store.
"""

import difflib
import logging
import os
from importlib.resources import files
from pathlib import Path

from aqi_dagster.errors import ConfigurationError

DAGSTER_HOME = "DAGSTER_HOME"

SETTINGS = "dagster.yaml"
"""The file that this package carries, and that a home holds a copy of."""

_log = logging.getLogger(__name__)


def shipped_settings() -> str:
    """The ``dagster.yaml`` of this release."""
    return files("aqi_dagster").joinpath(SETTINGS).read_text(encoding="utf-8")


def use_dagster_home() -> Path:
    """Have Dagster keep its records in DAGSTER_HOME, or in .dagster if that is not set; returns the folder.

    A home without settings gets those of this release. Raises :class:`ConfigurationError` if it cannot be made.
    """
    home = Path(os.environ.get(DAGSTER_HOME) or ".dagster").absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / SETTINGS).exists():
            # Named like the process, since several may begin at once; a reader never sees half of the file.
            new = home / f"{SETTINGS}.{os.getpid()}"
            new.write_text(shipped_settings(), encoding="utf-8")
            new.replace(home / SETTINGS)
    except OSError as error:
        raise ConfigurationError(
            f"DAGSTER_HOME={home}, the folder of Dagster's records, cannot be made or written ({error.strerror}): give "
            "this user the right to, or set it to another folder."
        ) from error
    os.environ[DAGSTER_HOME] = str(home)
    return home


def differences(home: Path) -> str:
    """The lines in which the settings of ``home`` differ from those of this release, as a unified diff; "" if equal."""
    own = (home / SETTINGS).read_text(encoding="utf-8")
    lines = difflib.unified_diff(
        own.splitlines(), shipped_settings().splitlines(), str(home / SETTINGS), "this release", n=0, lineterm=""
    )
    return "\n".join(lines)


def warn_without_settings() -> None:
    """Log a warning if Dagster runs without a ``dagster.yaml``: whoever started it did so without this package."""
    home = os.environ.get(DAGSTER_HOME)
    if home and (Path(home) / SETTINGS).exists():
        return
    _log.warning(
        "%s: Dagster runs on its own defaults, with telemetry, and without pools, retries and the monitoring of runs. "
        "`aqi-dagster home` makes the folder.",
        f"DAGSTER_HOME={home} holds no {SETTINGS}" if home else "DAGSTER_HOME is not set",
    )
