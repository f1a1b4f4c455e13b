"""The examples of docs/alerts.md, rendered by the code that tells Slack.

``python -m tests.support.alert_examples`` writes them."""

import json
import re
from dataclasses import replace
from datetime import UTC

from aqi_dagster.pipeline.alerts.channels import Message
from aqi_dagster.pipeline.alerts.email import mail_of
from aqi_dagster.pipeline.alerts.json_webhook import json_message
from aqi_dagster.pipeline.alerts.markup import Block
from aqi_dagster.pipeline.alerts.slack_blocks import digest_message, message
from aqi_dagster.pipeline.alerts.troubles import Memory, News, Trouble, trouble_message
from aqi_dagster.pipeline.alerts.wording import reason
from aqi_dagster.pipeline.verdicts.outbox.due_alerts import Alert
from aqi_dagster.windows import WINDOW_LENGTH
from tests.support.messages import at
from tests.support.places import TOP
from tests.support.slack_server import block_texts

DOCUMENT = TOP / "docs" / "alerts.md"

DAGSTER_URL = "https://dagster.example.org"

WEB_URL = "https://air.example.org"

SMOKE = Alert(
    alert_id=7,
    region="Lake Tahoe",
    window_start=at("2026-11-22 00:00"),
    verdict="smoke",
    previous_verdict=None,
    told_at=None,
    told_before=None,
    status="pending",
    sensors=["38.939, -119.977", "38.957, -120.109", "39.096, -120.032"],
    min_event=at("2026-11-22 06:12"),
    max_pm25=612.4,
    count_anomalies=41,
    variation=None,
    max_pm25_corrected=401.4,
    aqi_of_max=535,
    aqi_category="Hazardous",
    others_pm25=[9.3, 14.0, 148.2, 231.7, 295.5],
    implausible=["39.168, -120.224: the same 0.00 ug/m3 from 00:00 to 11:50"],
)

MALFUNCTION = replace(
    SMOKE,
    window_start=at("2026-11-21 12:00"),
    verdict="malfunction",
    sensors=["39.167, -120.143"],
    min_event=at("2026-11-21 17:40"),
    max_pm25=2404.8,
    count_anomalies=4,
    max_pm25_corrected=None,
    aqi_of_max=None,
    aqi_category=None,
    others_pm25=[3.1, 4.4, 5.0, 5.2, 6.1, 7.3, 8.8],
    implausible=[],
)

WITHDRAWN = replace(
    SMOKE,
    verdict="withdrawn",
    previous_verdict="smoke",
    told_at=at("2026-11-22 12:10"),
    told_before=reason(SMOKE),
    sensors=None,
    min_event=None,
    max_pm25=None,
    count_anomalies=None,
    max_pm25_corrected=None,
    aqi_of_max=None,
    aqi_category=None,
    others_pm25=None,
    implausible=None,
)

EARLY = replace(
    WITHDRAWN,
    verdict="smoke",
    kind="early",
    previous_verdict=None,
    told_at=None,
    told_before=None,
    as_of=at("2026-11-22 07:45"),
    level=79.4,
    trend=70.2,
    since=at("2026-11-22 04:45"),
    aqi_of_nowcast=158,
    healthy_sensors=["38.939, -119.977", "38.957, -120.109", "39.096, -120.032"],
    broken_sensors=["39.168, -120.224"],
    names={"38.939, -119.977": "Edgewood", "39.168, -120.224": "Boathouse"},
    broken_since={"39.168, -120.224": at("2026-11-19 12:00")},
    rules=None,
    reason="The middle of 3 healthy sensors read 79 ug/m3 (corrected) over the last three hours, 35.5 or more.",
)

ALL_CLEAR = replace(
    EARLY,
    kind="all_clear",
    verdict="clear",
    window_start=at("2026-11-23 00:00"),
    as_of=at("2026-11-23 03:15"),
    level=4.2,
    trend=-0.8,
    since=at("2026-11-22 21:15"),
    aqi_of_nowcast=23,
    reason="The middle of 3 healthy sensors read 4 ug/m3 (corrected) over the last three hours, below 35.5.",
)

_EVERYWHERE = replace(
    SMOKE,
    sensors=[
        f"{latitude / 100}, {longitude / 100}"
        for latitude in (3893, 3896, 3901, 3909, 3917)
        for longitude in (-12014, -12009, -12003, -11998)
    ],
    count_anomalies=797,
    others_pm25=[188.0],
    implausible=[],
)

_LONE = replace(
    SMOKE,
    sensors=SMOKE.sensors[:1] if SMOKE.sensors else None,
    count_anomalies=19,
    others_pm25=[4.2, 5.0, 5.6, 6.9, 9.3, 11.4, 18.0],
    implausible=[],
    variation=0.08,
    max_pm25=401.0,
    max_pm25_corrected=212.4,
    aqi_of_max=288,
    aqi_category="Very Unhealthy",
)

EXAMPLES = {
    "Smoke now: an early warning": message(EARLY, DAGSTER_URL, web_url=WEB_URL),
    "Smoke goes on": message(
        replace(
            EARLY,
            kind="ongoing",
            window_start=at("2026-11-22 12:00"),
            as_of=at("2026-11-22 18:00"),
            level=141.3,
            trend=2.1,
            aqi_of_nowcast=214,
            reason="The middle of 3 healthy sensors read 141 ug/m3 over the last three hours, 35.5 or more.",
        ),
        DAGSTER_URL,
    ),
    "All clear": message(ALL_CLEAR, DAGSTER_URL),
    "An early warning that its window does not confirm": message(
        replace(
            ALL_CLEAR,
            verdict="withdrawn",
            as_of=at("2026-11-23 00:10"),
            since=at("2026-11-22 23:15"),
            reason="Its window has ended without a verdict of smoke.",
        ),
        DAGSTER_URL,
    ),
    "Smoke that was warned of": message(replace(SMOKE, warned_at=at("2026-11-22 07:45")), DAGSTER_URL),
    "Smoke": message(SMOKE, DAGSTER_URL, web_url=WEB_URL),
    "Smoke seen by many sensors": message(_EVERYWHERE, DAGSTER_URL),
    "Smoke seen by one sensor": message(_LONE, DAGSTER_URL),
    "Malfunction: too few anomalies": message(MALFUNCTION, DAGSTER_URL),
    "Malfunction: the readings scatter": message(replace(MALFUNCTION, count_anomalies=30, variation=0.45), DAGSTER_URL),
    "A correction": message(
        replace(
            SMOKE,
            previous_verdict="malfunction",
            told_at=at("2026-11-22 12:10"),
            told_before=reason(replace(MALFUNCTION, min_event=at("2026-11-22 06:12"))),
        ),
        DAGSTER_URL,
    ),
    "A withdrawn alert": message(WITHDRAWN, DAGSTER_URL),
    "A digest": digest_message(
        [replace(MALFUNCTION, window_start=MALFUNCTION.window_start - 20 * WINDOW_LENGTH), _EVERYWHERE, WITHDRAWN],
        DAGSTER_URL,
    ),
}

_FAILED = Trouble(
    key="run look_now",
    title="12 runs of look_now failed",
    detail="conditions: No broker answers at 127.0.0.1:9092 within 30 s. Check KAFKA_BOOTSTRAP_SERVERS.",
    since=at("2026-11-22 07:45").replace(tzinfo=UTC).timestamp(),
    path="/runs/8d9c2f1e-0b5d-4c52-9a53-0f7d6f3f9a11",
)

_WARNS = Trouble(
    key="check sensors_report of readings",
    title="The check sensors_report of readings warns",
    detail="1 of 25 sensors that reported the day before is silent: 38.939, -119.977.",
    since=at("2026-11-22 07:51").replace(tzinfo=UTC).timestamp(),
    path="/assets/readings?view=checks",
)

EXAMPLES |= {
    "Trouble with the pipeline itself": trouble_message(News([_FAILED, _WARNS], [], Memory(0.0)), DAGSTER_URL),
    "The pipeline is well again": trouble_message(News([], [_FAILED], Memory(0.0)), DAGSTER_URL),
}

_EMOJI = {
    ":warning:": "⚠️",
    ":fire:": "🔥",
    ":wrench:": "🔧",
    ":white_circle:": "⚪",
    ":white_check_mark:": "✅",
    ":large_purple_circle:": "🟣",
    ":large_brown_circle:": "🟤",
}


def render(document: str) -> str:
    """``document`` with what follows its line ``<!-- examples -->`` made anew."""
    head, marker, _ = document.partition("<!-- examples -->\n")
    previews = "".join(f"\n### {title}\n\n{_preview(payload)}\n" for title, payload in EXAMPLES.items())
    payload = json.dumps(EXAMPLES["Smoke"], indent=2, ensure_ascii=False)
    smoke = Message([SMOKE], EXAMPLES["Smoke"])
    posted = json.dumps(json_message(smoke), indent=2, ensure_ascii=False)
    mail = mail_of(smoke, "aqi@example.org", ["ann@example.org"])
    text = f"Subject: {mail['Subject']}\n\n{mail.get_content()}"
    return (
        f"{head}{marker}{previews}\n### Smoke, as Slack is posted\n\n```json\n{payload}\n```\n"
        f"\n### Smoke, as the webhook is posted\n\n```json\n{posted}\n```\n"
        f"\n### Smoke, by e-mail\n\n```text\n{text}```\n"
    )


def _preview(payload: Block) -> str:
    """Slack's markup as Markdown, in a quote."""
    title, *lines = block_texts(payload).splitlines()
    text = "\n>\n".join(f"> {line}" for line in [f"**{title}**", *(line.replace("*", "**") for line in lines)])
    text = re.sub(r"<([^|>]*)\|([^>]*)>", r"[\2](\1)", text).replace("&amp;", "&")
    for name, emoji in _EMOJI.items():
        text = text.replace(name, emoji)
    colour = payload["attachments"][0]["color"]
    return f"Notification: {payload['text']}\n\n{text}\n\nBar: `{colour}`"


if __name__ == "__main__":
    DOCUMENT.write_text(render(DOCUMENT.read_text()))
