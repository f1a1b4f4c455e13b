"""Detector parameters and anomaly thresholds as Dagster resources."""

from datetime import timedelta

import dagster as dg
from pydantic import Field

from aqi_dagster import defaults
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters


class DetectorResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Parameters of every sensor's HalfSpaceTrees. After a change, all windows have to be scored anew."""

    n_trees: int = Field(default=defaults.DETECTOR_N_TREES, description="Trees of a detector")
    height: int = Field(default=defaults.DETECTOR_HEIGHT, description="Height of each tree")
    window_size: int = Field(
        default=defaults.DETECTOR_WINDOW_SIZE, description="Readings after which the trees take over what they learned"
    )
    seed: int = Field(default=defaults.DETECTOR_SEED, description="Seed of the random trees")
    lower_limit: float = Field(
        default=defaults.DETECTOR_LOWER_LIMIT, description="Lower end of the PM2.5 range that the trees divide, ug/m3"
    )
    upper_limit: float = Field(
        default=defaults.DETECTOR_UPPER_LIMIT, description="Upper end of the PM2.5 range that the trees divide, ug/m3"
    )
    states_kept_days: float = Field(
        default=defaults.STATES_KEPT_DAYS,
        description="How long the states of every window are kept; older ones only at each week's end",
    )

    @property
    def parameters(self) -> DetectorParameters:
        """The parameters as an object of the pipeline."""
        return DetectorParameters(
            self.n_trees, self.height, self.window_size, self.seed, self.lower_limit, self.upper_limit
        )

    @property
    def states_kept(self) -> timedelta:
        """``states_kept_days`` as a duration."""
        return timedelta(days=self.states_kept_days)


class ThresholdsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The two thresholds that a scored reading must exceed to be an anomaly."""

    score: float = Field(default=defaults.SCORE_THRESHOLD, description="Score, 0 to 1")
    pm25: float = Field(default=defaults.PM25_THRESHOLD, description="PM2.5 (CF=1), ug/m3")

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds as an object of the pipeline."""
        return Thresholds(self.score, self.pm25)
