"""All results of a store, without what depends on the way in which they were reached."""

from collections import Counter
from typing import Any

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.detection.detector_states import StoredState
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.state_pickles import load_state
from tests.support.tables import rows

PULLED = {
    "readings": "SELECT * EXCLUDE (ingested_at) FROM readings ORDER BY ALL",
    "rejected_messages": "SELECT * EXCLUDE (ingested_at) FROM rejected_messages ORDER BY kafka_partition, kafka_offset",
    "sensors": "FROM sensors ORDER BY sensor",
}
"""What a pull leaves."""

DERIVED = {
    # Windows without readings may never have been asked for. Revisions only compare results of one store.
    "windows": """
        SELECT * EXCLUDE (revision, selected, classified, health_revision, classified_health)
        FROM windows
        WHERE readings > 0
        ORDER BY window_start
    """,
    "sensor_health": "FROM sensor_health ORDER BY window_start, sensor",
    "scored_readings": "FROM scored_readings ORDER BY sensor, created_at",
    "anomalies": "FROM anomalies ORDER BY sensor, created_at",
    "regional_windows": "FROM regional_windows ORDER BY window_start, region",
}
"""What follows from the readings and the settings, but for the detectors."""


def results(connection: DuckDBPyConnection, parameters: DetectorParameters) -> dict[str, Any]:
    """What follows from the readings of a store, with detectors as the numbers that they hold."""
    states = rows(connection, "FROM detector_states ORDER BY sensor, window_start")
    found: dict[str, Any] = {table: rows(connection, query) for table, query in DERIVED.items()}
    return found | {"detectors": {row[:2]: _numbers(StoredState(*row), parameters) for row in states}}


def pulled(connection: DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """What a store has taken in."""
    return {table: rows(connection, query) for table, query in PULLED.items()}


def differences(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, int]:
    """How many rows differ, by table; old states of detectors may have been thinned out."""
    numbers = {}
    for table in expected.keys() - {"detectors"}:
        one, other = Counter(map(str, found[table])), Counter(map(str, expected[table]))
        numbers[table] = ((one - other) + (other - one)).total()
    states, others = found["detectors"], expected["detectors"]
    newest = dict(sorted(others))
    wrong = [key for key in states if states[key] != others.get(key)]
    lost = [sensor for sensor, window in newest.items() if (sensor, window) not in states]
    numbers["detectors"] = len(wrong) + len(lost)
    return {table: number for table, number in numbers.items() if number}


def _numbers(stored: StoredState, parameters: DetectorParameters) -> tuple[Any, ...]:
    """Every field of a stored detector."""
    detector = load_state(stored, parameters)
    fields = {name: value for name, value in vars(detector).items() if name not in ("rng", "trees", "_tree_nodes")}
    nodes = [(n.l_mass, n.r_mass, getattr(n, "threshold", None)) for tree in detector._tree_nodes for n in tree]
    return fields, detector.rng.getstate(), nodes
