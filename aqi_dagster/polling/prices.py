"""What PurpleAir's API charges, in points: a base for each request, and each field for each row of the answer.

Its pages (docs/feeds.md lists them) say that a request costs a base of at most five points and, for each row of the
answer, the points of its fields, and that a mean of both lasers costs 2. That a field of one laser costs 1 is concluded
from that; the table of prices lies behind a login. The number of the sensor comes with each row; whether it is charged
they do not say, so it is counted as a point. A request that ends in an error costs its base all the same.
"""

from collections.abc import Iterable

BASE_POINTS = 5

_MEANS = ("pm1.0", "pm2.5", "pm10.0", "humidity", "temperature", "pressure")


def field_points(field: str) -> int:
    """What ``field`` costs in each row.

    >>> field_points("pm2.5_cf_1"), field_points("pm2.5_cf_1_a"), field_points("last_seen")
    (2, 1, 1)
    """
    return 2 if field.startswith(_MEANS) and not field.endswith(("_a", "_b")) else 1


def request_points(fields: Iterable[str], rows: int) -> int:
    """What a request for ``fields`` costs that is answered by ``rows``.

    >>> request_points(["last_seen", "pm2.5_cf_1_a", "pm2.5_cf_1_b"], 10)
    45
    """
    return BASE_POINTS + rows * (1 + sum(field_points(field) for field in fields))
