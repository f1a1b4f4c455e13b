"""Where messages come from, and what was wrong there: all that a user is told of files."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from aqi_dagster.pipeline.numbers import counted

FAULTS_NAMED = 3
"""Lines of a file that are named one by one; the others are counted."""


@dataclass(eq=False)
class Source:
    """A file, or what one device has in it, with what its messages are by the definition of a reading.

    ``device`` is what tells it from others at the same place: a name, a number; None where the file tells nothing.
    """

    path: Path
    kind: str
    device: str | None = None
    messages: int = 0
    readings: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    def __str__(self) -> str:
        return f"{self.path}" if self.device is None else f"{self.path} ({self.device})"


class Report:
    """What was read of files, what was left out and why, and what is wrong with them."""

    def __init__(self) -> None:
        self._sources: dict[tuple[Path, str | None], Source] = {}
        self.notes: list[str] = []
        self.left_out: list[str] = []
        self._faults: dict[Path | None, list[str]] = defaultdict(list)
        self._further: Counter[Path | None] = Counter()

    def source(self, path: Path, kind: str, device: str | None = None) -> Source:
        """The source of the messages that ``device`` has in the file ``path``."""
        return self._sources.setdefault((path, device), Source(path, kind, device))

    @property
    def sources(self) -> list[Source]:
        """All sources, in order of their first message."""
        return [*self._sources.values()]

    def bad_line(self, path: Path, number: int, problem: str) -> None:
        """Note what is wrong with a line; it is no message."""
        if len(self._faults[path]) < FAULTS_NAMED:
            self._faults[path].append(f"{path}, line {number}: {problem}")
        else:
            self._further[path] += 1

    def fault(self, problem: str) -> None:
        """Note what is wrong with a file or with several."""
        self._faults[None].append(problem)

    @property
    def faults(self) -> list[str]:
        """All that is wrong, file by file."""
        told = []
        for path, problems in self._faults.items():
            told += problems
            if self._further[path]:
                told.append(f"{path}: {counted(self._further[path], 'more line')} like these")
        return told
