"""Geocoders: the county at a place, from a list of places in this process or from a Nominatim server.

Their packages are imported where they are used: half a second that few runs need to wait for.
"""

from functools import partial
from urllib.parse import urlsplit

from aqi_dagster.errors import GeocodingError

MAX_DISTANCE_KM = 100.0
"""A place farther from any town in the list has no county: it lies at sea, or the coordinates are wrong."""

SECONDS_BETWEEN_REQUESTS = 1.0
"""The usage policy of the public Nominatim server: at most one request a second."""

COUNTY_ZOOM = 8
"""Nominatim's level of detail at which the answer is a county."""


class NearestTown:
    """The county of the nearest of GeoNames' 155,000 places, without any network.

    Near a county's border, and where towns are few, that may be the neighbouring county.
    """

    method = "county of the nearest town"
    remote = False

    def county(self, latitude: float, longitude: float) -> str | None:
        """The county with its state, or the state alone where GeoNames has no county."""
        import reverse_geocode
        from geopy.distance import great_circle

        # The first call loads the list of places, which takes about a second and 130 MB.
        town = reverse_geocode.get((latitude, longitude))
        if great_circle((latitude, longitude), (town["latitude"], town["longitude"])).km > MAX_DISTANCE_KM:
            return None
        return _joined(town.get("county"), town.get("state")) or town["country"]


class NominatimServer:
    """The county by a Nominatim server at ``url``, which gets at most one request a second.

    ``user_agent`` tells the server's owners which installation asks; ``timeout`` is the longest wait for an answer, in
    seconds.
    """

    remote = True

    def __init__(self, url: str, user_agent: str, timeout: float = 10.0) -> None:
        from geopy.adapters import RequestsAdapter
        from geopy.extra.rate_limiter import RateLimiter
        from geopy.geocoders import Nominatim

        parts = urlsplit(url)
        self.method = f"Nominatim at {parts.netloc}{parts.path.rstrip('/')}"
        geocoder = Nominatim(
            scheme=parts.scheme,
            domain=f"{parts.netloc}{parts.path}",
            user_agent=user_agent,
            timeout=timeout,
            # Without this, geopy retries as often and as late as the server says, while the run waits.
            adapter_factory=partial(RequestsAdapter, max_retries=0),
        )
        self._reverse = RateLimiter(
            geocoder.reverse,
            min_delay_seconds=SECONDS_BETWEEN_REQUESTS,
            error_wait_seconds=SECONDS_BETWEEN_REQUESTS,
            max_retries=0,
            swallow_exceptions=False,
        )

    def county(self, latitude: float, longitude: float) -> str | None:
        """The county with its state, or the next larger area that has a name there."""
        from geopy.exc import GeopyError

        try:
            place = self._reverse((latitude, longitude), zoom=COUNTY_ZOOM, language="en")
            if place is None:
                return None
            address = place.raw["address"]
            area = next((address[kind] for kind in ("county", "city", "state_district") if kind in address), None)
            return _joined(area, address.get("state")) or address["country"]
        except (GeopyError, LookupError, TypeError, ValueError, AttributeError) as error:
            # All but GeopyError come from an answer that does not have Nominatim's form.
            raise GeocodingError(f"{self.method} did not tell its county: {type(error).__name__}: {error}.") from error


def _joined(county: str | None, state: str | None) -> str:
    """Both names, because many states have a Washington County."""
    return ", ".join(name for name in (county, state) if name)
