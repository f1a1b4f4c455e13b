"""A change to one file, and the files in which changes are made."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.places import TOP

ROOMS = ["store", "readings", "detection", "health", "verdicts", "alerts"]
"""Rooms of the pipeline whose code is changed, from the lowest floor up."""

PIPELINE = Path("aqi_dagster", "pipeline")


@dataclass(frozen=True)
class Mutant:
    """``file`` (from the top of the checkout) with the ``text`` that has one change, ``before`` to ``after``.

    ``language`` is what was changed: Python, or SQL, which may stand in a module, too.
    """

    language: str
    file: Path
    line: int
    before: str
    after: str
    text: str

    @property
    def room(self) -> str:
        """The room that the file is in."""
        return self.file.relative_to(PIPELINE).parts[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {_in_short(self.before)}  ->  {_in_short(self.after)}"


def files_of(room: str, *endings: str) -> Iterator[Path]:
    """The files of a room, from the top of the checkout, in order."""
    for path in sorted((TOP / PIPELINE / room).rglob("*")):
        if path.suffix in endings and path.name != "__init__.py":
            yield path.relative_to(TOP)


def changed_lines(before: str, after: str) -> tuple[int, str, str]:
    """Number of the first line that differs, and all lines that do, before and after."""
    old, new = before.splitlines(), after.splitlines()
    first = next(number for number, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1])
    same_at_end = 0
    while same_at_end < min(len(old), len(new)) - first - 1 and old[-1 - same_at_end] == new[-1 - same_at_end]:
        same_at_end += 1
    return (
        first + 1,
        "\n".join(old[first : len(old) - same_at_end]),
        "\n".join(new[first : len(new) - same_at_end]),
    )


def _in_short(lines: str) -> str:
    return " ".join(lines.split()) or "nothing"
