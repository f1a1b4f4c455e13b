"""``python -m benchmarks``: how fast the pipeline is, as ratios measured side by side.

Absolute times differ from machine to machine and from hour to hour; what counts are the ratios within one call. The
time of a contestant is from its first fetch to its last window, with us to the published one; imports, Dagster's start
and what a run still does after it has published are shown apart.
"""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from aqi_dagster.feeds.feed import opened_feed
from aqi_dagster.feeds.messages import Message
from aqi_dagster.pipeline.decoding.definition import TIME_FORMAT
from aqi_dagster.windows import WINDOW_LENGTH, utc_now
from benchmarks import decoding, generator, page, polling, scoring
from benchmarks.expected import expected_windows
from benchmarks.measuring import Figures, filled_topic, in_turn, measure, median, set_range, show

CONTESTANTS = {
    "pipeline": "this pipeline",
    "pipeline_plain": "this pipeline without Dagster",
    "pipeline_without_health": "this pipeline without Dagster and the health of sensors",
    "bytewax_flow": "the streaming notebook on bytewax",
    "hand_written_loop": "consumer-and-River loop by hand",
    "consume_only": "confluent-kafka, only reading",
}

OURS = ["pipeline", "pipeline_plain"]

TABLES = ["contestants", "history", "backfill", "sensors", "decoding", "scoring", "polling", "page"]

BACKFILL_WINDOWS = 120


@click.command()
@click.option("--messages", default=1_000_000, show_default=True, help="Messages to generate.")
@click.option("--sensors", default=generator.SENSORS, show_default=True, help="Sensors that send them.")
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="Send the messages of this file instead.")
@click.option("--repeat", default=3, show_default=True, help="Runs of each; the medians are shown.")
@click.option(
    "--table",
    "tables",
    multiple=True,
    type=click.Choice(TABLES),
    help="Only this table; may be given more than once.",
)
@click.option("--contestant", "chosen", multiple=True, type=click.Choice([*CONTESTANTS]), help="Only this contestant.")
def main(
    messages: int, sensors: int, file: Path | None, repeat: int, tables: tuple[str, ...], chosen: tuple[str, ...]
) -> None:
    """Measure the pipeline against other ways to do the same, and against itself."""
    wanted = tables or TABLES
    if "contestants" in wanted:
        if file is None:
            _contestants(lambda: generator.messages(messages, sensors), repeat, chosen)
        else:
            path = file
            _contestants(lambda: _messages_of(path), repeat, chosen)
    if "history" in wanted:
        _history(repeat)
    if "backfill" in wanted:
        _backfill(repeat)
    if "sensors" in wanted:
        _sensors(messages, repeat)
    if "decoding" in wanted:
        _decoding(messages, sensors, repeat)
    if "scoring" in wanted:
        _scoring(messages, sensors, repeat)
    if "polling" in wanted:
        _polling()
    if "page" in wanted:
        _page(repeat)


def _page(repeat: int) -> None:
    click.echo(f"\nThe page for people: {page.SENSORS:,} sensors, {page.SENSORS * page.DAYS * 144:,} readings")
    headers = ["page", "answered, s", "kB", "first paint, ms", "drawn, ms"]
    click.echo(tabulate(page.figures(repeat), headers))


def _contestants(messages: Callable[[], Iterator[Message]], repeat: int, chosen: tuple[str, ...]) -> None:
    times = [json.loads(message.value)["created_at"] for message in messages()]
    set_range(*(datetime.strptime(text, TIME_FORMAT) for text in (min(times), max(times))))
    expected = expected_windows(messages())
    names = [name for name in CONTESTANTS if not chosen or name in chosen]
    with filled_topic(messages()) as (servers, count):
        runs = in_turn(names, servers, repeat)
    reference = names[0]
    rows = []
    for name in names:
        _require_complete(name, runs[name], count, expected)
        work = median(runs[name], "work")
        ratios = [
            {"ratio": theirs["work"] / ours["work"]} for theirs, ours in zip(runs[name], runs[reference], strict=True)
        ]
        found = {run.get("anomalies", "") for run in runs[name]}
        rows.append(
            [
                CONTESTANTS[name],
                work,
                median(ratios, "ratio"),
                count / work,
                median([{"rest": run.get("run", run["work"]) - run["work"]} for run in runs[name]], "rest"),
                median([{"start": run["elapsed"] - run.get("run", run["work"])} for run in runs[name]], "start"),
                max(run["memory"] for run in runs[name]) / 1e6,
                " ".join(map(str, sorted(found))),
            ]
        )
    show(
        f"{count:,} messages in 4 partitions, which hold {sum(window[2] for window in expected):,} anomalies",
        rows,
        ["", "time, s", "time / ours", "messages/s", "after, s", "start, s", "peak MB", "anomalies found"],
        ["", ".2f", ".2f", ",.0f", ".2f", ".2f", ",.0f", ""],
    )


def _messages_of(path: Path) -> Iterator[Message]:
    with opened_feed([path], utc_now()) as feed:
        yield from feed.messages()


def _require_complete(name: str, runs: list[Figures], count: int, expected: list[list[object]]) -> None:
    if {run["messages"] for run in runs} != {count}:
        raise click.ClickException(f"{name} did not read {count} messages: {[run['messages'] for run in runs]}")
    if any(run["verdicts"] != expected for run in runs if name in OURS):
        raise click.ClickException(f"{name} did not find the windows that plain River finds in order of time")


def _history(repeat: int) -> None:
    rows = []
    for readings in (1_000_000, 10_000_000, 50_000_000):
        slots = readings // generator.SENSORS
        set_range(generator.START - slots * generator.CADENCE, generator.START)
        with filled_topic(iter(())) as (servers, _):
            figures = measure("history", servers, repeat)
        names = ("work", "look", "look_cpu", "idle", "idle_run")
        rows.append([f"{readings:,}", *(figures[name] for name in names), figures["size"] / 1e6])
    _, first_run, first_look, *_ = rows[0]
    for row in rows:
        row[2:3] = [row[1] / first_run, row[2], row[2] / first_look]
    show(
        "A scheduled run (the newest window and the one before it) on top of that many readings",
        rows,
        [
            "readings before",
            "time, s",
            "time / first",
            "a look, s",
            "look / first",
            "its processor, s",
            "nothing new, s",
            "with Dagster's start, s",
            "store, MB",
        ],
        ["", ".2f", ".2f", ".3f", ".2f", ".3f", ".2f", ".2f", ",.0f"],
    )


def _backfill(repeat: int) -> None:
    sensors = 50
    count = BACKFILL_WINDOWS * sensors * (WINDOW_LENGTH // generator.CADENCE)
    rows = []
    for windows in (1, BACKFILL_WINDOWS):
        cadence = generator.CADENCE * windows / BACKFILL_WINDOWS
        set_range(generator.START, generator.START + windows * WINDOW_LENGTH - timedelta(seconds=1))
        with filled_topic(generator.messages(count, sensors, cadence=cadence)) as (servers, _):
            runs = in_turn(OURS, servers, repeat)
        rows.append([windows, median(runs["pipeline"], "run"), median(runs["pipeline_plain"], "work")])
    rows.append(["ratio", *(many / one for one, many in zip(rows[0][1:], rows[1][1:], strict=True))])
    headers = ["windows", "with Dagster's events, s", "without Dagster, s"]
    show(f"The same {count:,} messages in one window, and in a backfill of many", rows, headers, ["", *[".2f"] * 2])


def _sensors(messages: int, repeat: int) -> None:
    rows = []
    for sensors in (100, 1_000, 10_000):
        set_range(generator.START, generator.START + (messages - 1) // sensors * generator.CADENCE)
        with filled_topic(generator.messages(messages, sensors)) as (servers, _):
            runs = in_turn(["pipeline_plain"], servers, repeat)["pipeline_plain"]
        rows.append([f"{sensors:,}", median(runs, "work"), max(run["memory"] for run in runs) / 1e6])
    for row in rows:
        row.insert(2, row[1] / rows[0][1])
    show(
        f"{messages:,} messages of more and more sensors, without Dagster",
        rows,
        ["sensors", "time, s", "time / first", "peak MB"],
        ["", ".2f", ".2f", ",.0f"],
    )


def _decoding(messages: int, sensors: int, repeat: int) -> None:
    titles = {
        f"Decoding messages of {sensors} sensors, by kind of message": decoding.run,
        "The values of ordinary messages alone, by the compiled scanner and by JSON libraries": decoding.ways_to_read,
    }
    for title, run_once in titles.items():
        runs = [run_once(messages, sensors) for _ in range(repeat)]
        rows: list[list[Any]] = [[name, median([run[name] for run in runs], "seconds")] for name in runs[0]]
        for row in rows:
            row.append(row[1] / rows[0][1])
        show(title, rows, ["", "processor time for a million, s", "time / first"], ["", ".2f", ".1f"])


def _scoring(readings: int, sensors: int, repeat: int) -> None:
    runs = [scoring.run(readings, sensors) for _ in range(repeat)]
    rows: list[list[Any]] = []
    for name in runs[0]:
        score, states = (median([run[name] for run in runs], figure) for figure in ("score", "states"))
        rows.append([name, score, states])
    for row in rows:
        row.insert(2, rows[0][1] / row[1])
    show(
        f"Scoring {readings:,} readings of {sensors} sensors, and pickling the detectors of each window",
        rows,
        ["", "score and learn, s", "times as fast", "pickle and compress, s"],
        ["", ".2f", ".1f", ".2f"],
    )


POLLS = 36
"""A quarter of a day, every ten minutes."""


def _polling() -> None:
    rows: list[list[Any]] = []
    for sensors in (10, 1_000, 10_000):
        with filled_topic(iter(())) as (servers, _), polling.sensors_of(sensors) as (url, key):
            figures = measure("polling", servers, url, key, POLLS)
        share = figures["processor"] / polling.INTERVAL
        rows.append([f"{sensors:,}", figures["processor"], share * 100, figures["most"] / 1e6])
    show(
        f"A feed of PurpleAir's API, {POLLS} polls, one every ten minutes",
        rows,
        ["sensors", "processor a poll, s", "of a core, %", "peak MB"],
        ["", ".2f", ".3f", ",.0f"],
    )


main()
