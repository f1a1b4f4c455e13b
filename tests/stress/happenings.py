"""What happens to an installation in its life: each thing is a function, and what there is to choose is drawn."""

from collections.abc import Callable
from datetime import timedelta

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.stress.doomed import COMMITTED, CONSUMING, DAGSTER_ASSET, PUBLISHING, TRANSACTION, Doom
from tests.stress.lives import JOB, Life
from tests.support.messages import FIRST_WINDOW

PLACES = {COMMITTED: 8, TRANSACTION: 80, CONSUMING: 6, PUBLISHING: 16}
"""Where a run kills itself, and at which passing by at the latest."""

OTHER_SETTINGS = {
    "AQI_SCORE_THRESHOLD": ["0.7", "0.5"],
    "AQI_PM25_THRESHOLD": ["50", "700"],
    "AQI_REGION": ["Lake Tahoe", "Tahoe Basin"],
    "AQI_RULES": ["notebook", "network"],
    "AQI_FIRST_WINDOW": [(FIRST_WINDOW + number * WINDOW_LENGTH).isoformat() for number in (0, 1, 3, 10)],
    "AQI_DETECTOR_WINDOW_SIZE": ["50", "30"],
    "AQI_STATES_KEPT_DAYS": ["1", "3"],
}


def tick(life: Life) -> None:
    """What the schedule does."""
    ended = life.windows
    if ended is None:
        return
    with Store(life.disk.folder).reader_or_none() as connection:
        ranges = due_ranges(connection, ended)
    for windows in ranges:
        life.materialize(windows)


def time_passes(life: Life) -> None:
    """One to four windows end, and the schedule ticks, or was switched off."""
    life.go_on(life.random.randint(1, 4))
    if life.random.random() < 0.8:
        tick(life)


def newest_alone(life: Life) -> None:
    """Somebody materializes the newest window and no other."""
    life.go_on(1)
    if life.windows:
        life.materialize(WindowRange(life.windows.last, life.windows.last))


def killed(life: Life) -> None:
    """A run is killed at a named place or at a random moment."""
    windows = _some(life)
    if life.random.random() < 0.7:
        place, latest = life.random.choice([*PLACES.items()])
        life.materialize(windows, doom=Doom(place, life.random.randint(1, latest)))
    else:
        life.materialize(windows, killed_after=life.random.uniform(0.3, 3))


def backfills(life: Life) -> None:
    """Parts of the past are run in random order."""
    parts = [_some(life) for _ in range(life.random.randint(1, 3))]
    for part in parts:
        life.materialize(part)


def assets_alone(life: Life) -> None:
    """Some assets of some windows are run without the others."""
    chosen = life.random.sample(JOB, life.random.randint(1, 4))
    first, last = _some(life).keys
    select, partitions = ",".join(sorted(chosen, key=JOB.index)), f"{first}...{last}"
    arguments = ["materialize", "--select", select, "--partition-range", partitions]
    life.run([*DAGSTER_ASSET, *arguments, "-m", "aqi_dagster.definitions"])


def clock_behind(life: Life) -> None:
    """A run by a clock that is hours or days behind."""
    life.go_on(1)
    life.materialize(_newest(life), clock_off=-timedelta(hours=life.random.choice([2, 11, 25, 70])))


def clock_ahead(life: Life) -> None:
    """A run by a clock that is weeks or a year ahead."""
    life.go_on(1)
    life.materialize(_newest(life), clock_off=timedelta(days=life.random.choice([1, 40, 400])))


def disk_full(life: Life) -> None:
    """A run on a disk that becomes full, at a random write of the store or of its copy."""
    windows = _some(life)
    with life.disk.nearly_full(life.random.choice([0, 100_000, life.random.randrange(20_000_000)])):
        life.materialize(windows)


def store_wiped(life: Life) -> None:
    """The store is lost; Dagster's records are not."""
    life.wipe()


def store_backed_up(life: Life) -> None:
    """The store is copied, for later."""
    if life.private.exists():
        life.back_up(life.folder / f"backup{life.random.randrange(2)}")


def store_restored(life: Life) -> None:
    """The store is put back to one of the copies, which may be of other settings too."""
    copies = sorted(life.folder.glob("backup*"))
    if copies:
        life.restore(life.random.choice(copies))


def records_wiped(life: Life) -> None:
    """Dagster's records are lost; the store is not."""
    life.forget_runs()


def settings_changed(life: Life) -> None:
    """Another threshold, region, set of rules, first window or detector; then mostly a run of the newest windows."""
    name, values = life.random.choice([*OTHER_SETTINGS.items()])
    life.settings[name] = life.random.choice(values)
    life.story.append(f"{name}={life.settings[name]}")
    if life.random.random() < 0.7 and life.windows:
        life.materialize(_newest(life))


def alerts_sent(life: Life) -> None:
    """What is pending is told."""
    life.run(["alert"])


def rejects_retried(life: Life) -> None:
    """All rejected messages are decoded again."""
    if life.private.exists():
        life.run(["retry-rejected"])


HAPPENINGS: dict[str, tuple[Callable[[Life], None], int]] = {
    "time passes": (time_passes, 6),
    "the newest window alone": (newest_alone, 1),
    "killed": (killed, 3),
    "backfills in random order": (backfills, 2),
    "some assets alone": (assets_alone, 3),
    "clock behind": (clock_behind, 2),
    "clock ahead": (clock_ahead, 2),
    "disk full": (disk_full, 3),
    "store wiped": (store_wiped, 1),
    "store backed up": (store_backed_up, 2),
    "store restored from an older backup": (store_restored, 2),
    "Dagster's records wiped": (records_wiped, 1),
    "settings changed": (settings_changed, 4),
    "alerts sent": (alerts_sent, 1),
    "rejected messages taken again": (rejects_retried, 1),
}
"""By its name in docs/guarantees.md, and how often each is drawn."""


def happen(life: Life) -> None:
    """Let one thing happen, and look what is left of it."""
    (name,) = life.random.choices([*HAPPENINGS], [weight for _, weight in HAPPENINGS.values()])
    if name == "disk full" and not life.disk.is_mounted:
        return
    if life.windows is None:
        name = "time passes"
    life.story.append(f"# {name}")
    HAPPENINGS[name][0](life)
    life.happened[name] += 1
    life.look(name)


def _newest(life: Life) -> WindowRange:
    """The newest window and the one before it."""
    assert life.windows is not None
    return WindowRange(max(life.windows.first, life.windows.last - WINDOW_LENGTH), life.windows.last)


def _some(life: Life) -> WindowRange:
    """A part of what has ended."""
    assert life.windows is not None
    first, last = sorted(life.random.choices([*life.windows], k=2))
    return WindowRange(first, last)
