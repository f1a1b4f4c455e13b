"""The installation whose pages the browser shows: six days of the synthetic summer that end now."""

from dataclasses import dataclass

from aqi_dagster.demo.webhook import WebhookReceiver
from aqi_dagster.windows import WINDOW_LENGTH, utc_now, window_key, window_start
from tests.support.command_line import Site
from tests.support.dagster_dev import DagsterDev

WINDOWS = 12

FIRST_WINDOW = window_start(utc_now()) - WINDOWS * WINDOW_LENGTH
"""So that the windows of the summer are all that Dagster knows, and their alerts are news."""

KEYS = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in range(WINDOWS)]

SMOKE = KEYS[9]
"""The window in which the summer's first smoke lies."""

MISSING = KEYS[10:]
"""Windows that are left to be materialized from the page."""


@dataclass(frozen=True)
class Installation:
    """A running installation: its settings for the command line, its `dagster dev`, and what Slack was told."""

    site: Site
    server: DagsterDev
    slack: WebhookReceiver
