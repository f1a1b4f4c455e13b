"""Real readings, window by window, beside what the network rules must say of them."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from aqi_dagster.pipeline.decoding.decode import decode
from aqi_dagster.pipeline.health.health_table import read_health
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.readings.insert import ingest
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.topic.batches import MESSAGES_SCHEMA
from aqi_dagster.pipeline.verdicts.network_rules import assess, judge
from aqi_dagster.windows import WindowRange
from tests.support.health import REGION_NAME, everywhere
from tests.support.lacking import lacking
from tests.support.messages import ALLOWANCE, at
from tests.support.places import SHARED

DATA = {
    "capital_2024_faults": "",
    "capital_2024_quiet": "",
    "portland_2020_autumn": "",
    "portland_2020_native": "",
    "case_boulder_36_called_dead": "cases",
    "case_golden_false_smoke_from_failed_sensor": "cases",
    "case_golden_three_sensors_all_blamed": "cases",
    "case_golden_undecided_33282": "cases",
    "case_marshall_fire_called_malfunction": "cases",
}
"""Folder of the readings by name of what is expected of them."""

LEVEL_TOLERANCE = 5.01e-7
"""Expected levels have six decimals, and were rounded from sums that may differ in the last digit of a float."""

NOW = at("2026-01-01")

_LINES = """
SELECT key, value
FROM read_json($path, columns = {key: 'VARCHAR', value: 'JSON'}, format = 'newline_delimited')
"""

_MESSAGES = f"""
SELECT
    0::INTEGER AS kafka_partition,
    row_number() OVER () - 1 AS kafka_offset,
    to_json(key)::VARCHAR::BLOB AS key,
    value::VARCHAR::BLOB AS value
FROM ({_LINES})
"""

# Messages of two lasers, for as long as decoding leaves the second one out.
_SECOND_LASERS = f"""
UPDATE readings
SET pm25_cf1_b = laser.pm25
FROM (
    SELECT
        key AS sensor,
        strptime(value->>'created_at', '%Y-%m-%d %H:%M:%S UTC') AS created_at,
        nullif(value->>'PM2.5_CF1_B_ug/m3', '')::DOUBLE AS pm25
    FROM ({_LINES})
) AS laser
WHERE readings.sensor = laser.sensor AND readings.created_at = laser.created_at AND laser.pm25 IS NOT NULL
"""


def shared_file(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(lacking(path))
    return path


def take_in_file(connection: Writer, path: Path) -> None:
    messages = connection.sql(_MESSAGES, params={"path": str(path)}).to_arrow_table()
    decoded = decode(pa.table(messages.columns, schema=MESSAGES_SCHEMA), NOW, ALLOWANCE)
    ingest(connection, decoded, generation=1, now=NOW)
    connection.execute(_SECOND_LASERS, {"path": str(path)})


def outcome(connection: Writer, window: datetime) -> dict[str, Any]:
    rows = read_health(connection, window)
    judgement = judge(REGION_NAME, window, rows)
    found = assess(rows)
    return {
        "window_start": window.isoformat(),
        "verdict": judgement and judgement.verdict,
        "faults": {row.sensor: row.fault for row in rows if row.fault is not None},
        "healthy": [row.sensor for row in found.healthy],
        "in_dispute": [row.sensor for row in found.disputed],
        "level": found.level if found.level is None else pytest.approx(found.level, rel=0, abs=LEVEL_TOLERANCE),
        "local": [row.sensor for row in found.local],
        "new": [row.sensor for row in rows if row.is_new],
        "unlike_neighbours": [row.sensor for row in rows if row.unlike_neighbours],
    }


@pytest.mark.parametrize("name", DATA)
def test_every_window_is_judged_as_expected(connection: Writer, name: str) -> None:
    golden = json.loads(shared_file("golden", f"network_{name}.json").read_text())
    take_in_file(connection, shared_file("data", DATA[name], f"{name.removeprefix('case_')}.ndjson.gz"))
    windows = [
        window for (window,) in connection.execute("SELECT window_start FROM windows ORDER BY window_start").fetchall()
    ]
    judge_windows(connection, WindowRange(windows[0], windows[-1]), windows[0], everywhere, "regions")
    assert [outcome(connection, window) for window in windows] == golden
