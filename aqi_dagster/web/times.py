"""Times as a page shows them: local, with UTC beside it on hover."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup


@dataclass(frozen=True)
class Times:
    """Moments (naive UTC) in ``zone``, in UTC if that is None; ``now`` is the present one."""

    zone: ZoneInfo | None
    now: datetime

    def local(self, moment: datetime) -> datetime:
        """The moment with its zone."""
        return moment.replace(tzinfo=UTC).astimezone(self.zone or UTC)

    def moment(self, moment: datetime) -> str:
        """Day and time.

        >>> Times(ZoneInfo("America/Denver"), datetime(2026, 1, 6)).moment(datetime(2026, 1, 5, 12))
        'Mon 5 Jan 2026, 05:00 MST'
        """
        local = self.local(moment)
        return f"{local:%a} {local.day} {local:%b %Y, %H:%M %Z}"

    def span(self, begin: datetime, end: datetime) -> str:
        """A window, with its days once if there is one."""
        first, last = self.local(begin), self.local(end)
        until = f"{last:%H:%M %Z}" if last.date() == first.date() else f"{last:%a} {last.day} {last:%b, %H:%M %Z}"
        return f"{first:%a} {first.day} {first:%b %Y, %H:%M} to {until}"

    def utc(self, moment: datetime) -> str:
        """The moment in UTC."""
        return f"{moment:%Y-%m-%d %H:%M} UTC"

    def html(self, moment: datetime | None) -> Markup:
        """The moment as an element that shows it in UTC on hover; a dash if there is none."""
        if moment is None:
            return Markup("\N{EN DASH}")
        return Markup('<time datetime="{}Z" title="{}">{}</time>').format(
            moment.isoformat(timespec="seconds"), self.utc(moment), self.moment(moment)
        )

    def span_html(self, begin: datetime, end: datetime) -> Markup:
        """A window as an element that shows it in UTC on hover."""
        title = f"{begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"
        return Markup('<time datetime="{}Z" title="{}">{}</time>').format(
            begin.isoformat(timespec="seconds"), title, self.span(begin, end)
        )

    def ago(self, moment: datetime) -> str:
        """How long ago it was.

        >>> Times(None, datetime(2026, 1, 6)).ago(datetime(2026, 1, 5, 21))
        '3 hours ago'
        """
        passed = self.now - moment
        if passed < timedelta(0):
            return "in the future"
        for length, noun in _LENGTHS:
            if passed >= length:
                number = passed // length
                return f"{number:,} {noun}{'' if number == 1 else 's'} ago"
        return "just now"

    def offset_of(self, moment: datetime) -> timedelta:
        """How far local time is ahead of UTC at the moment."""
        return self.local(moment).utcoffset() or timedelta(0)


_LENGTHS = [
    (timedelta(days=365), "year"),
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
]
