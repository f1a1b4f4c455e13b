"""Settings from the environment: their names, meanings, defaults and limits.

They are read once, when Dagster loads the code location or the command line starts. Secrets are not among them:
Dagster's ``EnvVar`` reads those for the resources when a run starts.
"""

import os
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, FilePath, ValidationError

from aqi_dagster import defaults
from aqi_dagster.errors import ConfigurationError
from aqi_dagster.message_fields import OWN_NAMES, FieldNames
from aqi_dagster.setting_names import KAFKA_CONFIG_PREFIX, warn_of_strange_names
from aqi_dagster.setting_values import (
    Text,
    field_names_of,
    key_address,
    mail_address,
    mail_addresses,
    owners_of,
    starts_window,
    tiles_address,
    web_address,
    zone_name,
)

SLACK_WEBHOOK_URL = "SLACK_WEBHOOK_URL"

PURPLEAIR_API_KEY = "PURPLEAIR_API_KEY"

HEARTBEAT_URL = "AQI_HEARTBEAT_URL"

WEB_PASSWORD = "AQI_WEB_PASSWORD"  # noqa: S105 (its name)

SLACK_OPS_WEBHOOK_URL = "SLACK_OPS_WEBHOOK_URL"

ALERT_WEBHOOK_URL = "ALERT_WEBHOOK_URL"

SMTP_URL = "SMTP_URL"

SECRETS = [
    SLACK_WEBHOOK_URL,
    SLACK_OPS_WEBHOOK_URL,
    ALERT_WEBHOOK_URL,
    SMTP_URL,
    PURPLEAIR_API_KEY,
    HEARTBEAT_URL,
    WEB_PASSWORD,
]
"""Settings that are read from the environment where they are needed, and nowhere kept."""


class Settings(BaseModel):
    """Every setting but the secrets; each field's alias is the name of its environment variable."""

    model_config = ConfigDict(frozen=True)

    kafka_bootstrap_servers: Text = Field(
        "127.0.0.1:9092", alias="KAFKA_BOOTSTRAP_SERVERS", description="host:port of the brokers, comma-separated"
    )
    kafka_topic: Text = Field("sensor_data", alias="KAFKA_TOPIC", description="topic that holds the readings")
    field_names: Annotated[FieldNames, BeforeValidator(field_names_of)] = Field(
        OWN_NAMES,
        alias="KAFKA_FIELDS",
        description="what the topic calls the fields, where it differs: created_at=ts, entry_id=id",
    )
    kafka_timeout_seconds: float = Field(
        defaults.KAFKA_TIMEOUT_SECONDS,
        gt=0,
        le=3600,
        alias="KAFKA_TIMEOUT_SECONDS",
        description="silence of a broker or partition that is an error",
    )
    kafka_chunk_messages: int = Field(
        defaults.KAFKA_CHUNK_MESSAGES,
        ge=1,
        alias="KAFKA_CHUNK_MESSAGES",
        description="messages that one transaction takes in, and so what is held in memory",
    )
    kafka_on_recreated_topic: Literal["fail", "reread"] = Field(
        "fail", alias="KAFKA_ON_RECREATED_TOPIC", description="what to do about a topic that was made anew"
    )
    kafka_on_expired_offsets: Literal["fail", "skip"] = Field(
        "fail", alias="KAFKA_ON_EXPIRED_OFFSETS", description="what to do about offsets that retention removed unread"
    )

    feed: str = Field(
        "",
        alias="AQI_FEED",
        description="feeds that run beside the pipeline: what follows `aqi-dagster feed`; several by semicolons",
    )
    purpleair_url: Annotated[str, AfterValidator(key_address)] = Field(
        defaults.PURPLEAIR_URL, alias="PURPLEAIR_API_URL", description="address of PurpleAir's API"
    )

    data_dir: Path = Field(
        Path(".data"), alias="AQI_DATA_DIR", description="folder of the private store and the published aqi.duckdb"
    )
    first_window: Annotated[datetime, AfterValidator(starts_window)] = Field(
        datetime(2022, 7, 18),  # noqa: DTZ001 (naive UTC by convention)
        alias="AQI_FIRST_WINDOW",
        description="start of the first window, ISO time in UTC; earlier readings are kept, but not scored",
    )
    rules: Literal["notebook", "network"] = Field(
        "notebook", alias="AQI_RULES", description="rules by which verdicts are reached; docs/verdicts.md explains both"
    )
    region_method: Literal["name", "polygons", "county", "nominatim"] = Field(
        defaults.REGION_METHOD, alias="AQI_REGION_METHOD", description="how sensors are gathered into regions"
    )
    region: Text = Field(defaults.REGION, alias="AQI_REGION", description="method name: the region of all sensors")
    region_file: FilePath | None = Field(
        None, alias="AQI_REGION_FILE", description="method polygons: GeoJSON file of named polygons"
    )
    region_elsewhere: Text = Field(
        defaults.REGION_ELSEWHERE,
        alias="AQI_REGION_ELSEWHERE",
        description="region of the sensors that are in no other",
    )
    nominatim_url: Annotated[str, AfterValidator(web_address)] = Field(
        defaults.NOMINATIM_URL,
        alias="AQI_NOMINATIM_URL",
        description="method nominatim: address of the server",
    )
    nominatim_user_agent: Text | None = Field(
        None,
        alias="AQI_NOMINATIM_USER_AGENT",
        description="method nominatim: what tells the server's owners who asks",
    )
    future_allowance_minutes: float = Field(
        defaults.FUTURE_ALLOWANCE_MINUTES,
        ge=0,
        le=525_600,
        alias="AQI_FUTURE_ALLOWANCE_MINUTES",
        description="how far created_at may lie ahead of our clock",
    )
    duckdb_memory_mb: int = Field(
        defaults.DUCKDB_MEMORY_MB,
        ge=128,
        alias="AQI_DUCKDB_MEMORY_MB",
        description="MB of the private store that DuckDB may hold in memory",
    )
    lock_timeout_seconds: float = Field(
        defaults.LOCK_TIMEOUT_SECONDS,
        gt=0,
        le=604_800,
        alias="AQI_LOCK_TIMEOUT_SECONDS",
        description="how long a run queues behind another writer",
    )

    detector_n_trees: int = Field(
        defaults.DETECTOR_N_TREES, ge=1, le=1000, alias="AQI_DETECTOR_N_TREES", description="trees of a detector"
    )
    detector_height: int = Field(
        defaults.DETECTOR_HEIGHT, ge=1, le=15, alias="AQI_DETECTOR_HEIGHT", description="height of each tree"
    )
    detector_window_size: int = Field(
        defaults.DETECTOR_WINDOW_SIZE,
        ge=1,
        alias="AQI_DETECTOR_WINDOW_SIZE",
        description="readings after which the trees take over what they learned",
    )
    detector_seed: int = Field(
        defaults.DETECTOR_SEED, ge=0, alias="AQI_DETECTOR_SEED", description="seed of the random trees"
    )
    detector_lower_limit: float = Field(
        defaults.DETECTOR_LOWER_LIMIT,
        allow_inf_nan=False,
        alias="AQI_DETECTOR_LOWER_LIMIT",
        description="lower end of the PM2.5 range, ug/m3",
    )
    detector_upper_limit: float = Field(
        defaults.DETECTOR_UPPER_LIMIT,
        allow_inf_nan=False,
        alias="AQI_DETECTOR_UPPER_LIMIT",
        description="upper end of the PM2.5 range, ug/m3",
    )
    states_kept_days: float = Field(
        defaults.STATES_KEPT_DAYS,
        ge=0,
        le=36_500,
        alias="AQI_STATES_KEPT_DAYS",
        description="how long the detector states of every window are kept; older ones only at each week's end",
    )
    score_threshold: float = Field(
        defaults.SCORE_THRESHOLD,
        ge=0,
        le=1,
        alias="AQI_SCORE_THRESHOLD",
        description="an anomaly scores more than this",
    )
    pm25_threshold: float = Field(
        defaults.PM25_THRESHOLD,
        ge=0,
        allow_inf_nan=False,
        alias="AQI_PM25_THRESHOLD",
        description="an anomaly reads more PM2.5, ug/m3",
    )

    look_minutes: Literal["0", "5", "10", "15", "20", "30", "60"] = Field(
        "15",
        alias="AQI_LOOK_MINUTES",
        description="how often the window that is still open is looked at; 0 never",
    )
    looks_kept_days: float = Field(
        defaults.LOOKS_KEPT_DAYS,
        ge=0,
        le=36_500,
        alias="AQI_LOOKS_KEPT_DAYS",
        description="how long Dagster's records of looks are kept",
    )

    silent_after_hours: float = Field(
        defaults.SILENT_AFTER_HOURS,
        ge=0,
        le=87_600,
        alias="AQI_SILENT_AFTER_HOURS",
        description="a topic that is read and has nothing new for longer is told of; 0 never",
    )
    max_rejected_share: float = Field(
        defaults.MAX_REJECTED_SHARE,
        ge=0,
        le=1,
        alias="AQI_MAX_REJECTED_SHARE",
        description="a pull that rejects more of its messages makes a check warn",
    )
    owners: Annotated[tuple[str, ...], BeforeValidator(owners_of)] = Field(
        ("team:air-quality",),
        alias="AQI_OWNERS",
        description="who looks after the assets: mail addresses or team:NAME, comma-separated",
    )

    digest_after_hours: float = Field(
        defaults.DIGEST_AFTER_HOURS,
        gt=0,
        le=87_600,
        alias="AQI_DIGEST_AFTER_HOURS",
        description="windows that ended longer ago are told in one digest",
    )
    alert_email_to: Annotated[tuple[str, ...], BeforeValidator(mail_addresses)] = Field(
        (),
        alias="ALERT_EMAIL_TO",
        description="addresses that get alerts by e-mail, comma-separated; it needs ALERT_EMAIL_FROM and SMTP_URL",
    )
    alert_email_from: Annotated[str, AfterValidator(mail_address)] | None = Field(
        None, alias="ALERT_EMAIL_FROM", description="address that alerts by e-mail come from"
    )
    time_zone: Annotated[str, AfterValidator(zone_name)] | None = Field(
        None,
        alias="AQI_TIME_ZONE",
        description="zone of the local time in alerts, such as America/Los_Angeles; without it that of the sensors",
    )
    dagster_url: Annotated[str, AfterValidator(web_address)] | None = Field(
        None, alias="AQI_DAGSTER_URL", description="address of the Dagster UI, to which alerts link"
    )
    web_url: Annotated[str, AfterValidator(web_address)] | None = Field(
        None, alias="AQI_WEB_URL", description="address of the page for people, to which alerts link"
    )
    web_decimals: int = Field(
        2,
        ge=0,
        le=6,
        alias="AQI_WEB_DECIMALS",
        description="decimals of a degree to which the page rounds places of sensors when it is public; 2 are 1 km",
    )
    web_tiles: Annotated[str, AfterValidator(tiles_address)] | None = Field(
        None,
        alias="AQI_WEB_TILES",
        description="address of a server of map tiles, such as https://tile.openstreetmap.org/{z}/{x}/{y}.png",
    )
    web_tiles_credit: str = Field(
        "© OpenStreetMap contributors", alias="AQI_WEB_TILES_CREDIT", description="whom the tiles' server wants named"
    )

    @property
    def future_allowance(self) -> timedelta:
        """``future_allowance_minutes`` as a duration."""
        return timedelta(minutes=self.future_allowance_minutes)

    @property
    def digest_after(self) -> timedelta:
        """``digest_after_hours`` as a duration."""
        return timedelta(hours=self.digest_after_hours)


def _quote(value: Any) -> str:
    """``value`` in an error message, without the password that a web address may hold."""
    return re.sub(r"//[^/]*@", "//...@", repr(value))


def load_settings() -> Settings:
    """The settings in the present environment; logs each name that seems misspelt, once in a process.

    Raises :class:`ConfigurationError` that names each wrong variable, its value and what it may be.
    """
    variables = {name: value for name, value in os.environ.items() if value != ""}
    names = [str(field.alias) for field in Settings.model_fields.values()]
    warn_of_strange_names(variables, [*names, *SECRETS])
    settings, faults = None, []
    try:
        settings = Settings.model_validate({name: variables[name] for name in names if name in variables})
    except ValidationError as error:
        faults = [
            f"{fault['loc'][0]}={_quote(fault['input'])}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
    # Raised outside the handler: an error that refers to Pydantic's would keep its frames alive for ever.
    if settings is None:
        raise ConfigurationError(
            "Wrong settings in the environment or in .env: "
            + "; ".join(faults)
            + ". Mend or remove them; `aqi-dagster settings` prints each one with its default."
        )
    if settings.detector_lower_limit >= settings.detector_upper_limit:
        raise ConfigurationError(
            f"AQI_DETECTOR_LOWER_LIMIT={settings.detector_lower_limit:g} must be less than "
            f"AQI_DETECTOR_UPPER_LIMIT={settings.detector_upper_limit:g}."
        )
    if settings.region_method == "polygons" and settings.region_file is None:
        raise ConfigurationError("AQI_REGION_METHOD=polygons needs AQI_REGION_FILE: a GeoJSON file of named polygons.")
    if settings.region_method == "nominatim" and settings.nominatim_user_agent is None:
        raise ConfigurationError(
            "AQI_REGION_METHOD=nominatim needs AQI_NOMINATIM_USER_AGENT: a name of this installation and an address "
            "at which the server's owners can reach you."
        )
    _require_mail_server(settings, variables)
    return settings


def _require_mail_server(settings: Settings, variables: Mapping[str, str]) -> None:
    """Raise :class:`ConfigurationError` if somebody is to get mail and what it takes is not set."""
    lacking = [
        name
        for name, value in (("ALERT_EMAIL_FROM", settings.alert_email_from), (SMTP_URL, variables.get(SMTP_URL)))
        if not value
    ]
    if settings.alert_email_to and lacking:
        raise ConfigurationError(
            f"ALERT_EMAIL_TO needs {' and '.join(lacking)}: SMTP_URL is the mail server, "
            "smtp://user:password@host:587 or smtps://...:465, and ALERT_EMAIL_FROM whom mails come from."
        )


def librdkafka_variables() -> dict[str, str]:
    """The name of the environment variable of each librdkafka setting that a ``KAFKA_CONFIG_*`` variable sets."""
    return {
        name.removeprefix(KAFKA_CONFIG_PREFIX).lower().replace("_", "."): name
        for name, value in os.environ.items()
        if name.startswith(KAFKA_CONFIG_PREFIX) and value != ""
    }


def librdkafka_settings(settings: Settings) -> dict[str, str]:
    """All librdkafka settings with their values, for clients outside of Dagster's resources; may hold secrets."""
    further = {setting: os.environ[name] for setting, name in librdkafka_variables().items()}
    return {**further, "bootstrap.servers": settings.kafka_bootstrap_servers}
