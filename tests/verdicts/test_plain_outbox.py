"""What the outbox has to say, once more in plain Python, on random rows of the tables that it is gathered from."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.verdicts.outbox.due_alerts import Alert, due_alerts
from tests.support.health import window_at
from tests.support.messages import NOW

Record = dict[str, Any]
Outbox = Mapping[str, list[Record]]

STORES = 25

REGIONS, SENSORS = ["Harney", "Jackson"], ["45.1, -122", "45.2, -122"]

WINDOWS = [window_at(number) for number in (0, 1, 2, 60, 61, 62)]
"""30 days before the last of these is the third."""

MOMENTS = ["early", "ongoing", "all_clear"]

OF_VERDICT = ["sensors", "min_event", "max_pm25", "count_anomalies", "variation", "max_pm25_corrected", "aqi_of_max"]
OF_VERDICT += ["aqi_category", "others_pm25", "rules", "confidence"]
OF_ALERT = ["alert_id", "region", "window_start", "verdict", "previous_verdict", "status", "kind", "subject", "as_of"]
OF_ALERT += ["trend", "since", "aqi_of_nowcast"]


def slack_alert(random: Random, number: int) -> Record:
    """A row of the outbox, of any kind and in any state; each was sent at another time, if it was."""
    kind = random.choice(["verdict", "verdict", "sensor", "sensor", "weekly", "early", *MOMENTS])
    status = random.choice(["pending", "pending", "not_sent", "sent", "sent", "unknown", "superseded", "refused"])
    row: Record = dict.fromkeys(["previous_verdict", "subject", "as_of", "trend", "since", "aqi_of_nowcast", "level"])
    row |= dict.fromkeys(["healthy", "broken", "reason", "sent_at", "told"])
    row |= {"alert_id": number, "region": random.choice(REGIONS), "window_start": random.choice(WINDOWS)}
    verdict = "broken" if kind == "weekly" else random.choice(["smoke", "withdrawn"])
    if kind == "sensor":
        verdict = random.choice(["broken", "broken", "well", "withdrawn"])
        row |= {"subject": random.choice(SENSORS)}
    if kind in MOMENTS:
        row |= {"as_of": row["window_start"] + timedelta(minutes=random.randrange(700)), "trend": 1.5, "level": 80.0}
        row |= {"since": row["window_start"], "aqi_of_nowcast": 150, "healthy": ["x"], "broken": ["y"], "reason": "now"}
    if status == "sent" or (status == "superseded" and random.random() < 0.3):
        row |= {"sent_at": NOW + timedelta(seconds=random.randrange(10**6)), "told": f"told by {number}"}
    return row | {"kind": kind, "status": status, "verdict": verdict, "created_at": NOW}


def regional_window(random: Random, region: str, start: datetime) -> Record:
    return {
        "region": region,
        "window_start": start,
        "window_end": start + timedelta(hours=12),
        "sensors": random.sample(SENSORS, 1),
        "count_sensors": 1,
        "count_anomalies": random.randrange(9),
        "min_event": start,
        "max_pm25": random.random(),
        "variation": random.random(),
        "verdict": "smoke",
        "max_pm25_corrected": random.random(),
        "aqi_of_max": random.randrange(500),
        "aqi_category": "Good",
        "others_pm25": [random.random()],
        "implausible": ["z"],
        "rules": "network",
        "level": random.random(),
        "healthy_sensors": ["p"],
        "broken_sensors": ["q"],
        "confidence": "low",
        "reason": f"verdict of {start}",
    }


def sensor_health(random: Random, sensor: str, start: datetime) -> Record:
    fault = random.choice([None, None, "flat", "dead"])
    numbers = dict.fromkeys(["mean_pm25", "max_hour_pm25", "corrected_pm25", "hours_above_35"], 5)
    marks = dict.fromkeys(["unlike_neighbours", "is_new", "on_probation", "in_dispute", "is_local"], False)
    return (
        numbers
        | marks
        | {
            "sensor": sensor,
            "window_start": start,
            "region": random.choice(REGIONS),
            "hours": random.choice([4, 5, 6, 7]),
            "fault": fault,
            "reason": f"{fault} in {start}" if fault else random.choice([None, "unlike others"]),
        }
    )


def outbox(random: Random) -> Outbox:
    """Random rows of all tables."""
    return {
        "slack_alerts": [slack_alert(random, number) for number in range(1, 31)],
        "regional_windows": [
            regional_window(random, region, start) for region in REGIONS for start in WINDOWS if random.random() < 0.7
        ],
        "sensor_health": [
            sensor_health(random, sensor, start) for sensor in SENSORS for start in WINDOWS if random.random() < 0.7
        ],
        "windows": [
            {"window_start": start, "readings": 1, "scored": None if start < WINDOWS[1] else random.choice([None, 1])}
            for start in WINDOWS
        ],
    }


def write(connection: DuckDBPyConnection, tables: Outbox) -> None:
    """Have the store hold these rows and no other ones."""
    for table, rows in tables.items():
        connection.execute(f"DELETE FROM {table}")
        row = f"({', '.join('?' * len(rows[0]))})"
        connection.execute(
            f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES {', '.join([row] * len(rows))}",
            [row[name] for row in rows for name in rows[0]],
        )


def plain_broken_since(health: list[Record]) -> dict[str, datetime]:
    """First window of the present fault, by sensor: without one since it last took part without."""
    newest = max(row["window_start"] for row in health)
    since = {}
    for sensor in SENSORS:
        rows = [r for r in health if r["sensor"] == sensor and r["window_start"] >= newest - timedelta(days=30)]
        right = [r["window_start"] for r in rows if r["fault"] is None and r["hours"] >= 6]
        wrong = [r["window_start"] for r in rows if r["fault"] and not any(s >= r["window_start"] for s in right)]
        since |= {sensor: min(wrong)} if wrong else {}
    return since


def plain_alert(alert: Record, tables: Outbox) -> Record:
    """What is to be told of one alert, the present faults of sensors left out."""
    start, kind = alert["window_start"], alert["kind"]

    def of_same_window(table: str, **values: object) -> list[Record]:
        rows = [row for row in tables[table] if row["window_start"] == start]
        return [row for row in rows if all(row[name] == value for name, value in values.items())]

    nothing: Record = dict.fromkeys(
        [*OF_VERDICT, "implausible", "level", "healthy_sensors", "broken_sensors", "reason"]
    )
    regional = of_same_window("regional_windows", region=alert["region"]) if kind == "verdict" else []
    judged = regional[0] if regional else nothing
    found = {name: alert[name] for name in OF_ALERT} | {name: judged[name] for name in OF_VERDICT}
    whom = {"subject": alert["subject"]} if kind == "sensor" else {"region": alert["region"]}
    told = [row for row in of_same_window("slack_alerts", kind=kind, **whom) if row["sent_at"]]
    last = max(told, key=lambda row: row["sent_at"], default=None)
    found |= {"told_at": last and last["sent_at"], "told_before": last and last["told"]}
    early = of_same_window("slack_alerts", kind="early", region=alert["region"]) if kind == "verdict" else []
    warned = [row["as_of"] for row in early if row["status"] in ("sent", "unknown")]
    faulty = [row for row in of_same_window("sensor_health", region=alert["region"]) if row["fault"]]
    listed = sorted(f"{row['sensor']}: {row['reason']}" for row in faulty) or None
    broke = [
        row["window_start"]
        for row in tables["slack_alerts"]
        if (row["kind"], row["subject"], row["verdict"], row["status"])
        == ("sensor", alert["subject"], "broken", "sent")
        and row["window_start"] < start
    ]
    own = of_same_window("sensor_health", sensor=alert["subject"]) if kind == "sensor" else []
    reason = alert["reason"] or (own[0]["reason"] if own else None) or judged["reason"]
    scored = [row["window_start"] for row in tables["windows"] if row["scored"] is not None]
    if alert["verdict"] == "withdrawn" and scored and start < min(scored):
        reason = "The window lies before the first one now, and is not judged any more"
    return found | {
        "warned_at": min(warned, default=None),
        "implausible": listed if kind == "weekly" else judged["implausible"],
        "level": alert["level"] or judged["level"],
        "healthy_sensors": alert["healthy"] or judged["healthy_sensors"],
        "broken_sensors": alert["broken"] or judged["broken_sensors"],
        "broke_before": max(broke, default=None) if kind == "sensor" else None,
        "reason": reason,
    }


def plain_due(tables: Outbox) -> list[Record]:
    due = [
        alert
        for alert in tables["slack_alerts"]
        if alert["status"] == "pending" or (alert["status"] == "not_sent" and not alert["as_of"])
    ]
    due.sort(key=lambda row: (row["as_of"] is None, row["window_start"], row["region"], row["alert_id"]))
    return [plain_alert(alert, tables) for alert in due]


def without_names(alert: Alert) -> Record:
    return {name: value for name, value in vars(alert).items() if name not in ("names", "broken_since")}


def test_what_is_due_says_what_plain_python_finds(connection: DuckDBPyConnection) -> None:
    count = 0
    for seed in range(STORES):
        tables = outbox(Random(seed))  # noqa: S311 (no secret)
        write(connection, tables)
        alerts = due_alerts(connection)
        assert [without_names(alert) for alert in alerts] == plain_due(tables), seed
        assert alerts[0].broken_since == plain_broken_since(tables["sensor_health"]), seed
        count += len(alerts)
    assert count > STORES * 5
