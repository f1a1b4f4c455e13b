"""PurpleAir's API: its questions, and what its answers mean for a feed."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from aqi_dagster.errors import FeedError, PurpleAirRefusedError
from aqi_dagster.feeds.local_json import DECODER
from aqi_dagster.polling.asking import NoReplyError, Reply, ask
from aqi_dagster.polling.selections import Selection
from aqi_dagster.settings import PURPLEAIR_API_KEY

TIMEOUT_SECONDS = 60.0

_OF_KEY = f"look whether {PURPLEAIR_API_KEY} is a READ key of develop.purpleair.com, enabled, and meant for this host"

_ADVICE = {
    401: _OF_KEY,
    402: "the project of the key has no points left: add some at develop.purpleair.com, or ask less often or for less",
    403: _OF_KEY,
    404: "there is no such sensor or group, or it is not the key's own",
    400: "look whether the sensors are named as docs/feeds.md says; if so, the API has changed",
}


class PassingFaultError(Exception):
    """No usable answer, but there may be one later: after ``retry_after`` seconds if the API said so.

    ``charged`` tells whether it may have cost all that a good answer would have cost.
    """

    def __init__(self, reason: str, charged: bool, retry_after: float | None = None, told: float | None = None) -> None:
        super().__init__(reason)
        self.charged = charged
        self.retry_after = retry_after
        self.told = told


@dataclass(frozen=True)
class Table:
    """An answer: the names of its columns and its rows, numbers as they are written.

    ``told`` is PurpleAir's own time, ``current`` until when its data are, in seconds since 1970, or None.
    """

    fields: tuple[str, ...]
    rows: Sequence[Any]
    told: float | None
    current: float | None


def api_key(text: str) -> str:
    """The key in ``text``, the value of PURPLEAIR_API_KEY; ``FeedError``, which does not quote it, if there is none."""
    key = text.strip()
    if not key:
        raise FeedError(
            f"{PURPLEAIR_API_KEY} is not set: put a READ key into .env. docs/feeds.md says where to get one."
        )
    if not re.fullmatch(r"[!-~]{8,200}", key):
        raise FeedError(f"{PURPLEAIR_API_KEY} is no key: it holds blanks or other signs that no key has. Copy it anew.")
    return key


class PurpleAir:
    """The API at ``url``; the key travels in a header alone."""

    def __init__(self, key: str, url: str, timeout: float = TIMEOUT_SECONDS) -> None:
        self._key = key
        self._url = url.rstrip("/")
        self._timeout = timeout

    def __repr__(self) -> str:
        """Without the key."""
        return f"PurpleAir({self._url!r})"

    def sensors(self, selection: Selection, fields: Sequence[str], further: Mapping[str, str]) -> Table:
        """What the sensors of ``selection`` read last. Raises ``PassingFaultError`` and ``PurpleAirRefusedError``."""
        names = ",".join([*selection.fields, *fields])
        parameters = {"fields": names, **selection.parameters, **further}
        return _table(self._ask(selection.path, parameters), {"sensor_index", *fields})

    def history(self, index: int, fields: Sequence[str], first: int, end: int, average: int) -> str:
        """CSV of the readings of a sensor from ``first`` on and before ``end``, seconds since 1970, in no order."""
        parameters = {
            "fields": ",".join(fields),
            "start_timestamp": str(first),
            "end_timestamp": str(end),
            "average": str(average),
        }
        body = self._ask(f"sensors/{index}/history/csv", parameters)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise PassingFaultError("its history is no text", True) from None
        if not text.startswith("time_stamp,"):
            raise PassingFaultError("it answers 200, but not with a history", True)
        if not text.endswith("\n"):
            raise PassingFaultError("its history is cut off", True)
        return text

    def _ask(self, path: str, parameters: Mapping[str, str]) -> bytes:
        """The body of a good answer."""
        headers = {"X-API-Key": self._key, "User-Agent": "aqi-dagster"}
        try:
            reply = ask(f"{self._url}/v1/{path}", parameters, headers, self._timeout)
        except NoReplyError as error:
            raise PassingFaultError(str(error), True) from None
        if reply.status == 200:
            return reply.body
        said = _said(reply.body)
        reason = f"HTTP {reply.status}{_error_word(said)}"
        if reply.status in _ADVICE:
            raise PurpleAirRefusedError(
                f"PurpleAir's API answers {reason}: {_ADVICE[reply.status]}. Then start the feed again."
            )
        raise PassingFaultError(reason, False, _seconds(reply), _number(said.get("time_stamp")))


def _table(body: bytes, needed: set[str]) -> Table:
    try:
        document = DECODER.decode(body.decode())
    except (ValueError, RecursionError):
        raise PassingFaultError("it answers 200, but with something that is no JSON, or cut off", True) from None
    fields = document.get("fields") if isinstance(document, dict) else None
    rows = document.get("data") if isinstance(document, dict) else None
    if not isinstance(fields, list) or not isinstance(rows, list):
        raise PassingFaultError("it answers 200, but without fields and data", True)
    lacking = needed - {str(name) for name in fields}
    if lacking or len(set(map(str, fields))) < len(fields):
        what = f"without {', '.join(sorted(lacking))}" if lacking else "with a field that comes twice"
        raise PassingFaultError(f"it answers 200, but {what}", True)
    told, current = (_number(document.get(name)) for name in ("time_stamp", "data_time_stamp"))
    return Table(tuple(map(str, fields)), rows, told, current)


def _said(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _error_word(said: Mapping[str, Any]) -> str:
    """PurpleAir's own word for an error, such as ``ApiKeyInvalidError``; empty for other texts."""
    word = str(said.get("error", ""))
    return f" {word}" if re.fullmatch(r"[A-Za-z]{1,50}", word) else ""


def _seconds(reply: Reply) -> float | None:
    """The wait that an answer asks for, in seconds: a number, or a moment by the machine's clock."""
    text = reply.retry_after.strip()
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((aware - datetime.now(UTC)).total_seconds(), 0.0)


def _number(value: Any) -> float | None:
    text = str(value)
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d+)?", text, re.ASCII) else None
