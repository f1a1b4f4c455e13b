"""Names in the environment that look like our settings but are none: mostly misspelt ones."""

import logging
import re
from collections.abc import Collection
from difflib import get_close_matches

KAFKA_CONFIG_PREFIX = "KAFKA_CONFIG_"
"""``KAFKA_CONFIG_SASL_PASSWORD`` sets librdkafka's ``sasl.password``, and so for every one of its settings."""

_OURS = "AQI_"
_SHARED = ("KAFKA_", "SLACK_", "PURPLEAIR_", "ALERT_", "SMTP_")
"""Other programs use these prefixes too, so only names that are similar to a setting of ours are reported."""

_NEAR, _VERY_NEAR = 0.6, 0.8
"""Similarity of two names, 0 to 1."""

_LIBRDKAFKA = re.compile(r"KAFKA_(?:CONF[A-Z]*_?)?((?:SASL|SSL|SECURITY)_\w+)")
"""A name that was meant to be a setting of librdkafka, but lacks a part of its prefix."""

_log = logging.getLogger(__name__)

_warnings: set[str] = set()
"""Names that this process has logged."""


def warn_of_strange_names(names: Collection[str], settings: Collection[str]) -> None:
    """Log each of :func:`strange_names` once in a process, without its value, which may be a secret."""
    for name, nearest in strange_names(names, settings).items():
        if name not in _warnings:
            _warnings.add(name)
            advice = f"did you mean {nearest}?" if nearest else "remove it."
            _log.warning("%s is set, but is no setting: %s `aqi-dagster settings` lists them all.", name, advice)


def strange_names(names: Collection[str], settings: Collection[str]) -> dict[str, str | None]:
    """Those of ``names`` that seem to be meant as ``settings`` but are none, with the most similar setting, if any.

    >>> strange_names(["AQI_FIRST_WINDOWS", "KAFKA_HOME", "KAFKA_TOPIC"], ["AQI_FIRST_WINDOW", "KAFKA_TOPIC"])
    {'AQI_FIRST_WINDOWS': 'AQI_FIRST_WINDOW'}
    """
    strange: dict[str, str | None] = {}
    for name in sorted(set(names) - set(settings)):
        if name.startswith(KAFKA_CONFIG_PREFIX):
            continue
        if name.startswith(_OURS):
            strange[name] = next(iter(get_close_matches(name, settings, 1, _NEAR)), None)
        elif name.startswith(_SHARED):
            nearest = next(iter(get_close_matches(name, settings, 1, _VERY_NEAR)), None)
            setting = _LIBRDKAFKA.fullmatch(name)
            if setting and KAFKA_CONFIG_PREFIX + setting[1] not in names:
                nearest = KAFKA_CONFIG_PREFIX + setting[1]
            if nearest:
                strange[name] = nearest
    return strange
