"""What every reader of a file needs to know, and where it puts what it finds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aqi_dagster.feeds.messages import Message, encode_message
from aqi_dagster.feeds.sensor_list import SensorList
from aqi_dagster.feeds.sources import Report, Source
from aqi_dagster.message_fields import OWN_NAMES, FieldNames

SourcedMessages = Iterator[tuple[Source, Message]]
"""Messages in the order of their files, each with its source."""


@dataclass
class Context:
    """The list of sensors, what the topic calls the fields, and the report on all files."""

    sensors: SensorList = field(default_factory=SensorList)
    names: FieldNames = OWN_NAMES
    report: Report = field(default_factory=Report)

    def message(self, place: str, fields: Mapping[str, str | None]) -> Message:
        """The message of a sensor at ``place``, in the names of the topic; fields that are None are left out."""
        return encode_message(place, {self.names[name]: text for name, text in fields.items() if text is not None})
