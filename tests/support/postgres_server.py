"""A real Postgres on 127.0.0.1, for Dagster's records."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.lacking import lacking
from tests.support.ports import free_port
from tests.support.waiting import LIMIT_SECONDS

USER = "postgres"
"""As whom the server runs where the tests run as root, which it refuses; Debian's package makes the user."""


def _programs() -> Path:
    """The folder of Postgres's programs; Debian has them in none of PATH."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    if found is None:
        pytest.skip(lacking("Postgres"))
    return Path(found).parent


@contextmanager
def postgres_server() -> Iterator[str]:
    """A new server, which forgets everything at the end; yields its address as SQLAlchemy takes it."""
    programs, port = _programs(), free_port()
    other_user = USER if os.geteuid() == 0 else None
    # Not below pytest's own folder, which only the user of the tests may enter.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        if other_user is not None:
            os.chown(folder, pwd.getpwnam(other_user).pw_uid, -1)
        data = Path(folder) / "data"
        subprocess.run(
            [programs / "initdb", "--auth=trust", "--no-sync", f"--username={USER}", data],
            check=True,
            stdout=subprocess.DEVNULL,
            user=other_user,
            cwd=folder,
        )
        options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
        control = [programs / "pg_ctl", "--pgdata", data, "--log", Path(folder) / "log", "--wait"]
        limit = ["--timeout", str(int(LIMIT_SECONDS))]
        subprocess.run(
            [*control, *limit, "--options", options, "start"],
            check=True,
            stdout=subprocess.DEVNULL,
            user=other_user,
            cwd=folder,
        )
        try:
            yield f"postgresql+psycopg2://{USER}@127.0.0.1:{port}/postgres"
        finally:
            stop = [*control, *limit, "--mode", "immediate", "stop"]
            subprocess.run(stop, check=True, stdout=subprocess.DEVNULL, user=other_user, cwd=folder)
