"""Whether a copy holds what the store holds."""

from pathlib import Path

from aqi_dagster.pipeline.store.comparing import differences
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import WindowRange
from tests.support.messages import take_in
from tests.support.window_readings import STARTS, readings

WINDOWS = WindowRange.of(STARTS[1:3])


def test_changed_values_of_the_windows_are_seen_and_of_others_not(tmp_path: Path) -> None:
    pair = [Store(tmp_path / name) for name in ("one", "other")]
    with pair[0].exclusive() as one, pair[1].exclusive() as other:
        for connection in (one, other):
            take_in(connection, [one for start in STARTS for one in readings(start)])
        assert differences(one, other, WINDOWS) == []
        other.execute("UPDATE readings SET humidity = 1 WHERE window_start = ?", [STARTS[3]])
        assert differences(one, other, WINDOWS) == []
        other.execute("UPDATE readings SET humidity = 1 WHERE window_start = ?", [STARTS[2]])
        assert differences(one, other, WINDOWS) == ["readings has as many rows in both, but not the same ones"]
        other.execute("INSERT INTO thinned_states VALUES (now())")
        assert len(differences(one, other, WINDOWS)) == 2
