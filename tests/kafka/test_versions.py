"""One version of Apache Kafka, wherever it is named."""

import re

from tests.support.kafka_jars import POM
from tests.support.places import TOP

COMPOSE = TOP / "compose.yaml"


def test_compose_runs_the_version_that_is_tested() -> None:
    tested = re.findall(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.+)</version>", POM.read_text())
    assert len(tested) == 1
    assert re.findall(r"image: apache/kafka:(\S+)", COMPOSE.read_text()) == tested
