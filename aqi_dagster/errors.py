"""Errors of this domain. Each message says what happened, to which thing, and what to do now."""

from aqi_dagster.windows import WindowRange


class AqiError(Exception):
    """Base of every error that an operator can act on."""


class ConfigurationError(AqiError):
    """A setting has a value that is not allowed."""


class StoreError(AqiError):
    """The DuckDB store cannot be used."""


class StoreBusyError(StoreError):
    """Another process kept the writer's lock for longer than the configured time."""


class ClockError(AqiError):
    """By the clock of this machine, most readings were measured in the future."""


class KafkaError(AqiError):
    """Kafka cannot be read or written."""


class KafkaUnavailableError(KafkaError):
    """The broker does not answer."""


class TopicMissingError(KafkaError):
    """The broker has no such topic."""


class PartitionStalledError(KafkaError):
    """A partition gave neither a message nor its end within the configured time."""


class TopicRecreatedError(KafkaError):
    """The topic was deleted and made again since the last pull."""


class OffsetsExpiredError(KafkaError):
    """The broker's retention removed offsets that were never read."""


class OffsetBeyondEndError(KafkaError):
    """The stored offset lies beyond the end of the partition's log."""


class ConcurrentPullError(KafkaError):
    """Another pull advanced the stored offset in the meantime."""


class DetectorStateError(AqiError):
    """A stored detector state cannot be trusted or does not fit the settings."""


class RangeRequiredError(AqiError):
    """A wider range of windows has to be run than was asked for: ``windows``."""

    def __init__(self, message: str, windows: WindowRange) -> None:
        super().__init__(message)
        self.windows = windows


class UnscoredWindowsError(RangeRequiredError):
    """Earlier windows hold readings that were never scored, so the chain of detector states has a gap."""


class ChangedFirstWindowError(RangeRequiredError):
    """Earlier windows were scored by detectors that had begun with another first window than the present one."""


class OutdatedAnomaliesError(RangeRequiredError):
    """Windows were to be classified whose anomalies do not follow from their present scores and thresholds."""


class UnjudgedWindowsError(RangeRequiredError):
    """Earlier windows hold readings, but the health of their sensors was never judged."""


class ThinnedStatesError(RangeRequiredError):
    """Scoring was to begin in the middle of a week of which only the last detector states are still kept."""


class GeocodingError(AqiError):
    """A geocoder did not tell the county of a place, but may later."""


class SlackError(AqiError):
    """Slack did not take a message."""


class SlackRefusedError(SlackError):
    """Slack will not take this message as it is, now or later."""


class BrokerMissingError(AqiError):
    """The embedded broker is not installed or did not start."""


class InputFileError(AqiError):
    """A file of readings cannot be read."""


class RunFailedError(AqiError):
    """A Dagster run that the command line started did not succeed."""
