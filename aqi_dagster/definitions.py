"""The code location that Dagster loads: assets, their checks, jobs, automation and resources."""

import os
import warnings
from datetime import timedelta

import dagster as dg

from aqi_dagster.assets.anomalies import anomalies
from aqi_dagster.assets.conditions import conditions
from aqi_dagster.assets.feed_check import feed_is_alive
from aqi_dagster.assets.readings import readings
from aqi_dagster.assets.regional_windows import regional_windows
from aqi_dagster.assets.scored_readings import scored_readings
from aqi_dagster.assets.sensor_data import sensor_data
from aqi_dagster.assets.sensor_health import sensor_health
from aqi_dagster.assets.slack_alerts import slack_alerts
from aqi_dagster.automation import (
    classified_windows,
    heartbeat,
    lacking_windows,
    look_now,
    look_schedule,
    micro_batch,
    tell_slack,
    trouble_sensor,
    twice_a_day,
    waiting_alerts,
    watched_feeds,
)
from aqi_dagster.dagster_home import warn_without_settings
from aqi_dagster.instance.batches import store_events_in_batches
from aqi_dagster.pipeline.decoding.machine_code import keep_machine_code
from aqi_dagster.polling.supervisor import feeds_of
from aqi_dagster.resources.channels import ChannelsResource
from aqi_dagster.resources.detectors import DetectorResource, ThresholdsResource
from aqi_dagster.resources.feeds import FeedsResource
from aqi_dagster.resources.kafka import KafkaResource
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.rules import RulesResource
from aqi_dagster.resources.slack import SlackResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.settings import (
    ALERT_WEBHOOK_URL,
    SLACK_WEBHOOK_URL,
    SMTP_URL,
    Settings,
    librdkafka_variables,
    load_settings,
)


def resources(settings: Settings) -> dict[str, object]:
    """The resources by ``settings``; a run reads secrets from the environment when it starts."""
    return {
        "kafka": _kafka(settings),
        "warehouse": WarehouseResource(
            data_dir=str(settings.data_dir.absolute()),
            lock_timeout_seconds=settings.lock_timeout_seconds,
            memory_limit_mb=settings.duckdb_memory_mb,
        ),
        "detector": DetectorResource(
            n_trees=settings.detector_n_trees,
            height=settings.detector_height,
            window_size=settings.detector_window_size,
            seed=settings.detector_seed,
            lower_limit=settings.detector_lower_limit,
            upper_limit=settings.detector_upper_limit,
            states_kept_days=settings.states_kept_days,
        ),
        "thresholds": ThresholdsResource(score=settings.score_threshold, pm25=settings.pm25_threshold),
        "rules": RulesResource(name=settings.rules),
        "regions": _regions(settings),
        "feeds": FeedsResource(
            data_dir=str(settings.data_dir.absolute()), named=[words[0] for words in feeds_of(settings.feed)]
        ),
        "slack": SlackResource(
            webhook_url=_secret(SLACK_WEBHOOK_URL),
            digest_after_hours=settings.digest_after_hours,
            dagster_url=settings.dagster_url,
            web_url=settings.web_url,
            time_zone=settings.time_zone,
        ),
        "channels": ChannelsResource(
            webhook_url=_secret(ALERT_WEBHOOK_URL),
            smtp_url=_secret(SMTP_URL),
            email_from=settings.alert_email_from or "",
            email_to=list(settings.alert_email_to),
        ),
    }


def _secret(name: str) -> dg.EnvVar | None:
    """What a run reads from the environment when it starts, if it is there."""
    return dg.EnvVar(name) if os.environ.get(name) else None


def _kafka(settings: Settings) -> KafkaResource:
    return KafkaResource(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        topic=settings.kafka_topic,
        librdkafka={setting: dg.EnvVar(name) for setting, name in librdkafka_variables().items()},
        field_names=dict(settings.field_names.others),
        timeout_seconds=settings.kafka_timeout_seconds,
        chunk_messages=settings.kafka_chunk_messages,
        future_allowance_minutes=settings.future_allowance_minutes,
        reread_recreated_topic=settings.kafka_on_recreated_topic == "reread",
        max_rejected_share=settings.max_rejected_share,
        skip_expired_offsets=settings.kafka_on_expired_offsets == "skip",
    )


def _regions(settings: Settings) -> RegionsResource:
    return RegionsResource(
        method=settings.region_method,
        name=settings.region,
        file=str(settings.region_file.absolute()) if settings.region_file else None,
        nominatim_url=settings.nominatim_url,
        nominatim_user_agent=settings.nominatim_user_agent or "",
        elsewhere=settings.region_elsewhere,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Everything of this code location, with resources as the environment describes them."""
    # Whatever executes runs loads this first: a code server, a run's own process, a command.
    store_events_in_batches()
    settings = load_settings()
    warn_without_settings()
    keep_machine_code(settings.data_dir)
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        sensor_data,
        readings,
        sensor_health,
        scored_readings,
        anomalies,
        regional_windows,
        slack_alerts,
        conditions,
    ]
    minutes = int(settings.look_minutes)
    looks = [look_schedule(minutes, timedelta(days=settings.looks_kept_days))] if minutes else []
    troubles = trouble_sensor(timedelta(hours=settings.silent_after_hours))
    assets_with_owners = dg.map_asset_specs(lambda spec: spec.replace_attributes(owners=settings.owners), assets)
    with warnings.catch_warnings():
        # Dagster warns that links to the source are beta; a reader of the log can do nothing about that.
        warnings.simplefilter("ignore", dg.BetaWarning)
        assets_with_links = dg.with_source_code_references(assets_with_owners)
    return dg.Definitions(
        assets=assets_with_links,
        jobs=[micro_batch, tell_slack, look_now],
        schedules=[twice_a_day, *looks],
        asset_checks=[feed_is_alive],
        sensors=[classified_windows, lacking_windows, waiting_alerts, watched_feeds, heartbeat, troubles],
        resources=resources(settings),
        # For backfills from an asset's page: they run in one process, as the jobs do.
        executor=dg.in_process_executor,
    )
