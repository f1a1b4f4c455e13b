"""Where the machine code of the scanner is kept."""

import os
import tempfile
from pathlib import Path

_BESIDE_THE_SOURCE = Path(__file__).parent / "__pycache__"

_NUMBAS_FOLDER = "NUMBA_CACHE_DIR"


def keep_machine_code(data_dir: Path) -> None:
    """Have Numba keep machine code below ``data_dir`` where this package lies in a folder that cannot be written.

    To be called before the first message is decoded. It holds for the processes that this one starts, too; a
    NUMBA_CACHE_DIR that is set stays as it is.
    """
    if not os.environ.get(_NUMBAS_FOLDER) and not _can_be_written(_BESIDE_THE_SOURCE):
        os.environ[_NUMBAS_FOLDER] = str(data_dir.absolute() / "machine_code")


def _can_be_written(folder: Path) -> bool:
    """Whether a file can be made in ``folder``, which Numba tries in the same way."""
    try:
        folder.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
