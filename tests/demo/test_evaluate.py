"""Readings beside their truth: what each rule set finds, counted and named."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from aqi_dagster.demo.evaluate import evaluate_folder
from aqi_dagster.demo.summer import DAYS, Summer
from aqi_dagster.demo.truth import Agreement, Truth, by_sensor
from aqi_dagster.errors import InputFileError
from aqi_dagster.pipeline.verdicts.label_files import read_label_file
from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.support.messages import FIRST_WINDOW, RawMessage
from tests.support.window_readings import SENSORS, STARTS, readings

BROKEN = "45.4, -122"


def write(path: Path, messages: list[RawMessage]) -> None:
    lines = [
        json.dumps({"key": json.loads(key or b""), "value": json.loads(value or b"")}) + "\n" for key, value in messages
    ]
    path.write_text("".join(lines))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sensors in clean air, then in moderate smoke, and a fourth one that reads the same 3,000 all the time."""
    air = [*readings(STARTS[0]), *readings(STARTS[1], pm25=90)]
    # The three differ, as sensors do; else they would be stuck.
    smoky = [
        (key, (value or b"").replace(b"90.00", f"{70 + number % 60}.00".encode()))
        for number, (key, value) in enumerate(air)
    ]
    stuck = [message for start in STARTS[:2] for message in readings(start, [BROKEN], pm25=3000)]
    write(tmp_path / "valley_autumn.ndjson", [*smoky, *stuck])
    write(tmp_path / "unknown.ndjson", readings(STARTS[0]))
    truth = {"smoke_windows": [f"{STARTS[1]}+00:00"], "broken": [[f"{STARTS[0]}+00:00", BROKEN]]}
    (tmp_path / "valley.json").write_text(json.dumps(truth))
    return tmp_path


def test_both_rule_sets_stand_beside_the_truth(folder: Path) -> None:
    told = evaluate_folder(folder)
    table = [[*filter(None, map(str.strip, line.split("  ")))] for line in told.splitlines()]
    network = ["valley_autumn", "network", "1 of 1", "1 of 1", "1 of 1", "1 of 2", "1 of 1", "1 of 1"]
    assert network in table
    (notebook,) = [row for row in table if row[:2] == ["valley_autumn", "notebook"]]
    assert notebook[2] == "0 of 1"
    assert "valley_autumn, notebook rules, smoke windows missed: 2022-07-18T12:00" in told
    false = f"{BROKEN}: 1 in 2022-07-18T12:00 to 2022-07-18T12:00"
    assert f"network rules, sensors named that are not known to be broken, in windows: {false}" in told
    assert "Passed over, as there is no truth of them: unknown.ndjson" in told


def test_a_folder_without_any_truth_is_an_error(folder: Path) -> None:
    (folder / "valley.json").unlink()
    with pytest.raises(InputFileError, match=r"no file of truth beside unknown\.ndjson, valley_autumn\.ndjson"):
        evaluate_folder(folder)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"smoke_windows": []}', '{"smoke_windows": ["2022-07-18T03:00"], "broken": []}'],
)
def test_a_file_of_truth_of_another_form_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "valley.json"
    path.write_text(content)
    with pytest.raises(InputFileError, match=r"valley\.json is no file of truth"):
        Truth.read(path)


def test_agreement_counts_and_names() -> None:
    agreement = Agreement({1, 2, 3}, {2, 3, 4, 5})
    assert (agreement.recall, agreement.precision) == ("2 of 4", "2 of 3")
    assert (agreement.missed, agreement.false) == ({4, 5}, {1})
    pairs = [(SENSORS[1], STARTS[2]), (SENSORS[0], STARTS[1]), (SENSORS[0], STARTS[0])]
    assert by_sensor(pairs) == [
        f"{SENSORS[0]}: 2 in 2022-07-18T00:00 to 2022-07-18T12:00",
        f"{SENSORS[1]}: 1 in 2022-07-19T00:00 to 2022-07-19T00:00",
    ]


def test_the_truth_of_a_summer_are_its_labels() -> None:
    end = FIRST_WINDOW + timedelta(days=DAYS)
    truth = Truth.of_summer(Summer(FIRST_WINDOW), end)
    labels = Summer(FIRST_WINDOW).expected_verdicts(end)
    assert truth.smoke_windows | {window for _, window in truth.broken} == set(labels)
    assert max(truth.smoke_windows) + WINDOW_LENGTH <= end


def entry(window: datetime, truth: str, **subject: str) -> dict[str, str]:
    judged = "nothing" if "region" in subject else "no fault"
    at = {"window": window_key(window), "labelled_at": "2022-08-01T00:00:00"}
    return {**at, **subject, "truth": truth, "judged": judged}


LABELS = [
    entry(STARTS[1], "smoke", region="Valley"),
    entry(STARTS[0], "fine", sensor=SENSORS[0]),
    entry(STARTS[1], "broken", sensor=BROKEN),
]


def test_only_what_is_labelled_counts_where_labels_stand_for_the_truth(folder: Path) -> None:
    (folder / "valley.json").rename(folder / "elsewhere.json")
    (folder / "valley.labels.json").write_text(json.dumps({"labels": LABELS}))
    told = evaluate_folder(folder)
    table = [[*filter(None, map(str.strip, line.split("  ")))] for line in told.splitlines()]
    assert ["valley_autumn", "network", "1 of 1", "1 of 1", "1 of 1", "1 of 1", "1 of 1", "1 of 1"] in table


def test_labels_correct_the_truth(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"labels": LABELS}))
    labels = read_label_file(path)
    whole = Truth(frozenset(STARTS[:1]), frozenset({(SENSORS[0], STARTS[0]), (SENSORS[1], STARTS[0])}))
    corrected = whole.corrected_by(labels)
    assert corrected == Truth(frozenset(STARTS[:2]), frozenset({(SENSORS[1], STARTS[0]), (BROKEN, STARTS[1])}))
    assert Truth.read(path) == Truth(
        frozenset(STARTS[1:2]),
        frozenset({(BROKEN, STARTS[1])}),
        frozenset(STARTS[1:2]),
        frozenset({(SENSORS[0], STARTS[0]), (BROKEN, STARTS[1])}),
    )
