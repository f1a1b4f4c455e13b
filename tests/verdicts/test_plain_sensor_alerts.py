"""Which alerts of sensors are queued, superseded and withdrawn, once more in plain Python, on random tables."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.outbox.queue import queue_sensor_alerts
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.health import window_at
from tests.support.messages import NOW
from tests.support.tables import rows

Record = dict[str, Any]

STORES = 60

REGIONS, SENSORS = ["Harney", "Jackson"], ["45.1, -122", "45.2, -122"]

FIRST, MONDAY, LAST = 66, 70, 73
"""The windows of a run, of which one begins a Monday. 60 windows are 30 days."""

NUMBERS = [5, 6, 7, 8, 9, *range(FIRST - 2, LAST + 2)]

HALF_AN_HOUR = timedelta(minutes=30)

NOT_SENT = ("pending", "not_sent", "refused")

OWN_IDS = 100
"""The alerts that are there before a run have ids up to this; those that the store gives lie above."""

_ALERTS = """
SELECT alert_id, kind, subject, region, window_start, verdict, previous_verdict, status, outcome
FROM slack_alerts
ORDER BY alert_id
"""


def write(writer: Writer, random: Random) -> tuple[list[Record], list[Record]]:
    """Random health of two sensors, and a random outbox."""
    health: list[Record] = []
    for sensor in SENSORS:
        calm, silent = random.random(), random.choice([[], range(FIRST - 2, FIRST + random.randrange(4))])
        for number in (number for number in NUMBERS if number not in silent):
            fault = random.choice(["flat", "dead"]) if random.random() > calm else None
            region = random.choice([*REGIONS, REGIONS[0], REGIONS[0], None])
            row = {"sensor": sensor, "window_start": window_at(number), "region": region, "fault": fault}
            health += [row | {"hours": random.choice([5, 6, 6, 7, 12])}] if random.random() < 0.7 else []
    alerts: list[Record] = []
    for number in range(1, 1 + random.choice([0, 8, 40])):
        status = random.choice(["pending", "sent", "not_sent", "refused", "unknown", "superseded"])
        start = window_at(random.randrange(FIRST - 1, LAST + 2))
        alert = {"alert_id": number, "kind": random.choice(["sensor", "sensor", "weekly"]), "window_start": start}
        alert |= {"region": random.choice(REGIONS), "verdict": "broken", "subject": None, "status": status}
        if alert["kind"] == "sensor":
            alert |= {"subject": random.choice(SENSORS), "verdict": random.choice(["broken", "well", "withdrawn"])}
        alerts.append(alert | {"previous_verdict": None, "outcome": None})
    others = dict.fromkeys(["mean_pm25", "max_hour_pm25", "corrected_pm25", "hours_above_35"], 5)
    others |= dict.fromkeys(["unlike_neighbours", "is_new", "on_probation", "in_dispute", "is_local"], False)
    insert(writer, "sensor_health", [row | others for row in health])
    insert(writer, "slack_alerts", [alert | {"created_at": NOW} for alert in alerts])
    return health, alerts


def change_rules(writer: Writer, random: Random) -> datetime | None:
    """Have the rules be changed when a window ends, or half an hour before, or never; when that was."""
    moment = window_at(random.choice([FIRST, FIRST + 1, MONDAY])) + WINDOW_LENGTH - random.choice([0, 1]) * HALF_AN_HOUR
    changed_at = random.choice([None, moment])
    changes = [{"rules": "network", "changed_at": changed_at}] if changed_at else []
    insert(writer, "rule_changes", changes)
    return changed_at


def insert(writer: Writer, table: str, records: list[Record]) -> None:
    writer.execute(f"DELETE FROM {table}")
    if records:
        row = f"({', '.join('?' * len(records[0]))})"
        writer.execute(
            f"INSERT INTO {table} ({', '.join(records[0])}) VALUES {', '.join([row] * len(records))}",
            [value for record in records for value in record.values()],
        )


def events_of(health: list[Record], windows: WindowRange) -> dict[tuple[str, datetime], Record]:
    """By sensor and window of the run, who broke or is well again."""
    found = {}
    for sensor in SENSORS:
        taking_part = [row for row in health if row["sensor"] == sensor and (row["hours"] >= 6 or row["fault"])]
        taking_part = [row for row in taking_part if row["region"] and row["window_start"] <= windows.last]
        for place, row in enumerate(taking_part):
            start = row["window_start"]
            # The last one and the one before, neither more than 30 days back; nor more than that before the run.
            oldest = max(start, windows.first) - timedelta(days=30)
            two = [taking_part[place - back] if place >= back else None for back in (1, 2)]
            one, other = (before["fault"] if before and before["window_start"] >= oldest else None for before in two)
            verdict = "broken" if row["fault"] and not one and not other else None
            verdict = "well" if not row["fault"] and not one and other else verdict
            if verdict and start >= windows.first:
                found[sensor, start] = {"region": row["region"], "verdict": verdict}
    return found


def latest(alerts: Iterable[Record]) -> Record | None:
    return max(alerts, key=lambda alert: alert["alert_id"], default=None)


def plain_sensor_alerts(health: list[Record], alerts: list[Record], windows: WindowRange) -> list[Record]:
    """What is queued of sensors; supersedes those of ``alerts`` that are no longer so."""
    events, queued = events_of(health, windows), []
    inside = [a for a in alerts if a["kind"] == "sensor" and windows.first <= a["window_start"] <= windows.last]
    for start, sensor in sorted({(s, n) for n, s in events} | {(a["window_start"], a["subject"]) for a in inside}):
        own = [alert for alert in inside if (alert["subject"], alert["window_start"]) == (sensor, start)]
        event, last = events.get((sensor, start)), latest(a for a in own if a["status"] != "superseded")
        sent = latest(alert for alert in own if alert["status"] in ("sent", "unknown"))
        if not event and not last:
            continue
        verdict = event["verdict"] if event else "withdrawn"
        moved = event and last and last["status"] in NOT_SENT and last["region"] != event["region"]
        if last and last["verdict"] == verdict and not moved:
            continue
        for alert in own:
            if alert["status"] in NOT_SENT:
                outcome = "the health of the sensor was judged anew before it was sent"
                alert.update(status="superseded", outcome=outcome)
        told = sent["verdict"] if sent else None
        if verdict != (told or "withdrawn"):
            region = (event or last or {})["region"]
            queued.append({"kind": "sensor", "subject": sensor, "region": region, "window_start": start})
            queued[-1] |= {"verdict": verdict, "previous_verdict": told}
    return queued


def plain_lists(health: list[Record], alerts: list[Record], windows: WindowRange) -> list[Record]:
    """The lists of Mondays that are queued; supersedes those of ``alerts`` of which nobody is broken any more."""
    wanted = sorted(
        {
            (row["window_start"], row["region"])
            for row in health
            if row["fault"] and row["region"] and windows.first <= row["window_start"] <= windows.last
            if row["window_start"].isoweekday() == 1 and row["window_start"].hour == 0
        }
    )
    lists = [alert for alert in alerts if alert["kind"] == "weekly"]
    for alert in lists:
        inside = windows.first <= alert["window_start"] <= windows.last
        if inside and alert["status"] in NOT_SENT and (alert["window_start"], alert["region"]) not in wanted:
            outcome = "the health of the sensors was judged anew before it was sent"
            alert.update(status="superseded", outcome=outcome)
    there = {(alert["window_start"], alert["region"]) for alert in lists if alert["status"] != "superseded"}
    row = {"kind": "weekly", "subject": None, "verdict": "broken", "previous_verdict": None}
    return [row | {"region": region, "window_start": start} for start, region in wanted if (start, region) not in there]


def test_alerts_of_sensors_are_those_that_plain_python_queues(connection: Writer) -> None:
    seen: set[str] = set()
    rows(connection, f"SELECT nextval('alert_ids') FROM range({OWN_IDS})")
    for seed in range(STORES):
        random = Random(seed)  # noqa: S311 (no secret)
        health, alerts = write(connection, random)
        windows = WindowRange(window_at(random.choice([FIRST, MONDAY])), window_at(random.choice([MONDAY, LAST])))
        told_from = change_rules(connection, random)
        queue_sensor_alerts(connection, windows, NOW)
        new = plain_sensor_alerts(health, alerts, windows) + plain_lists(health, alerts, windows)
        new = [alert for alert in new if told_from is None or alert["window_start"] + WINDOW_LENGTH > told_from]
        found = rows(connection, _ALERTS)
        names = ["kind", "subject", "region", "window_start", "verdict", "previous_verdict", "status", "outcome"]
        expected = [tuple(alert[name] for name in names) for alert in alerts]
        expected += [tuple({**alert, "status": "pending", "outcome": None}[name] for name in names) for alert in new]
        assert sorted((row[1:] for row in found), key=repr) == sorted(expected, key=repr), seed
        assert [row[1:] for row in found if row[0] > OWN_IDS] == expected[len(alerts) :], seed
        seen |= {f"{alert['kind']} {alert['verdict']}" for alert in new}
    assert seen == {"sensor broken", "sensor well", "sensor withdrawn", "weekly broken"}
