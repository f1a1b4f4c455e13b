"""Which times a message may hold, and the reason that each other one is refused for."""

import json
from datetime import timedelta
from typing import Any

import pytest

from aqi_dagster.pipeline.decoding.reasons import RejectedMessageError
from tests.support.message_values import decode, with_field
from tests.support.messages import ALLOWANCE, NOW, at


@pytest.mark.parametrize(
    "text",
    [
        *["2022-07-18 06:00:00 UTC", "2022-07-18T06:00:00Z", "2022-07-18T06:00:00+00:00", "2022-07-18 06:00:00Z"],
        *[
            "2022-07-18 06:00:00+00:00",
            "2022-07-18T06:00:00.000Z",
            " 2022-07-18 06:00:00 UTC",
            "2022-07-18T06:00:00Z\n",
        ],
    ],
)
def test_a_time_in_utc_is_taken(text: str) -> None:
    assert decode(with_field("created_at", json.dumps(text))).created_at == at("2022-07-18 06:00")


@pytest.mark.parametrize(
    "text",
    [
        *["2022-07-18 06:00:00 utc", "2022-07-18t06:00:00Z", "2022-07-18 06:00:00  UTC", "2022-07-18  06:00:00 UTC"],
        *["2022-7-18 06:00:00 UTC", "18.07.2022 06:00:00 UTC", "2022/07/18T06:00:00z", "2022-07-18 06:00 UTC"],
        *["\u0662022-07-18 06:00:00 UTC", "yesterday", "2022-07-18", "2022-07-18T06:00:00.Z", "2022-07-18T06:00:00ZZ"],
        *[1658124000, True, ["2022-07-18 06:00:00 UTC"]],
    ],
)
def test_a_time_of_another_form_is_refused(text: Any) -> None:
    with pytest.raises(RejectedMessageError, match=r'^created_at is not of the form "2022-07-18 00:00:00 UTC"$'):
        decode(with_field("created_at", json.dumps(text)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[(f"2022-07-18T06:00:00{zone}", "is not in UTC") for zone in ("+02:00", "-07:00", "-0700", "+02", " CET")],
        ("2022-07-18T06:00:00", "has no time zone: UTC, Z or +00:00 must follow"),
        ("2022-07-18 06:00:00.5", "has no time zone: UTC, Z or +00:00 must follow"),
        ("2022-07-18T06:00:00.250Z", "has fractions of a second"),
        ("2022-07-18 06:00:00.5 UTC", "has fractions of a second"),
    ],
)
def test_the_reason_says_what_a_time_lacks(text: str, reason: str) -> None:
    with pytest.raises(RejectedMessageError) as refused:
        decode(with_field("created_at", json.dumps(text)))
    assert str(refused.value) == f"created_at {reason}"


@pytest.mark.parametrize(
    "text",
    ["2022-02-30 00:00:00", "2022-13-01 00:00:00", "2022-07-18 24:00:00", "2022-07-18 00:60:00", "0000-01-01 00:00:00"],
)
def test_an_impossible_time_is_refused(text: str) -> None:
    with pytest.raises(RejectedMessageError, match=r"^created_at is no date$"):
        decode(with_field("created_at", json.dumps(f"{text} UTC")))


def test_a_time_further_ahead_than_allowed_is_refused() -> None:
    def ahead(by: timedelta) -> bytes:
        return with_field("created_at", json.dumps(f"{NOW + by} UTC"))

    assert decode(ahead(ALLOWANCE)).created_at == NOW + ALLOWANCE
    with pytest.raises(RejectedMessageError, match=r"^created_at is in the future$"):
        decode(ahead(ALLOWANCE + timedelta(seconds=1)))
