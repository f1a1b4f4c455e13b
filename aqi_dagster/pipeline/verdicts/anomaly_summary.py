"""What the anomalies of a region and window come to, whatever rules judge them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aqi_dagster.sensors import devices


@dataclass(frozen=True)
class Anomaly:
    """One anomalous reading; ``created_at`` in naive UTC, ``pm25`` (CF=1) in ug/m3.

    ``pm25_corrected`` is what EPA's correction makes of it, None where it is not known.
    """

    sensor: str
    created_at: datetime
    pm25: float
    pm25_corrected: float | None = None


@dataclass(frozen=True)
class AnomalySummary:
    """Anomalies of one region and window; the times are naive UTC, PM2.5 in ug/m3 (CF=1, and as EPA corrects it).

    ``sensors`` are in order of their text. Where all of them are one device, ``values`` are its PM2.5 in order of time;
    else there are none, since no rule looks at them. What there is none of is None.
    """

    sensors: list[str] = field(default_factory=list)
    count: int = 0
    min_event: datetime | None = None
    max_pm25: float | None = None
    max_corrected: float | None = None
    values: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, anomalies: Sequence[Anomaly]) -> "AnomalySummary":
        """The summary of ``anomalies``, in any order."""
        ordered = sorted(anomalies, key=lambda anomaly: (anomaly.created_at, anomaly.sensor))
        values = [anomaly.pm25 for anomaly in ordered]
        corrected = (anomaly.pm25_corrected for anomaly in ordered if anomaly.pm25_corrected is not None)
        sensors = sorted({anomaly.sensor for anomaly in ordered})
        return cls(
            sensors,
            len(ordered),
            min_event=ordered[0].created_at if ordered else None,
            max_pm25=max(values, default=None),
            max_corrected=max(corrected, default=None),
            values=values if len(devices(sensors)) == 1 else [],
        )


NO_ANOMALIES = AnomalySummary()
