"""What alerts say, in the shape and within the limits that Slack sets."""

import html
import re
from collections import Counter
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from aqi_dagster.pipeline.alerts.markup import MAX_TEXT, Block
from aqi_dagster.pipeline.alerts.slack_blocks import (
    DIGEST_LINES,
    SENSORS_NAMED,
    digest_message,
    headline,
    message,
)
from aqi_dagster.pipeline.alerts.wording import Alert, reason
from aqi_dagster.pipeline.aqi import CATEGORIES
from aqi_dagster.windows import WINDOW_LENGTH
from tests.support.alert_examples import ALL_CLEAR, DOCUMENT, EARLY, MALFUNCTION, SMOKE, WITHDRAWN, render
from tests.support.slack_server import block_texts, headlines

LONG = "<&>" * 2_000
"""A name that is as long as a Kafka key may be, and grows when it is escaped."""


def check(payload: Block) -> None:
    """Slack's limits: https://docs.slack.dev/reference/block-kit/blocks."""
    (attachment,) = payload["attachments"]
    blocks: list[Any] = [*payload["blocks"], *attachment["blocks"]]
    assert len(blocks) <= 50
    assert len(payload["text"]) <= 40_000
    for block in blocks:
        match block["type"]:
            case "header":
                assert block["text"]["type"] == "plain_text"
                assert 1 <= len(block["text"]["text"]) <= 150
            case "section":
                assert 1 <= len(block["text"]["text"]) <= MAX_TEXT
            case "context":
                assert all(1 <= len(element["text"]) <= MAX_TEXT for element in block["elements"])
            case other:
                pytest.fail(f"unexpected block {other}")


def test_the_documented_examples_are_what_the_code_renders() -> None:
    """`python -m tests.support.alert_examples` writes them anew."""
    assert DOCUMENT.read_text() == render(DOCUMENT.read_text())


def test_a_malfunction_names_the_rule_that_decided() -> None:
    assert reason(MALFUNCTION) == (
        "1 sensor, 4 anomalies since 17:40, up to 2,405 ug/m3: too few for smoke (10 or more)"
    )
    scattered = replace(MALFUNCTION, count_anomalies=30, variation=0.45)
    assert reason(scattered).endswith(
        "30 anomalies since 17:40, up to 2,405 ug/m3: its readings scatter (variation 0.45 > 0.3)"
    )
    assert "(variation 0.3004 > 0.3)" in reason(replace(scattered, variation=0.30041))
    lone = replace(scattered, verdict="smoke", variation=0.05)
    assert reason(lone).endswith("; its readings are steady (variation 0.05)")


@pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)
def test_smoke_shows_the_colour_of_its_category(category: Any) -> None:
    payload = message(replace(SMOKE, aqi_of_max=category.lowest_aqi, aqi_category=category.name))
    assert payload["attachments"][0]["color"] == category.hex_colour
    circle = payload["blocks"][0]["text"]["text"].split()[0]
    assert circle.replace("brown", "maroon").strip(":").removeprefix("large_") == f"{category.colour}_circle"


def test_names_cannot_speak_slacks_markup() -> None:
    hostile = replace(SMOKE, region="<!channel> & <https://evil.example|Tahoe>\n*here*", sensors=["<@U1>", "45, -122"])
    for payload in [message(hostile), digest_message([hostile])]:
        shown = payload["text"] + block_texts(payload)
        assert (
            "&lt;!channel&gt; &amp; &lt;https://evil.example|Tahoe&gt; \N{ASTERISK OPERATOR}here\N{ASTERISK OPERATOR}"
            in shown
        )
        assert "<!" not in shown
        assert "<@" not in shown


def payloads(name: str) -> list[Block]:
    """Messages of every kind, and a digest, in which ``name`` is wherever a name can be."""
    named = replace(SMOKE, region=name, sensors=[name], implausible=[f"{name}: stuck"], reason=f"{name} read 5")
    corrected = replace(named, previous_verdict="malfunction", told_at=SMOKE.window_end, told_before=f"{name} read 7")
    weekly = replace(named, kind="weekly", verdict="broken", reason=None)
    of_sensor = replace(named, kind="sensor", verdict="broken", subject=name)
    return [*map(message, (named, corrected, weekly, of_sensor)), digest_message([named, corrected])]


def markup(payload: Block) -> Counter[str]:
    """All that Slack would read as markup in a payload."""
    return Counter(re.findall(r"[*_~`<>]|:[a-z_+0-9-]+:", f"{payload['text']}\n{block_texts(payload)}"))


@pytest.mark.parametrize(
    "name",
    ["*bold*", "_italic_", "~struck~", "`code`", ":fire:", ":a:b:c:", "<!here>", "<https://a.example|b>", "> quoted"],
)
def test_no_name_is_markup_in_any_part_of_a_message(name: str) -> None:
    plain, hostile = payloads("Tahoe"), payloads(f"Lake {name}")
    assert [markup(payload) for payload in hostile] == [markup(payload) for payload in plain]
    for payload in hostile:
        shown = re.sub(r"[^\w. |/&;!<>]", "?", html.unescape(block_texts(payload)))
        assert re.sub(r"[^\w. |/&;!<>]|_", "?", name).strip("?") in shown


def test_links_to_the_page_for_people_hold_any_name() -> None:
    strange = "A/B & <C>? #1"
    addresses = []
    for payload in [
        message(replace(SMOKE, region=strange), web_url="https://air.example.org/aqi/"),
        message(replace(EARLY, region=strange), web_url="https://air.example.org/aqi/"),
        digest_message([replace(SMOKE, region=strange)], web_url="https://air.example.org/aqi/"),
    ]:
        (link,) = re.findall(r"<(https://air[^|>]+)\|", block_texts(payload))
        addresses.append(urlsplit(link.replace("&amp;", "&")))
    assert [address.path for address in addresses] == ["/aqi/window", "/aqi/", "/aqi/window"]
    asked = [parse_qs(address.query, strict_parsing=True) for address in addresses]
    window = {"region": [strange], "start": ["2026-11-22T00:00"]}
    assert asked == [window, {"region": [strange]}, window]


def test_neither_addresses_nor_channels_in_names_become_links() -> None:
    """Slack makes links of them in texts that are not verbatim: https://docs.slack.dev/reference/block-kit/."""
    texts = [
        text
        for payload in (message(SMOKE, "https://dagster.example.org"), digest_message([SMOKE, MALFUNCTION]))
        for block in payload["attachments"][0]["blocks"]
        for text in (block["elements"] if block["type"] == "context" else [block["text"]])
    ]
    assert len(texts) > 4
    assert [text for text in texts if text["type"] != "mrkdwn" or text["verbatim"] is not True] == []


def test_many_sensors_are_counted_beyond_the_first() -> None:
    sensors = [f"45.{number}, -122" for number in range(SENSORS_NAMED + 12)]
    lines = block_texts(message(replace(SMOKE, sensors=sensors))).splitlines()
    assert [line for line in lines if line.startswith("•")] == [f"• {name}" for name in sensors[:SENSORS_NAMED]]
    assert "and 12 more" in lines


def test_without_an_address_of_dagster_there_is_no_link() -> None:
    assert "Dagster" not in str(message(SMOKE)) + str(digest_message([SMOKE]))
    linked = "<https://example.org/dagster/assets/regional_windows?view=partitions"
    assert linked in str(message(SMOKE, "https://example.org/dagster/"))
    assert linked in str(digest_message([SMOKE], "https://example.org/dagster"))


def test_a_digest_links_each_window_to_its_own_page_and_counts_in_plural() -> None:
    windows = [replace(SMOKE, window_start=SMOKE.window_start + index * WINDOW_LENGTH) for index in (0, 1)]
    digest = digest_message([*windows, MALFUNCTION], "https://example.org")
    page = "<https://example.org/assets/regional_windows?view=partitions&amp;partition="
    for start, window in [
        ("2026-11-22T00%3A00", "2026-11-22 00:00 to 12:00"),
        ("12%3A00", "2026-11-22 12:00 to 00:00"),
    ]:
        assert f"{start}|{window} UTC>: 3 sensors" in block_texts(digest)
    assert block_texts(digest).count(page) == 3
    assert digest["text"].endswith(": 2 Suspected Smoke Events, 1 Malfunctioning Sensor")
    assert "<" not in digest["text"]


@pytest.mark.parametrize("alert", [SMOKE, MALFUNCTION, WITHDRAWN], ids=lambda alert: alert.verdict)
@pytest.mark.parametrize("name", ["Lake Tahoe", LONG], ids=["short names", "long names"])
@pytest.mark.parametrize("number", [1, 500])
def test_every_message_keeps_within_slacks_limits(alert: Alert, name: str, number: int) -> None:
    sensors = None if alert.sensors is None else [f"{name} {index}" for index in range(number)]
    large = replace(alert, region=name, sensors=sensors, max_pm25=1e12, count_anomalies=10**9)
    check(message(large, "https://dagster.example.org"))
    windows = [replace(large, window_start=large.window_start + index * WINDOW_LENGTH) for index in range(number)]
    digest = digest_message(windows, "https://dagster.example.org")
    check(digest)
    shown = block_texts(digest)
    assert f"{windows[-1].window_start:%Y-%m-%d %H:%M}" in shown
    assert (f"{number - DIGEST_LINES} earlier ones are left out" in shown) == (number > DIGEST_LINES)


def test_a_headline_says_what_was_told_before_in_a_digest_too() -> None:
    corrected = replace(SMOKE, previous_verdict="malfunction", told_at=SMOKE.window_end)
    assert headline(corrected) == f'{headline(SMOKE)} (told before as "Malfunctioning Sensor")'
    assert headlines(digest_message([MALFUNCTION, corrected])) == [headline(MALFUNCTION), headline(corrected)]
    assert headline(WITHDRAWN).startswith("Alert Withdrawn in Lake Tahoe, 2026-11-22 00:00 to 12:00 UTC: no anomaly")


def test_what_tells_of_now_fits_into_slacks_limits_for_a_thousand_sensors() -> None:
    sensors = [f"45.{number}, -122.{number} #{number}" for number in range(1_000)]
    names = {sensor: f"{LONG}{number}" for number, sensor in enumerate(sensors)}
    since = dict.fromkeys(sensors, EARLY.window_start)
    for alert in (EARLY, ALL_CLEAR, replace(EARLY, kind="ongoing", region=LONG)):
        many = replace(alert, healthy_sensors=sensors, broken_sensors=sensors, names=names, broken_since=since)
        payload = message(many, "https://example.org")
        check(payload)
        assert re.search(r"^and 99\d more$", block_texts(payload), re.MULTILINE)
        assert "Map of these 2,000 sensors" in block_texts(payload)
    smoke = replace(SMOKE, sensors=sensors, names=names, warned_at=SMOKE.window_start)
    check(message(smoke))
    assert "This confirms the early warning of" in block_texts(message(smoke))


def test_sensors_are_named_as_their_messages_name_them_and_broken_ones_say_since_when() -> None:
    (broken,) = EARLY.broken_sensors or []
    names = {broken: "*Pine* St", (EARLY.healthy_sensors or [])[0]: "Lakeside"}
    since = {broken: EARLY.window_start}
    text = block_texts(message(replace(EARLY, names=names, broken_since=since)))
    assert f"• Lakeside ({(EARLY.healthy_sensors or [])[0]})" in text
    assert f"• \N{ASTERISK OPERATOR}Pine\N{ASTERISK OPERATOR} St ({broken}): since 2026-11-22 00:00 UTC" in text


@pytest.mark.parametrize("before", [None, SMOKE.window_start])
def test_a_sensor_that_breaks_says_whether_it_broke_before(before: Any) -> None:
    broken = replace(
        MALFUNCTION, kind="sensor", verdict="broken", subject="45.1, -122", reason="Is dead.", broke_before=before
    )
    said = (
        "It was not told to be broken before." if before is None else "It broke before: in the window from 2026-11-22"
    )
    assert said in block_texts(message(broken))
