"""Both rule sets beside the labels of one's own store: what each says of the labelled windows, without writing any."""

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from aqi_dagster.demo.evaluate import Result, named_sensors, text_of
from aqi_dagster.demo.truth import Agreement, SensorWindow
from aqi_dagster.errors import LabelError
from aqi_dagster.pipeline.regions.base import Regions
from aqi_dagster.pipeline.verdicts.classify_windows import judge_stored
from aqi_dagster.pipeline.verdicts.labels import Label, Subject, judged_of, read_labels
from aqi_dagster.pipeline.verdicts.regional_window import Rules
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WindowRange


def evaluate_labels(connection: DuckDBPyConnection, regions: Regions) -> str:
    """The table and the details of what is labelled in the store behind ``connection``: nothing else counts.

    Raises :class:`LabelError` if nothing is.
    """
    labels = read_labels(connection)
    stored = judged_of(connection, [label.subject for label in labels])
    known = [label for label in labels if label.subject in stored]
    if not known:
        raise LabelError("Nothing that is stored is labelled: `aqi-dagster label --help` says how to label.")
    text = text_of([_result(connection, regions, known, rules) for rules in RULE_SETS.values()])
    missing = len(labels) - len(known)
    return f"{text}\n{missing} labels are left out, as nothing of their windows is stored." if missing else text


def _result(connection: DuckDBPyConnection, regions: Regions, labels: Sequence[Label], rules: Rules) -> Result:
    smoke: set[str] = set()
    named: set[SensorWindow] = set()
    for start in sorted({label.subject.window_start for label in labels}):
        judged, health = judge_stored(connection, WindowRange(start, start), regions, rules)
        smoke |= {str(Subject(start, region=row.region)) for row in judged[start] if row.verdict == "smoke"}
        named |= {(sensor, start) for sensor in named_sensors(judged[start], health[start], rules)}
    of_regions = [label for label in labels if label.subject.region]
    pairs = {(label.subject.sensor, label.subject.window_start) for label in labels if label.subject.sensor}
    broken = {(label.subject.sensor, label.subject.window_start) for label in labels if label.truth == "broken"}
    return Result(
        "own labels",
        rules.name,
        Agreement.among(
            {str(label.subject) for label in of_regions},
            smoke,
            {str(label.subject) for label in of_regions if label.truth == "smoke"},
        ),
        Agreement.among(pairs, named, broken),
    )
