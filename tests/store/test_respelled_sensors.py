"""Sensors that a release before spelled as their keys did: the migration spells each as today's decoder does."""

from pathlib import Path

from aqi_dagster.pipeline.decoding.definition import decode_key
from tests.support.released import STORES, open_raw, store_id, unpack_store
from tests.support.tables import rows

(BEFORE,) = (path for path in STORES if store_id(path) == "3_f783f78")
"""A store of the last release that kept each spelling apart."""

FORMS = ["45.{},-122", "45.{} , -122", " 45.{}, -122\n", "\t45.{}\r\n,\v\f-122\v", "\v45.{},-122 ", "45.{}, -122"]

SPELLED = [form.format(number) for number, form in enumerate(FORMS)]

ALIKE = [form.format(99) for form in FORMS]
"""One sensor in six spellings, which become one."""

TEMPLATE = "SELECT min(sensor) FROM sensors WHERE sensor LIKE '39%'"

ADD_SENSOR = f"INSERT INTO sensors SELECT * REPLACE ($sensor AS sensor) FROM sensors WHERE sensor = ({TEMPLATE})"

ADD_READINGS = f"""
INSERT INTO readings
SELECT * REPLACE ($sensor AS sensor, kafka_offset + $offset AS kafka_offset, false AS repeated)
FROM readings
WHERE sensor = ({TEMPLATE}) AND NOT repeated
"""

KEPT = "SELECT DISTINCT sensor FROM readings WHERE sensor LIKE '45%' ORDER BY ALL"


def test_a_sensor_is_spelled_by_the_migration_as_by_the_decoder(tmp_path: Path) -> None:
    store = unpack_store(BEFORE, tmp_path)
    with open_raw(store, read_only=False) as connection:
        for number, sensor in enumerate([*SPELLED, *ALIKE], start=1):
            connection.execute(ADD_SENSOR, {"sensor": sensor})
            connection.execute(ADD_READINGS, {"sensor": sensor, "offset": 100_000 * number})
        per_sensor = len(rows(connection, f"FROM readings WHERE sensor = '{SPELLED[0]}'"))
        assert per_sensor > 50
    expected = sorted({decode_key(sensor.encode()) for sensor in [*SPELLED, *ALIKE]})
    assert len(expected) == len(SPELLED) + 1
    with store.exclusive() as connection:
        assert [sensor for (sensor,) in rows(connection, KEPT)] == expected
        counts = dict(rows(connection, "SELECT sensor, readings FROM sensors WHERE sensor LIKE '45%'"))
        assert counts == dict.fromkeys(expected, per_sensor)
        repeats = "SELECT count(*), count(*) FILTER (NOT repeated) FROM readings WHERE sensor LIKE '45.99%'"
        assert rows(connection, repeats) == [(len(ALIKE) * per_sensor, per_sensor)]
        counted = "SELECT DISTINCT kafka_offset // 100000 FROM readings WHERE sensor LIKE '45.99%' AND NOT repeated"
        assert rows(connection, counted) == [(len(SPELLED) + 1,)]
        begins = "SELECT min(window_start) FROM readings WHERE sensor LIKE '45.99%'"
        unscored = "SELECT min(window_start) FROM windows WHERE readings > 0 AND scored IS NULL"
        assert rows(connection, unscored) == rows(connection, begins)
