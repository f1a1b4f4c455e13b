"""The addresses of the page for people, as messages link to them and as the page itself takes them.

Names stand in the query, never in the path: there a browser or a proxy would take ``/``, ``..``, ``#`` and ``?`` of a
name for its own.
"""

from datetime import datetime
from urllib.parse import urlencode

from aqi_dagster.windows import window_key

WINDOW_PATH, SENSOR_PATH = "/window", "/sensor"


def now_address(base: str, region: str) -> str:
    """The address of the air now in ``region``; ``base`` is that of the whole page.

    >>> now_address("https://air.example.org/", "Washoe & Placer")
    'https://air.example.org/?region=Washoe+%26+Placer'
    """
    return f"{base.rstrip('/')}/?{urlencode({'region': region})}"


def window_address(base: str, region: str, start: datetime) -> str:
    """The address of the window of ``region`` that starts at ``start``.

    >>> window_address("https://air.example.org/aqi", "A/B?", datetime(2026, 11, 22))
    'https://air.example.org/aqi/window?region=A%2FB%3F&start=2026-11-22T00%3A00'
    """
    return f"{base.rstrip('/')}{WINDOW_PATH}?{urlencode({'region': region, 'start': window_key(start)})}"
