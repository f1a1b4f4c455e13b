"""The jars of Apache Kafka's server: Maven fetches what pom.xml names, once, into a folder that git ignores."""

import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from tests.support.places import TOP

POM = TOP / "tests" / "kafka" / "pom.xml"

JARS = TOP / "tests" / "kafka" / "jars"

FETCH_TIMEOUT_SECONDS = 240.0
"""Limit for Maven, so that a repository that does not answer is told and not waited for."""


class KafkaMissingError(Exception):
    """Apache Kafka cannot be had on this machine; the text says why."""


def program(name: str) -> str:
    """Where the program ``name`` is; :class:`KafkaMissingError` if it is not installed."""
    path = shutil.which(name)
    if path is None:
        raise KafkaMissingError(f"{name} is not installed (Apache Kafka needs Java 17 or newer, and Maven to fetch it)")
    return path


def kafka_jars() -> Path:
    """The folder of the jars, fetched if they are not those of pom.xml as it is now.

    Raises :class:`KafkaMissingError` if they cannot be fetched.
    """
    JARS.mkdir(exist_ok=True)
    # Written last: jars whose pom is missing or another one were not fetched whole, or are of another version.
    fetched = JARS / POM.name
    with FileLock(JARS / ".lock", timeout=2 * FETCH_TIMEOUT_SECONDS):
        if not fetched.exists() or fetched.read_bytes() != POM.read_bytes():
            fetched.unlink(missing_ok=True)
            for jar in JARS.glob("*.jar"):
                jar.unlink()
            _fetch()
            shutil.copy(POM, fetched)
    return JARS


def _fetch() -> None:
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={JARS}"]
    try:
        subprocess.run(
            [program("mvn"), "--quiet", "--batch-mode", "-Dstyle.color=never", "--file", POM, *goal],
            check=True,
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        told = (error.stdout + error.stderr).strip().splitlines()[:1]
        raise KafkaMissingError(f"Maven could not fetch Apache Kafka: {' '.join(told)}") from None
    except subprocess.TimeoutExpired:
        raise KafkaMissingError(f"Maven did not fetch Apache Kafka within {FETCH_TIMEOUT_SECONDS:g} s") from None
