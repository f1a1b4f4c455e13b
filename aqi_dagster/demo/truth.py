"""What is known to be true of a set of readings, and how far what rules find agrees with it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, Self, TypeVar

from aqi_dagster.demo.summer import Summer
from aqi_dagster.errors import InputFileError
from aqi_dagster.pipeline.verdicts.label_files import parse_labels
from aqi_dagster.pipeline.verdicts.labels import Label
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_key, window_start

Thing = TypeVar("Thing")

SensorWindow = tuple[str, datetime]
"""A sensor in a window (start, naive UTC)."""


@dataclass(frozen=True)
class Truth:
    """The windows (starts, naive UTC) with smoke, and the sensors that were broken in a window.

    ``windows`` and ``pairs`` are those of which the truth is known at all; None stands for all there are.
    """

    smoke_windows: frozenset[datetime]
    broken: frozenset[SensorWindow]
    windows: frozenset[datetime] | None = None
    pairs: frozenset[SensorWindow] | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """The truth in a JSON file: ``smoke_windows`` are starts, ``broken`` are pairs of a start and a sensor.

        It may be a file of exported labels, too. Raises ``InputFileError`` if it is of another form.
        """
        try:
            content = json.loads(path.read_text())
            if "labels" in content:
                return cls(frozenset(), frozenset(), frozenset(), frozenset()).corrected_by(parse_labels(content))
            smoke = frozenset(map(_start, content["smoke_windows"]))
            broken = frozenset((str(sensor), _start(start)) for start, sensor in content["broken"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputFileError(f"{path} is no file of truth ({error!r}); docs/verdicts.md has the form.") from error
        return cls(smoke, broken)

    @classmethod
    def of_summer(cls, summer: Summer, until: datetime) -> Self:
        """The labels of a synthetic ``summer`` up to the end ``until``."""
        smoke = {window for window, kind in summer.expected_verdicts(until).items() if kind == "smoke"}
        broken = {
            (sensor, window)
            for episode in summer.episodes(until)
            if episode.kind == "malfunction"
            for window in WindowRange(window_start(episode.start), window_start(episode.end - datetime.resolution))
            if window + WINDOW_LENGTH <= until
            for sensor in episode.sensors
        }
        return cls(frozenset(smoke), frozenset(broken))

    def corrected_by(self, labels: Sequence[Label]) -> Self:
        """The same with what ``labels`` say; there is smoke in a window if there is in one of its regions."""
        starts = {label.subject.window_start for label in labels if label.subject.region}
        smoke = {label.subject.window_start for label in labels if label.truth == "smoke"}
        of_sensors = [label for label in labels if label.subject.sensor]
        pairs = {(label.subject.sensor, label.subject.window_start): label.truth == "broken" for label in of_sensors}
        broken = {pair for pair, is_broken in pairs.items() if is_broken}
        return replace(
            self,
            smoke_windows=self.smoke_windows - starts | smoke,
            broken=self.broken - pairs.keys() | broken,
            windows=None if self.windows is None else self.windows | starts,
            pairs=None if self.pairs is None else self.pairs | pairs.keys(),
        )


@dataclass(frozen=True)
class Agreement(Generic[Thing]):
    """What was ``found`` beside what is ``true``."""

    found: Set[Thing]
    true: Set[Thing]

    @classmethod
    def among(cls, known: Set[Thing] | None, found: Set[Thing], true: Set[Thing]) -> Self:
        """The same among what is ``known``; None stands for all."""
        return cls(found if known is None else found & known, true)

    @property
    def recall(self) -> str:
        """How many of the true ones were found."""
        return _share(len(self.found & self.true), len(self.true))

    @property
    def precision(self) -> str:
        """How many of those found are true."""
        return _share(len(self.found & self.true), len(self.found))

    @property
    def missed(self) -> Set[Thing]:
        """True, but not found."""
        return self.true - self.found

    @property
    def false(self) -> Set[Thing]:
        """Found, but not true as far as is known."""
        return self.found - self.true


def by_sensor(pairs: Iterable[SensorWindow]) -> list[str]:
    """A line for each sensor: in how many windows, from which to which."""
    windows: dict[str, list[datetime]] = defaultdict(list)
    for sensor, start in sorted(pairs):
        windows[sensor].append(start)
    return [
        f"{sensor}: {len(starts)} in {window_key(starts[0])} to {window_key(starts[-1])}"
        for sensor, starts in windows.items()
    ]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}"


def _start(text: str) -> datetime:
    """The start of a window as naive UTC; ``ValueError`` if no window starts there."""
    moment = datetime.fromisoformat(text)
    start = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    if window_start(start) != start:
        raise ValueError(f"no window starts at {text}")
    return start
