"""NDJSON: every line is sent as it is written, or named."""

import json
from pathlib import Path

import pytest

from aqi_dagster.feeds.messages import MOST_BYTES, Message
from aqi_dagster.feeds.summary import faults
from tests.support.sensor_files import feed_of, read, summary_of, write

VALUE = '{"created_at": "2022-07-18 06:00:00 UTC", "PM2.5_CF1_ug/m3": 1.50}'


def line(value: str = VALUE, key: str = '"45.5, -122.60"') -> str:
    return f'{{"key": {key}, "value": {value}}}\n'


@pytest.mark.parametrize("name", ["a.ndjson", "a.jsonl", "a.ndjson.gz", "A.JSONL.GZ"])
def test_messages_are_sent_as_they_are_written(tmp_path: Path, name: str) -> None:
    lines = [
        line(),
        "\n",
        line(VALUE.replace("06", "07")[:-1] + ', "note": "\u00fc {}", "nested": {"a": [1e5]}}', '" 45.5,\\n-122.6"'),
        '{"partition":3,"value":{"a":"\\"}"},"key":"","time":null}',
    ]
    path = write(tmp_path / name.lower(), "".join(lines)).rename(tmp_path / name)
    with feed_of(path) as feed:
        sent = [*feed.messages()]
        assert faults(feed) == []
    assert sent == [
        Message(b'"45.5, -122.60"', VALUE.encode()),
        Message(
            b'" 45.5,\\n-122.6"',
            VALUE.replace("06", "07")[:-1].encode() + ', "note": "\u00fc {}", "nested": {"a": [1e5]}}'.encode(),
        ),
        Message(b'""', b'{"a":"\\"}"}'),
    ]


def test_a_byte_order_mark_and_line_ends_of_windows_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", "\ufeff" + line().replace("\n", "\r\n") + line(VALUE.replace("06", "07")))
    assert [value["created_at"][:13] for _, value in read(path)] == ["2022-07-18 06", "2022-07-18 07"]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b'{"key": "1, 2", "value": {}', "not JSON"),
        (b'{"key": "1, 2", "value": {}} {}', "not JSON"),
        (b'{"key": "1, 2", "value": {"a": 01}}', "not JSON"),
        (b'{"key": "1, 2", "value": {}, }', "not JSON"),
        (b'{"key": "1, 2" "value": {}}', "not JSON"),
        (b'{"key": "1\t2", "value": {}}', "not JSON"),
        (b'{"a":' * 50_000, "not JSON"),
        (b'{"key": "\xff", "value": {}}', "is not UTF-8"),
        (b"[1, 2]", "expected an object, found list"),
        (b'{"value": {}}', '"key" must be the text'),
        (b'{"key": [1, 2], "value": {}}', '"key" must be the text'),
        (b'{"key": "1, 2", "value": "{}"}', '"value" must be an object'),
        (b'{"key": "1, 2", "value": {}, "value": {}}', '"value" comes twice'),
        (b'{"key": "1, 2", "value": {"a": "}"}, "key": "3, 4"}', '"key" comes twice'),
        (b'{"note": "' + b"x" * MOST_BYTES + b'"}', "is longer than any reading: more than 500,000 bytes"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_sent(tmp_path: Path, bad: bytes, problem: str) -> None:
    path = write(tmp_path / "readings.ndjson", line().encode() + bad + b"\n" + line(VALUE.replace("06", "07")).encode())
    with feed_of(path) as feed:
        assert len([*feed.messages()]) == 2
        (fault,) = faults(feed)
    assert fault.startswith(f"{path}, line 2: {problem}")


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    _, wrong = summary_of(write(tmp_path / "readings.ndjson", "bad\n" * 1000 + line()))
    assert [fault.split(": ")[0] for fault in wrong[:3]] == [f"{tmp_path}/readings.ndjson, line {n}" for n in (1, 2, 3)]
    assert wrong[3:] == [f"{tmp_path}/readings.ndjson: 997 more lines like these"]


def test_a_field_that_comes_twice_is_left_to_the_definition(tmp_path: Path) -> None:
    twice = VALUE[:-1] + ', "PM2.5_CF1_ug/m3": 900}'
    path = write(tmp_path / "readings.ndjson", line(twice) + line())
    said, wrong = summary_of(path)
    assert "1 would be rejected: PM2.5_CF1_ug/m3 comes twice (1)." in said
    assert wrong == []
    with feed_of(path) as feed:
        assert Message(b'"45.5, -122.60"', twice.encode()) in [*feed.messages()]


def test_what_a_sensor_says_may_be_in_a_line(tmp_path: Path) -> None:
    said = {"SensorId": "0:1", "DateTime": "2022/07/18T06:00:00z", "lat": 45.5, "lon": -122.6, "pm2_5_cf_1": 5}
    path = write(tmp_path / "polled.jsonl", "".join(json.dumps(said | {"pm2_5_cf_1": n}) + "\n" for n in (5, 6)))
    assert [(key, value["PM2.5_CF1_ug/m3"]) for key, value in read(path)] == [
        ("45.5, -122.6", "5"),
        ("45.5, -122.6", "6"),
    ]
