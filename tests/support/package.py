"""The package as it is released: its two archives, made of the files that git knows, and an installation of one."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.lacking import lacking
from tests.support.places import TOP
from tests.support.waiting import LIMIT_SECONDS


def files_of_git(below: str = "") -> list[Path]:
    """The files of the checkout, those that are new included, relative to it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", below or "."]
    listed = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (TOP / name).exists()]


def build(folder: Path) -> tuple[Path, Path]:
    """The wheel and the source archive, built in ``folder`` from a copy of the files that git knows."""
    copy = folder / "checkout"
    for path in files_of_git():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / path, copy / path, follow_symlinks=False)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", copy]
    subprocess.run(command, capture_output=True, check=True, timeout=LIMIT_SECONDS)
    (wheel,), (source,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    return wheel, source


def install(package: Path, extra: str, folder: Path) -> Path:
    """Install ``package`` with an extra, and what they need, into a new environment; returns where its programs are.

    Skips the test where what it needs cannot be had: no network, and nothing of it kept by pip.
    """
    venv.create(folder, with_pip=True)
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, "--dry-run", "--no-deps", "tabulate"], capture_output=True).returncode != 0:
        pytest.skip(lacking("packages for a new environment"))
    tested = ["--constraint", TOP / "constraints.txt"]
    finished = subprocess.run([*command, *tested, f"{package}[{extra}]"], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return folder / "bin"
