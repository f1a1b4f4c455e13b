"""What the anomalies of a region and window come to, whatever rules judge them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aqi_dagster.pipeline.verdicts.regional_window import Anomaly


@dataclass(frozen=True)
class AnomalySummary:
    """``sensors`` in order of their text, ``values`` (PM2.5, ug/m3) in order of time; ``corrected`` where known."""

    sensors: list[str]
    values: list[float]
    corrected: list[float]
    min_event: datetime | None

    @classmethod
    def of(cls, anomalies: Sequence[Anomaly]) -> "AnomalySummary":
        """The summary of ``anomalies``, in any order."""
        ordered = sorted(anomalies, key=lambda anomaly: (anomaly.created_at, anomaly.sensor))
        return cls(
            sensors=sorted({anomaly.sensor for anomaly in ordered}),
            values=[anomaly.pm25 for anomaly in ordered],
            corrected=[anomaly.pm25_corrected for anomaly in ordered if anomaly.pm25_corrected is not None],
            min_event=ordered[0].created_at if ordered else None,
        )

    @property
    def max_pm25(self) -> float | None:
        """Greatest PM2.5 (CF=1), ug/m3; None if there are no anomalies."""
        return max(self.values, default=None)

    @property
    def max_corrected(self) -> float | None:
        """Greatest PM2.5 as EPA corrects it, ug/m3; None if none is known."""
        return max(self.corrected, default=None)
