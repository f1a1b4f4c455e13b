"""What an installation is called by, and where its settings come from."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from dotenv import load_dotenv

NAME = "aqi-dagster"

ENV_FILE = Path(".env")


def read_env_file() -> str:
    """Add to the environment what it lacks of the settings in ``.env`` of the present folder.

    Returns a line that says where settings come from.
    """
    path = ENV_FILE.absolute()
    if not path.is_file():
        return f"Settings: from the environment; there is no {path}."
    load_dotenv(path)
    return f"Settings: from the environment, then from {path}."


def own_command() -> str:
    """The words by which a shell in the present folder calls this ``aqi-dagster``."""
    called = Path(sys.argv[0])
    # Other programs, such as Dagster's, know it by the Python that they share.
    program = called.absolute() if called.name == NAME else Path(sys.executable).with_name(NAME)
    on_path = shutil.which(NAME)
    if on_path is not None and Path(on_path).absolute() == program:
        return NAME
    return shell_path(program)


def shell_path(path: Path) -> str:
    """``path`` as a word for a shell, from the present folder if it lies in that."""
    relative = os.path.relpath(path)
    return shlex.quote(str(path.absolute()) if relative.startswith(os.pardir) else relative)
