"""Settings as objects of the pipeline, for code that runs without Dagster's resources."""

from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.regions.choice import RegionChoice
from aqi_dagster.settings import Settings


def detector_parameters(settings: Settings) -> DetectorParameters:
    """Parameters of every sensor's detector."""
    return DetectorParameters(
        settings.detector_n_trees,
        settings.detector_height,
        settings.detector_window_size,
        settings.detector_seed,
        settings.detector_lower_limit,
        settings.detector_upper_limit,
    )


def anomaly_thresholds(settings: Settings) -> Thresholds:
    """The thresholds that an anomaly exceeds."""
    return Thresholds(settings.score_threshold, settings.pm25_threshold)


def region_choice(settings: Settings) -> RegionChoice:
    """How sensors are gathered into regions."""
    return RegionChoice(
        settings.region_method,
        settings.region,
        settings.region_file,
        settings.nominatim_url,
        settings.nominatim_user_agent or "",
        settings.region_elsewhere,
    )
