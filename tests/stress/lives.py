"""The life of an installation: what it is told to do, by which clock, and whether it is ever wrong without a word.

Time is that of the readings: it stands ten minutes behind the end of a window, and goes on with the next one.
"""

import re
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import duckdb

from aqi_dagster.pipeline.readings.accounting import missing_offsets, unaccounted_messages
from aqi_dagster.pipeline.reporting.status import Choices
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.pipeline_settings import anomaly_thresholds, detector_parameters, region_choice
from aqi_dagster.settings import Settings
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, utc_now, window_key
from tests.stress.commands import Ended, run_command
from tests.stress.disk import Disk
from tests.stress.doomed import Doom
from tests.stress.life_readings import Part
from tests.support.messages import FIRST_WINDOW
from tests.support.pipeline import wrong_without_a_word
from tests.support.places import TOP
from tests.support.slack_server import Slack
from tests.support.topics import Topic

RANGE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d) to (\d{4}-\d\d-\d\dT\d\d:\d\d)")

WORDS = {
    "its disk was full": re.compile("The disk of .* is full|could not be merged into the store|cannot be written"),
    "its clock could not be right": re.compile("The clock of this machine|the clock of this machine says"),
    "detectors were of other settings": re.compile("compute all scores anew: materialize all windows"),
    "other windows were to be run first": RANGE,
    "there was no such window": re.compile("There is no window .* to materialize"),
}
"""Why a command failed, and how its error says so; each says what to do."""

TICK = timedelta(minutes=10)

RIGHT = timedelta()
"""How far a clock that is right is ahead."""

JOB = ["readings", "sensor_health", "scored_readings", "anomalies", "regional_windows"]


@dataclass
class Life:
    """An installation, what comes to its topic, and what it lived through."""

    random: Random
    folder: Path
    settings: dict[str, str]
    disk: Disk
    topic: Topic
    slack: Slack
    parts: list[Part]
    ended: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    looked_at: int = 0
    checked: int = 0
    story: list[str] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)

    @property
    def published(self) -> Path:
        """The published copy."""
        return self.disk.folder / "aqi.duckdb"

    @property
    def private(self) -> Path:
        """The store."""
        return self.disk.folder / "private" / "store.duckdb"

    @property
    def now(self) -> datetime:
        """The moment that is right in this life."""
        return FIRST_WINDOW + self.ended * WINDOW_LENGTH + TICK + timedelta(seconds=time.monotonic() - self._started)

    @property
    def choices(self) -> Choices:
        """The present settings."""
        settings = Settings.model_validate(self.settings)
        return Choices(
            settings.first_window,
            detector_parameters(settings),
            anomaly_thresholds(settings),
            region_choice(settings),
            RULE_SETS[settings.rules],
        )

    @property
    def windows(self) -> WindowRange | None:
        """The windows that have ended, from the first one on; None before it has."""
        last = FIRST_WINDOW + (self.ended - 1) * WINDOW_LENGTH
        return WindowRange(self.choices.first_window, last) if self.choices.first_window <= last else None

    def go_on(self, windows: int) -> None:
        """Let time pass, and messages come."""
        for part in self.parts[self.ended : self.ended + windows]:
            for partition, messages in part.items():
                self.topic.send(messages, partition)
        self.ended = min(self.ended + windows, len(self.parts))

    def run(
        self,
        arguments: Sequence[str],
        doom: Doom | None = None,
        killed_after: float | None = None,
        clock_off: timedelta = RIGHT,
    ) -> Ended:
        """Run a command, which may fail with an error of the domain; ``clock_off``: how far its clock is ahead."""
        off = self.now - utc_now() + clock_off
        ended = run_command(arguments, self.folder, self.settings, doom, killed_after, off)
        self.story.append(f"{window_key(self.now)} {' '.join(arguments)}: {ended.status}")
        if ended.was_killed:
            outcome = "killed"
        elif ended.status:
            outcome = next((reason for reason, word in WORDS.items() if word.search(ended.told)), "")
            assert outcome, self.tell(f"failed: {ended.told[-3000:]}")
        else:
            outcome = "succeeded"
        self.runs[outcome] += 1
        return ended

    def materialize(self, windows: WindowRange, **how: object) -> Ended:
        """Run a range of windows."""
        first, last = windows.keys
        return self.run(["materialize", "--from", first, "--to", last], **how)  # type: ignore[arg-type]

    def look(self, event: str) -> None:
        """Look whether what is published is wrong without a word: no range is named, and yet it is not as it should."""
        self.looked_at += 1
        if not self.published.exists():
            return
        with duckdb.connect(str(self.published), read_only=True) as connection:
            faults = [str(fault) for fault in unaccounted_messages(connection) + missing_offsets(connection)]
            differ = wrong_without_a_word(connection, self.choices)
        self.checked += differ is not None
        if faults or differ:
            self.wrong.append(self.tell(f"after {event}: {faults or differ}"))

    def wipe(self) -> None:
        """Lose the store and what was published of it."""
        for path in self.disk.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def back_up(self, copy: Path) -> None:
        """Copy the store, as docs/operation.md has it."""
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self.private.parent.glob("store.duckdb*"):
            shutil.copy(path, copy)

    def restore(self, copy: Path) -> None:
        """Put a copy in the place of the store, as docs/operation.md has it."""
        self.private.parent.mkdir(mode=0o700, exist_ok=True)
        for path in self.private.parent.glob("store.duckdb*"):
            path.unlink()
        for path in copy.iterdir():
            shutil.copy(path, self.private.parent)

    def forget_runs(self) -> None:
        """Lose Dagster's records; the operator makes the folder anew, with its settings."""
        home = Path(self.settings["DAGSTER_HOME"])
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        shutil.copy(TOP / "dagster.yaml", home)

    def tell(self, what: str) -> str:
        """``what``, with all that happened before."""
        return "\n".join([*self.story, what])


def begin(
    random: Random, folder: Path, disk: Disk, topic: Topic, slack: Slack, parts: list[Part], **settings: str
) -> Life:
    """A life that was not lived yet."""
    shutil.copy(TOP / "dagster.yaml", folder)
    own = {
        "KAFKA_BOOTSTRAP_SERVERS": topic.servers,
        "KAFKA_TOPIC": topic.name,
        "KAFKA_CHUNK_MESSAGES": "300",
        "AQI_DATA_DIR": str(disk.folder),
        "AQI_FIRST_WINDOW": FIRST_WINDOW.isoformat(),
        "AQI_STATES_KEPT_DAYS": "3",
        "AQI_DIGEST_AFTER_HOURS": "87600",
        "DAGSTER_HOME": str(folder / "dagster"),
        "SLACK_WEBHOOK_URL": slack.url,
    }
    return Life(random, folder, own | settings, disk, topic, slack, parts)
