"""What each rule set finds in the synthetic summer, beside its labels."""

from datetime import datetime

import click
from tabulate import tabulate

from aqi_dagster.demo.summer import Summer
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.classify_windows import judge_stored
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.pipeline_settings import region_choice
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange

Found = dict[datetime, RegionalWindow]
"""The regional window of each window (start) that has one: all sensors of a summer are in one region."""


def print_findings(summer: Summer, last: datetime) -> list[str]:
    """Print what each rule set finds up to the window ``last`` (start) beside the labels.

    Returns the windows that the rules of the settings missed, though they can tell them.
    """
    end = last + WINDOW_LENGTH
    labels = summer.expected_verdicts(end)
    found = _findings(WindowRange(summer.start, last))
    starts = sorted({*labels, *(start for by_rules in found.values() for start in by_rules)})
    rows = [
        [
            f"{start:%Y-%m-%d %H:%M}",
            labels.get(start, "nothing"),
            *(by_rules[start].verdict if start in by_rules else "" for by_rules in found.values()),
            *_numbers([by_rules[start] for by_rules in found.values() if start in by_rules]),
        ]
        for start in starts
    ]
    headers = ["window (UTC)", "label", *(f"{rules} rules" for rules in found)]
    click.echo(tabulate(rows, [*headers, "sensors", "anomalies", "max PM2.5, ug/m3", "level, ug/m3"], floatfmt=".1f"))
    judge, missed = load_settings().rules, []
    for rules, by_rules in found.items():
        own = summer.expected_verdicts(end, rules)
        right = {start for start, label in labels.items() if start in by_rules and by_rules[start].verdict == label}
        others = len(by_rules.keys() - labels.keys())
        here = ", which judge here" if rules == judge else ""
        click.echo(
            f"{len(right)} of {len(labels)} labelled windows found as labelled by the {rules} rules{here}, which can "
            f"tell {len(own)} of them; {others} windows named besides."
        )
        if rules == judge:
            missed = [f"{start:%Y-%m-%d %H:%M}, {label}" for start, label in own.items() if start not in right]
    return missed


def _findings(windows: WindowRange) -> dict[str, Found]:
    """What each rule set says of the stored ``windows``, whichever judges."""
    settings = load_settings()
    with Store(settings.data_dir).reader() as connection:
        regions = region_choice(settings).regions(connection)
        judged = {name: judge_stored(connection, windows, regions, rules)[0] for name, rules in RULE_SETS.items()}
    return {name: {start: rows[0] for start, rows in by_window.items() if rows} for name, by_window in judged.items()}


def _numbers(found: list[RegionalWindow]) -> list[object]:
    """Sensors with anomalies, anomalies, the greatest of them, and the level, where a rule set has them."""
    if not found:
        return ["", "", "", ""]
    level = next((row.level for row in found if row.level is not None), None)
    return [found[0].count_sensors, found[0].count_anomalies, found[0].max_pm25, level]
