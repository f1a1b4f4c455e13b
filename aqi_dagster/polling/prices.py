"""What PurpleAir's API charges, in points: a base for each request, and each field for each row of the answer.

As its pages say: "total cost = base cost of the endpoint + cost of all fields * number of rows"; the base is at most
five points; a field that is the mean of both lasers costs 2, one of a single laser 1; and a request that ends in an
error costs its base all the same (docs/feeds.md lists the pages). The number of the sensor comes with each row; whether
it is charged they do not say, so it is counted as a point.
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
