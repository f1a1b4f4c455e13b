"""The notebook rules: smoke or a malfunctioning sensor, from the anomalies of one region in one window.

They are the streaming notebook's. Smoke spreads, so two sensors that are anomalous in the same window mean smoke. A
single sensor must be anomalous at least :data:`MIN_ANOMALIES` times and with little scatter: its coefficient of
variation may not exceed :data:`MAX_VARIATION`.
"""

from scipy.stats import variation

from aqi_dagster.pipeline.verdicts.aqi import aqi, category
from aqi_dagster.pipeline.verdicts.regional_window import Evidence, RegionalWindow, Verdict
from aqi_dagster.windows import WINDOW_LENGTH

MIN_ANOMALIES = 10
MAX_VARIATION = 0.3


class NotebookRules:
    """The streaming notebook's rules, as :class:`~.regional_window.Rules`."""

    name = "notebook"

    def judge(self, evidence: Evidence) -> RegionalWindow | None:
        """The regional window of all anomalies in ``evidence``; None if there are none."""
        if not evidence.anomalies:
            return None
        ordered = sorted(evidence.anomalies, key=lambda anomaly: (anomaly.created_at, anomaly.sensor))
        sensors = sorted({anomaly.sensor for anomaly in ordered})
        values = [anomaly.pm25 for anomaly in ordered]
        verdict, scatter = smoke_or_malfunction(len(sensors), values)
        corrected = [anomaly.pm25_corrected for anomaly in ordered if anomaly.pm25_corrected is not None]
        index = aqi(max(corrected)) if corrected else None
        return RegionalWindow(
            region=evidence.region,
            window_start=evidence.window_start,
            window_end=evidence.window_start + WINDOW_LENGTH,
            sensors=sensors,
            count_sensors=len(sensors),
            count_anomalies=len(values),
            min_event=ordered[0].created_at,
            max_pm25=max(values),
            variation=scatter,
            verdict=verdict,
            max_pm25_corrected=max(corrected, default=None),
            aqi_of_max=index,
            aqi_category=None if index is None else category(index).name,
        )


def smoke_or_malfunction(count_sensors: int, values: list[float]) -> tuple[Verdict, float | None]:
    """The verdict on anomalous PM2.5 ``values`` (in time order) and their variation where the rule looks at it.

    >>> smoke_or_malfunction(1, [500.0] * 9)
    ('malfunction', None)
    >>> smoke_or_malfunction(1, [500.0] * 10)
    ('smoke', 0.0)
    >>> smoke_or_malfunction(2, [500.0, 60.0])
    ('smoke', None)
    >>> smoke_or_malfunction(1, [1.7e308] * 12)[0]
    'malfunction'
    """
    if count_sensors >= 2:
        return "smoke", None
    if len(values) < MIN_ANOMALIES:
        return "malfunction", None
    scatter = float(variation(values))
    # Values beyond what can be computed with scatter by an amount that is no number: they are not steady.
    return ("smoke" if scatter <= MAX_VARIATION else "malfunction"), scatter
