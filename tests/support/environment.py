"""The environment that tests run in."""

import os


def forget_settings() -> None:
    """Remove the developer's own settings from the environment: partitions.py reads the first window at import."""
    for name in [name for name in os.environ if name.startswith(("AQI_", "KAFKA_", "PURPLEAIR_", "SLACK_"))]:
        del os.environ[name]
