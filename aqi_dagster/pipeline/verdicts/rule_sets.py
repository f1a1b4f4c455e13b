"""The two sets of rules by name: the streaming notebook's, and the network's."""

from aqi_dagster.pipeline.verdicts.anomaly_summary import AnomalySummary
from aqi_dagster.pipeline.verdicts.aqi import aqi, category
from aqi_dagster.pipeline.verdicts.network_rules import judge
from aqi_dagster.pipeline.verdicts.notebook_rules import NotebookRules
from aqi_dagster.pipeline.verdicts.regional_window import Evidence, RegionalWindow, Rules
from aqi_dagster.windows import WINDOW_LENGTH


class NetworkRules:
    """The network's rules, as :class:`~.regional_window.Rules`: a region is judged by its healthy sensors."""

    name = "network"
    judges_all_sensors = True

    def judge(self, evidence: Evidence) -> RegionalWindow | None:
        """The regional window of the sensors' health; None if nothing is the matter. Anomalies are only counted."""
        judgement = judge(evidence.region, evidence.window_start, evidence.health)
        if judgement is None:
            return None
        summary = AnomalySummary.of(evidence.anomalies)
        index = None if judgement.level is None else aqi(judgement.level)
        return RegionalWindow(
            region=judgement.region,
            window_start=judgement.window_start,
            window_end=judgement.window_start + WINDOW_LENGTH,
            sensors=summary.sensors,
            count_sensors=len(summary.sensors),
            count_anomalies=len(summary.values),
            min_event=summary.min_event,
            max_pm25=summary.max_pm25,
            variation=None,
            verdict=judgement.verdict,
            max_pm25_corrected=summary.max_corrected,
            aqi_of_max=index,
            aqi_category=None if index is None else category(index).name,
            rules=self.name,
            level=judgement.level,
            healthy_sensors=judgement.healthy_sensors,
            broken_sensors=judgement.broken_sensors,
            confidence=judgement.confidence,
            reason=judgement.reason,
        )


RULE_SETS: dict[str, Rules] = {rules.name: rules for rules in (NotebookRules(), NetworkRules())}
"""Rules by the name that the setting has for them."""
