"""One version of Apache Kafka, wherever it is named."""

import re
from pathlib import Path

from tests.kafka.jars import POM

COMPOSE = Path(__file__).parents[2] / "compose.yaml"


def test_compose_runs_the_version_that_is_tested() -> None:
    tested = re.findall(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.+)</version>", POM.read_text())
    assert len(tested) == 1
    assert re.findall(r"image: apache/kafka:(\S+)", COMPOSE.read_text()) == tested
