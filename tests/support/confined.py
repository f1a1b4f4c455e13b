"""Other processes with a disk of their own that is too small, and with no more rights than the modes of files give."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lacking import lacking
from tests.support.waiting import LIMIT_SECONDS

_SMALL_DISK = """
import json, os, shutil, subprocess, sys
from pathlib import Path

disk = Path(sys.argv[1])

def resize(kilobytes):
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", "none", str(disk)], check=True)

def say(word):
    print(json.dumps(word), flush=True)
"""

_OWN_DISK = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]

_MOUNT = 'mount -t tmpfs -o size=64m none "$1" && shift && exec "$@"'


def on_small_disk(code: str, folder: Path) -> list[str]:
    """The lines that ``code`` says with ``say``, where ``disk`` is a disk in memory at ``folder`` that it may resize.

    Skips the test where this machine lets nobody mount a disk for oneself.
    """
    trial = [*_OWN_DISK, _MOUNT, "sh", str(folder), "true"]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True).returncode != 0:
        pytest.skip(lacking("a disk of one's own (unshare and mount)"))
    return _lines([*_OWN_DISK, _MOUNT, "sh", str(folder), sys.executable, "-c", _SMALL_DISK + code, str(folder)])


def without_privileges(code: str, *arguments: object) -> list[str]:
    """The lines that ``code`` prints where file modes bind it, as they bind everyone but root.

    Skips the test where this process is root and cannot give that up.
    """
    return _lines(bound_by_modes([sys.executable, "-c", code, *map(str, arguments)]))


def bound_by_modes(command: list[str]) -> list[str]:
    """``command`` as someone whom file modes bind, as they bind everyone but root.

    Skips the test where this process is root and cannot give that up.
    """
    if os.getuid() != 0:
        return command
    if shutil.which("setpriv") is None:
        pytest.skip(lacking("setpriv, for a root that file modes bind"))
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", *command]


def _lines(command: list[str]) -> list[str]:
    finished = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()
