"""Sentences on outdated results, which checks and ``aqi-dagster status`` share."""

from aqi_dagster.pipeline.store.outdated import OutdatedHealth, OutdatedScores, OutdatedVerdicts
from aqi_dagster.pipeline.verdicts.classify_windows import Misplaced


def outdated_scores_in_words(outdated: OutdatedScores) -> str:
    """The number of each kind of outdated score, such as ``3 late readings and 5 stale windows``."""
    return _counted(
        {
            "late readings": outdated.late_readings,
            "readings that were never scored": outdated.unscored_readings,
            "stale windows": outdated.stale_windows,
            "windows scored by other settings": outdated.other_settings,
        }
    )


def outdated_health_in_words(outdated: OutdatedHealth) -> str:
    """Each kind of outdated health and in how many windows it is."""
    return _counted(
        {
            "windows without health, or without what it looks back to": outdated.unjudged,
            "windows with health from before later readings": outdated.stale,
            "windows with health by other regions": outdated.other_settings,
            "sensors whose region has become another since": outdated.moved_sensors,
            "sensors whose known trouble is another since": outdated.troubled_sensors,
        }
    )


def outdated_verdicts_in_words(outdated: OutdatedVerdicts) -> str:
    """The number of each kind of outdated verdict."""
    return _counted(
        {
            "windows were scored, but not classified since": outdated.count,
            "windows were classified by other settings": outdated.other_settings,
        }
    )


def misplaced_in_words(misplaced: Misplaced) -> str:
    """The sensor, the wrong region that it counts to, and the range to materialize."""
    return (
        f"Sensor {misplaced.sensor} counts to {misplaced.region}, to which it does not belong: "
        f"materialize {misplaced.windows}"
    )


def _counted(numbers: dict[str, int]) -> str:
    return " and ".join(f"{number:,} {noun}" for noun, number in numbers.items() if number)
