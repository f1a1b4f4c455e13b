"""The environment that tests run in."""

import os


def forget_settings() -> None:
    """Remove the developer's own settings from the environment: partitions.py reads the first window at import."""
    ours = ("AQI_", "KAFKA_", "PURPLEAIR_", "SLACK_", "ALERT_", "SMTP_")
    for name in [name for name in os.environ if name.startswith(ours)]:
        del os.environ[name]
