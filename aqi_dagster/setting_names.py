"""Names in the environment that look like settings of ours and are none: mostly misspelt ones."""

import logging
import re
from collections.abc import Collection
from difflib import get_close_matches

KAFKA_CONFIG_PREFIX = "KAFKA_CONFIG_"
"""``KAFKA_CONFIG_SASL_PASSWORD`` sets librdkafka's ``sasl.password``, and so for every one of its settings."""

_OURS = "AQI_"
_SHARED = ("KAFKA_", "SLACK_")
"""Others name variables like this too, so only what comes near to a setting of ours is told."""

_NEAR, _VERY_NEAR = 0.6, 0.8
"""Likeness of two names, 0 to 1."""

_LIBRDKAFKA = re.compile(r"KAFKA_(?:CONF[A-Z]*_?)?((?:SASL|SSL|SECURITY)_\w+)")
"""What was meant to be a setting of librdkafka, without its whole prefix."""

_log = logging.getLogger(__name__)

_told: set[str] = set()
"""Names that this process was warned of."""


def warn_of_strange_names(given: Collection[str], known: Collection[str]) -> None:
    """Log each of :func:`strange_names`, once in a process, and never its value, which may be a secret."""
    for name, nearest in strange_names(given, known).items():
        if name not in _told:
            _told.add(name)
            meant = f"did you mean {nearest}?" if nearest else "remove it."
            _log.warning("%s is set, but is no setting: %s .env.example lists them all.", name, meant)


def strange_names(given: Collection[str], known: Collection[str]) -> dict[str, str | None]:
    """Those of ``given`` that are no settings and seem to be meant as such, with the name that comes nearest, if any.

    >>> strange_names(["AQI_FIRST_WINDOWS", "KAFKA_HOME", "KAFKA_TOPIC"], ["AQI_FIRST_WINDOW", "KAFKA_TOPIC"])
    {'AQI_FIRST_WINDOWS': 'AQI_FIRST_WINDOW'}
    """
    strange: dict[str, str | None] = {}
    for name in sorted(set(given) - set(known)):
        if name.startswith(KAFKA_CONFIG_PREFIX):
            continue
        if name.startswith(_OURS):
            strange[name] = next(iter(get_close_matches(name, known, 1, _NEAR)), None)
        elif name.startswith(_SHARED):
            nearest = next(iter(get_close_matches(name, known, 1, _VERY_NEAR)), None)
            setting = _LIBRDKAFKA.fullmatch(name)
            if setting and KAFKA_CONFIG_PREFIX + setting[1] not in given:
                nearest = KAFKA_CONFIG_PREFIX + setting[1]
            if nearest:
                strange[name] = nearest
    return strange
