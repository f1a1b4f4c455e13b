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
    """Most readings lie in the future of this machine's clock."""


class KafkaError(AqiError):
    """Kafka cannot be read or written."""


class KafkaUnavailableError(KafkaError):
    """The broker does not answer."""


class TopicMissingError(KafkaError):
    """The broker has no such topic."""


class PartitionStalledError(KafkaError):
    """A partition sent neither a message nor the end of its log within the configured time."""


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
    """The requested range of windows is too narrow: ``windows`` is the range to run."""

    def __init__(self, message: str, windows: WindowRange) -> None:
        super().__init__(message)
        self.windows = windows


class UnscoredWindowsError(RangeRequiredError):
    """Earlier windows hold readings that were never scored, so the chain of detector states has a gap."""


class ChangedFirstWindowError(RangeRequiredError):
    """Detectors that began with another first window than the present one scored earlier windows."""


class OutdatedAnomaliesError(RangeRequiredError):
    """The windows to classify have anomalies that do not follow from the present scores and thresholds."""


class UnjudgedWindowsError(RangeRequiredError):
    """Earlier windows hold readings, but the health of their sensors was never judged."""


class ThinnedStatesError(RangeRequiredError):
    """Scoring cannot begin in the middle of a week of which only the last detector states are kept."""


class GeocodingError(AqiError):
    """A geocoder could not name the county of a place, but may later."""


class ChannelError(AqiError):
    """A channel did not accept a message, but may later."""


class ChannelRefusedError(ChannelError):
    """A channel will not accept this message as it is."""


class ChannelAnswerError(ChannelRefusedError):
    """A channel answered so that it may have the message or not, or that it is not to be sent again by itself."""


class SlackError(ChannelError):
    """Slack did not accept a message."""


class SlackRefusedError(SlackError, ChannelRefusedError):
    """Slack will never accept this message as it is."""


class SlackAnswerError(SlackRefusedError, ChannelAnswerError):
    """What answers in Slack's place says that all is well, but not as Slack does: it may have the message or not."""


class BrokerMissingError(AqiError):
    """The embedded broker is not installed or did not start."""


class InputFileError(AqiError):
    """A file of readings cannot be read."""


class SensorUnknownError(AqiError):
    """No sensor of that name ever reported."""


class RegionUnknownError(AqiError):
    """There is no region of that name."""


class LabelError(AqiError):
    """A label does not fit what is stored, or a file of labels cannot be used."""


class ExportError(AqiError):
    """What is to be exported is not there, or its file cannot be written."""


class FeedError(AqiError):
    """A feed cannot begin or go on."""


class PurpleAirRefusedError(FeedError):
    """PurpleAir's API refuses a request, and will refuse it until somebody does something."""


class WebError(AqiError):
    """The page for people cannot be served."""


class RunFailedError(AqiError):
    """A Dagster run that the command line started did not succeed."""
