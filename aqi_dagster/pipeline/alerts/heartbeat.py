"""A sign of life to a service outside, which tells when none comes: when all is down, nobody here could tell."""

import requests

from aqi_dagster.pipeline.alerts.webhook import mute_urllib3

TIMEOUT_SECONDS = 10.0


def beat(url: str) -> str | None:
    """Call ``url``, a secret; returns what went wrong, without it, or None."""
    try:
        with mute_urllib3(), requests.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False) as answer:
            return None if answer.ok else f"HTTP {answer.status_code}"
    except Exception as error:  # noqa: BLE001 (whatever it is, its text may hold the URL)
        return f"no answer ({type(error).__name__})"
