"""The notebook rules: smoke or a malfunctioning sensor, from the anomalies of one region in one window.

They are the streaming notebook's. Smoke spreads, so two sensors that are anomalous in the same window mean smoke. A
single sensor must be anomalous at least :data:`MIN_ANOMALIES` times and with little scatter: its coefficient of
variation may not exceed :data:`MAX_VARIATION`.
"""

from aqi_dagster.pipeline.aqi import aqi, category
from aqi_dagster.pipeline.verdicts.regional_window import Evidence, RegionalWindow, Verdict
from aqi_dagster.sensors import devices
from aqi_dagster.windows import WINDOW_LENGTH

MIN_ANOMALIES = 10
MAX_VARIATION = 0.3


class NotebookRules:
    """The streaming notebook's rules, as :class:`~.regional_window.Rules`."""

    name = "notebook"
    edition = 1
    judges_all_sensors = False

    def judge(self, evidence: Evidence) -> RegionalWindow | None:
        """The regional window of all anomalies in ``evidence``; None if there are none."""
        summary = evidence.anomalies
        if not summary.count:
            return None
        # A place that is written with other digits is no other sensor to confirm what the first one saw.
        count_sensors = len(devices(summary.sensors))
        verdict, scatter = smoke_or_malfunction(count_sensors, summary.values)
        index = None if summary.max_corrected is None else aqi(summary.max_corrected)
        return RegionalWindow(
            region=evidence.region,
            window_start=evidence.window_start,
            window_end=evidence.window_start + WINDOW_LENGTH,
            sensors=summary.sensors,
            count_sensors=count_sensors,
            count_anomalies=summary.count,
            min_event=summary.min_event,
            max_pm25=summary.max_pm25,
            variation=scatter,
            verdict=verdict,
            max_pm25_corrected=summary.max_corrected,
            aqi_of_max=index,
            aqi_category=None if index is None else category(index).name,
            rules=self.name,
            broken_sensors=[row.sensor for row in evidence.health if row.fault is not None],
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
    # Not imported above: it takes half a second, and few windows have a lone sensor to judge.
    from scipy.stats import variation

    scatter = float(variation(values))
    # Values beyond what can be computed with scatter by an amount that is no number: they are not steady.
    return ("smoke" if scatter <= MAX_VARIATION else "malfunction"), scatter
