"""The forms of settings that Pydantic does not know: each function accepts a value or raises ``ValueError``."""

import re
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import BeforeValidator

from aqi_dagster.message_fields import FieldNames
from aqi_dagster.windows import window_start

_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")

_OWNER = re.compile(r"team:[A-Za-z0-9_-]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")


def starts_window(moment: datetime) -> datetime:
    """``moment``, if it is the start of a window in naive UTC; ``ValueError`` otherwise."""
    if moment.tzinfo is not None:
        raise ValueError("must be written without time zone; it is UTC")
    if window_start(moment) != moment:
        raise ValueError("must be the start of a window: 00:00 or 12:00 UTC")
    return moment


def _not_blank(text: Any) -> Any:
    if isinstance(text, str) and not text.strip():
        raise ValueError("must not be empty")
    return text


def web_address(url: str) -> str:
    """``url``, if it is the address of a server without a password; ``ValueError`` otherwise."""
    parts = urlsplit(url)
    # ``port`` raises ValueError itself if it is not a number.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or parts.query or parts.fragment:
        raise ValueError("must be the address of a server, such as https://server.example.org")
    if "@" in parts.netloc:
        raise ValueError("must not hold a password: it would be written to logs")
    return url


def tiles_address(url: str) -> str:
    """``url``, if it is the address of a server of map tiles; ``ValueError`` otherwise."""
    if not all(part in url for part in ("{z}", "{x}", "{y}")):
        raise ValueError("must hold {z}, {x} and {y}: https://tile.openstreetmap.org/{z}/{x}/{y}.png")
    # A key of the server may follow as a query; browsers see it anyway.
    web_address(url.partition("?")[0])
    return url


def zone_name(name: str) -> str:
    """``name``, if it is that of a time zone; ``ValueError`` otherwise."""
    if name not in available_timezones():
        raise ValueError("must be the name of a time zone, such as America/Los_Angeles")
    return name


def key_address(url: str) -> str:
    """``url``, if a secret may be sent there: it is encrypted, or on this machine; ``ValueError`` otherwise."""
    parts = urlsplit(web_address(url))
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("must begin with https://, or the key would travel in the clear")
    return url


def owners_of(value: Any) -> Any:
    """The owners in a comma-separated text; ``ValueError`` if one is neither a mail address nor a team."""
    owners = [owner.strip() for owner in value.split(",")] if isinstance(value, str) else value
    for owner in owners:
        if not _OWNER.fullmatch(owner):
            raise ValueError(f"{owner!r} is neither a mail address nor of the form team:NAME")
    return tuple(owners)


def mail_address(text: str) -> str:
    """``text``, if it is one mail address; ``ValueError`` otherwise."""
    if not _MAIL_ADDRESS.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no mail address")
    return text.strip()


def mail_addresses(value: Any) -> Any:
    """The mail addresses in a comma-separated text; ``ValueError`` if one is none."""
    return tuple(map(mail_address, value.split(","))) if isinstance(value, str) else value


def field_names_of(value: Any) -> Any:
    """The names of fields in a text of the form ``created_at=ts, entry_id=id``; ``ValueError`` if it is another."""
    if not isinstance(value, str):
        return value
    others: dict[str, str] = {}
    for part in value.split(","):
        known, equals, other = (piece.strip() for piece in part.partition("="))
        if not equals or not known:
            raise ValueError(
                f"{part.strip()!r} is not of the form created_at=ts: the name that docs/feeding.md has, =, and what "
                "the topic calls it, which has no comma"
            )
        if known in others:
            raise ValueError(f"{known} comes twice")
        others[known] = other
    return FieldNames(others)


Text = Annotated[str, BeforeValidator(_not_blank)]
"""A text that is not blank."""
