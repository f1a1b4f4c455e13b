"""What messages say of their sensors: the latest word counts, however messages are ordered and cut into chunks."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.readings.retake import retake_due
from aqi_dagster.pipeline.store.sql import Writer
from tests.support.messages import ALLOWANCE, FIRST_WINDOW, NOW, RawMessage, message, take_in
from tests.support.tables import rows, undone

SENSORS = ["45.5, -122.6", "45.5, -122.7"]

COLUMNS = "sensor, first_reading, last_reading, readings, name, name_told_at, location_type, location_type_told_at"


class Word(NamedTuple):
    """What a message says, ``hours`` after the first window began, of a sensor that may be in it more than once."""

    sensor: str
    hours: int
    name: str | None
    location_type: int | None

    @property
    def message(self) -> RawMessage:
        """The word as a message, in which what is not said is missing."""
        said = {"sensor_name": self.name, "location_type": self.location_type}
        return message(self.sensor, FIRST_WINDOW + timedelta(hours=self.hours), 5.0, **said)


WORDS = st.builds(
    Word,
    st.sampled_from(SENSORS),
    st.integers(0, 5),
    st.sampled_from([None, "Alder", "Birch"]),
    st.sampled_from([None, 0, 1]),
)


def by_definition(words: Sequence[Word]) -> list[tuple[Any, ...]]:
    """The rows of ``sensors`` that ``words`` make."""
    found = []
    for sensor in sorted({word.sensor for word in words}):
        of_it = [word for word in words if word.sensor == sensor]
        times = sorted({FIRST_WINDOW + timedelta(hours=word.hours) for word in of_it})
        row: tuple[Any, ...] = (sensor, times[0], times[-1], len(times))
        for field in ("name", "location_type"):
            told = [(word.hours, value) for word in of_it if (value := getattr(word, field)) is not None]
            hours, value = max(told, default=(None, None))
            row += (value, None if hours is None else FIRST_WINDOW + timedelta(hours=hours))
        found.append(row)
    return found


@given(words=st.lists(WORDS, min_size=1, max_size=12), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
def test_whatever_the_order_and_the_chunks_the_latest_word_counts(
    connection: Writer, words: list[Word], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(words))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(words)), max_size=4)) | {0, len(words)})
    with undone(connection):
        for first, end in pairwise(cuts):
            take_in(connection, [word.message for word in shuffled[first:end]], first)
        assert rows(connection, f"SELECT {COLUMNS} FROM sensors ORDER BY sensor") == by_definition(words)


def test_a_message_that_is_taken_again_is_no_later_than_it_says(connection: Writer) -> None:
    """It lay in the future by our clock, was rejected, and comes into the store behind the word that followed it."""
    early = NOW + ALLOWANCE + timedelta(hours=1)
    words = [
        message(SENSORS[0], early, 5.0, sensor_name="Old", location_type=0),
        message(SENSORS[0], early - timedelta(hours=2), 5.0, sensor_name="Oldest"),
    ]
    assert take_in(connection, words).rejected == 1
    later = early + timedelta(hours=2)
    newest = message(SENSORS[0], later, 5.0, sensor_name="New", location_type=1)
    take_in(connection, [newest], 2, now=later)
    assert retake_due(connection, later, ALLOWANCE).accepted == 1
    told = rows(connection, "SELECT readings, name, name_told_at, location_type, location_type_told_at FROM sensors")
    assert told == [(3, "New", later, 1, later)]
