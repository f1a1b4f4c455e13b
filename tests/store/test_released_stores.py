"""Stores that older releases left, opened by this one: they become what a new store is, and lose nothing."""

from datetime import datetime, timedelta

import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.alerts.dispatch import dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.detection.detector_states import FORMAT_VERSION
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.readings.accounting import missing_offsets, unaccounted_messages
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.outdated import (
    OutdatedScores,
    OutdatedVerdicts,
    outdated_scores,
    outdated_verdicts,
    unscored_readings,
)
from aqi_dagster.pipeline.store.sql import Writer, scalar
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows, verdicts_hash
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import FIRST_WINDOW, message, take_in
from tests.support.released import STORES, columns, contents, description, kept_columns, open_raw, store_id
from tests.support.released_readings import (
    FURTHER_WINDOW,
    SENSORS,
    WINDOWS,
    messages_after_the_pause,
    messages_before_the_pause,
    messages_of_the_further_window,
)
from tests.support.released_stores import RELEASES
from tests.support.slack_server import Slack
from tests.support.tables import rows
from tests.support.topics import Topic
from tests.support.verdicts import REGION

PARAMETERS = DetectorParameters()

THRESHOLDS = Thresholds()

RESULTS = {
    "scored_readings": ["sensor", "created_at", "window_start", "pm25_cf1", "score"],
    "anomalies": ["sensor", "created_at", "window_start", "pm25_cf1", "score"],
    "regional_windows": ["region", "window_start", "sensors", "count_anomalies", "max_pm25", "verdict"],
    "windows": ["window_start", "readings", "scored"],
    "sensors": ["sensor", "first_reading", "last_reading", "readings"],
}

ROWS_OF_EMPTY_TABLES = {
    "rejected_messages": "('value is not JSON', 'key', '{', 1, 0, 508, '2022-07-20')",
    "offset_gaps": "(1, 0, 500, 507, '2022-07-20')",
    "sensor_regions": "('38.9,-120.1', 'county', 'El Dorado County, California', '2022-07-20')",
}
"""For tables into which a release wrote nothing."""

NOT_REPEATED = "SELECT DISTINCT replace(sensor, ', ', ','), created_at FROM readings WHERE NOT repeated ORDER BY ALL"

READ = "SELECT topic_generation, kafka_partition, messages, next_offset FROM kafka_offsets ORDER BY ALL"

PULLED = """
SELECT topic_generation, kafka_partition, sum(messages), max(next_offset)
FROM pulled_offsets
GROUP BY ALL
ORDER BY ALL
"""


def test_a_store_of_each_schema_is_kept() -> None:
    assert {path.name for path in STORES} == {f"{version}_{commit}.duckdb.gz" for commit, version in RELEASES.items()}


def test_a_migrated_store_is_made_like_a_fresh_one(released: Store, fresh: Writer) -> None:
    with released.exclusive() as connection:
        found = description(connection)
    for kind, expected in description(fresh).items():
        assert found[kind] == expected


def test_no_row_is_lost_or_changed_by_the_migration(released: Store) -> None:
    with open_raw(released, read_only=False) as connection:
        for table in columns(connection, ROWS_OF_EMPTY_TABLES):
            if not scalar(connection, f"SELECT count(*) FROM {table}"):
                connection.execute(f"INSERT INTO {table} VALUES {ROWS_OF_EMPTY_TABLES[table]}")
        shape = kept_columns(connection)
        before, not_repeated = contents(connection, shape), rows(connection, NOT_REPEATED)
    with released.exclusive() as connection:
        after = contents(connection, shape)
        for table, expected in before.items():
            assert expected, table
            assert after[table] == expected, table
        assert rows(connection, NOT_REPEATED) == not_repeated


def test_the_pulls_of_a_migrated_store_account_for_all_that_was_read(released: Store) -> None:
    with released.exclusive() as connection:
        assert rows(connection, PULLED) == rows(connection, READ)
        assert unaccounted_messages(connection) + missing_offsets(connection) == []


def test_the_next_alert_gets_a_number_of_its_own(released: Store) -> None:
    with released.exclusive() as connection:
        assert scalar(connection, "SELECT max(alert_id) FROM slack_alerts") == 3
        assert scalar(connection, "SELECT nextval('alert_ids')") == 4


def test_a_migrated_store_is_published_and_read_and_migrated_only_once(released: Store) -> None:
    with released.exclusive() as connection:
        expected = description(connection)
    assert released.publish()
    with released.reader() as copy:
        assert description(copy) == expected
        smoke = "SELECT count(*) FROM regional_windows WHERE verdict = 'smoke'"
        assert scalar(copy, "SELECT count(*) FROM smoke_spells") == scalar(copy, smoke) > 0
    with released.exclusive() as connection:
        assert description(connection) == expected


def test_of_the_old_alerts_only_the_pending_one_is_sent(released: Store, slack: Slack) -> None:
    post = Webhook(slack.url).post
    assert str(dispatch(released, post, timedelta(days=36_500))) == "Alerts: 1 sent"
    assert [text for text in slack.texts if "2022-07-20 12:00" in text] == slack.texts
    assert str(dispatch(released, post, timedelta(days=36_500))) == "Alerts: none was pending"


def test_a_further_window_comes_out_as_in_one_pass_over_everything(
    released: Store, topic: Topic, fresh: Writer
) -> None:
    further = messages_of_the_further_window()
    take_in(fresh, [*messages_before_the_pause(), *messages_after_the_pause(), *further])
    materialize(fresh, FIRST_WINDOW)
    topic.send(further)
    with released.exclusive() as connection:
        assert pull(connection, topic.reader(), PullPolicy(reread_recreated_topic=True)).accepted == len(further)
        assert unaccounted_messages(connection) + missing_offsets(connection) == []
        materialize(connection, first_window_to_score(connection))
        assert scores_to_mend(connection).windows is None
        assert verdicts_to_mend(connection).windows is None
        assert contents(connection, RESULTS) == contents(fresh, RESULTS)
        told = "SELECT verdict, status FROM slack_alerts WHERE window_start = ?"
        assert connection.execute(told, [FURTHER_WINDOW]).fetchall() == [("smoke", "pending")]


@pytest.mark.parametrize(
    "released", [path for path in STORES if path.name.startswith("5_")], ids=store_id, indirect=True
)
def test_a_name_that_a_release_did_not_date_gives_way_to_the_next_word(released: Store) -> None:
    told = "SELECT name, name_told_at, location_type, location_type_told_at FROM sensors WHERE sensor = ?"
    with released.exclusive() as connection:
        for name, when, expected in [
            (None, FURTHER_WINDOW, ("Alder", None, 0, None)),
            ("Birch", WINDOWS[0], ("Birch", WINDOWS[0], 0, None)),
            ("Alder", FIRST_WINDOW - WINDOW_LENGTH, ("Birch", WINDOWS[0], 0, None)),
            ("Cedar", FURTHER_WINDOW, ("Cedar", FURTHER_WINDOW, 0, None)),
        ]:
            take_in(connection, [message(SENSORS[0], when, 5.0, sensor_name=name)])
            assert connection.execute(told, [SENSORS[0]]).fetchall() == [expected]


def first_window_to_score(connection: DuckDBPyConnection) -> datetime:
    """The first outdated window or else the further one; the very first if the detectors' states are of old."""
    # The states of the first two releases cannot be continued by any later one.
    if scalar(connection, "SELECT count(*) FROM detector_states WHERE format_version <> ?", [FORMAT_VERSION]):
        return FIRST_WINDOW
    # Where two spellings of a sensor became one, its windows are to be scored anew.
    unscored = unscored_readings(connection, WindowRange(FIRST_WINDOW, FURTHER_WINDOW))
    outdated = scores_to_mend(connection).windows
    return min(
        found.first
        for found in [WindowRange(FURTHER_WINDOW, FURTHER_WINDOW), outdated, unscored and unscored.windows]
        if found
    )


def scores_to_mend(connection: DuckDBPyConnection) -> OutdatedScores:
    """What the ledger says of the scores."""
    return outdated_scores(connection, FIRST_WINDOW, PARAMETERS.hash())


def verdicts_to_mend(connection: DuckDBPyConnection) -> OutdatedVerdicts:
    """What the ledger says of the verdicts."""
    return outdated_verdicts(connection, FIRST_WINDOW, THRESHOLDS.hash(), verdicts_hash(THRESHOLDS, REGION))


def materialize(writer: Writer, first: datetime) -> None:
    """Score the windows from ``first`` to the further one, and classify them and those whose verdicts are outdated."""
    windows = WindowRange(first, FURTHER_WINDOW)
    assert [scored.start for scored in score_windows(writer, windows, FIRST_WINDOW, PARAMETERS)] == [*windows]
    outdated = verdicts_to_mend(writer).windows
    assert outdated is not None
    select_anomalies(writer, outdated, THRESHOLDS)
    classify_windows(writer, outdated, REGION)
