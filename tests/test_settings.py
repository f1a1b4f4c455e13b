"""Settings from the environment: defaults, what is refused, and in which words."""

from datetime import timedelta
from pathlib import Path

import pytest

from aqi_dagster.errors import ConfigurationError
from aqi_dagster.message_fields import FieldNames
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.readings.pull import PullPolicy
from aqi_dagster.pipeline.topic.reader import TopicReader
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.setting_names import strange_names
from aqi_dagster.settings import SECRETS, Settings, librdkafka_settings, librdkafka_variables, load_settings
from tests.support.messages import at

EXAMPLE = Path(__file__).parents[1] / ".env.example"


VARIABLES = [str(field.alias) for field in Settings.model_fields.values()]

NUMBERS = [
    name for name, field in zip(VARIABLES, Settings.model_fields.values(), strict=True) if field.annotation is float
]


def refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """What the error says about ``environment``."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value)


def test_the_limits_of_memory_are_the_same_with_and_without_dagster() -> None:
    settings = load_settings()
    assert settings.kafka_chunk_messages == TopicReader({}, "any").chunk_messages
    assert settings.duckdb_memory_mb == WarehouseResource(data_dir="any").memory_limit_mb


def test_the_future_is_as_far_ahead_with_and_without_dagster() -> None:
    assert load_settings().future_allowance == PullPolicy().future_allowance


def test_without_any_variable_the_notebooks_parameters_hold() -> None:
    settings = load_settings()
    detector = {name: getattr(settings, f"detector_{name}") for name in DetectorParameters.__dataclass_fields__}
    assert DetectorParameters(**detector) == DetectorParameters()
    assert Thresholds(settings.score_threshold, settings.pm25_threshold) == Thresholds()


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load_settings()
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    assert load_settings() == defaults


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092,b:9092", "kafka_bootstrap_servers", "a:9092,b:9092"),
        ("KAFKA_TIMEOUT_SECONDS", "2.5", "kafka_timeout_seconds", 2.5),
        ("KAFKA_CHUNK_MESSAGES", "10", "kafka_chunk_messages", 10),
        ("KAFKA_ON_RECREATED_TOPIC", "reread", "kafka_on_recreated_topic", "reread"),
        ("KAFKA_FIELDS", "created_at=ts", "field_names", FieldNames({"created_at": "ts"})),
        (
            "KAFKA_FIELDS",
            " created_at = measured at ,PM2.5_CF1_ug/m3=a=b,entry_id=RSSI_dbm,RSSI_dbm=entry_id",
            "field_names",
            FieldNames(
                {
                    "created_at": "measured at",
                    "PM2.5_CF1_ug/m3": "a=b",
                    "entry_id": "RSSI_dbm",
                    "RSSI_dbm": "entry_id",
                }
            ),
        ),
        ("AQI_DATA_DIR", "/srv/aqi", "data_dir", Path("/srv/aqi")),
        ("AQI_FIRST_WINDOW", "2020-09-01T12:00", "first_window", at("2020-09-01 12:00")),
        ("AQI_FIRST_WINDOW", "2020-09-01", "first_window", at("2020-09-01")),
        ("AQI_REGION_METHOD", "county", "region_method", "county"),
        ("AQI_REGION_FILE", __file__, "region_file", Path(__file__)),
        ("AQI_REGION_ELSEWHERE", "The Rest", "region_elsewhere", "The Rest"),
        ("AQI_NOMINATIM_URL", "http://127.0.0.1:8080/maps", "nominatim_url", "http://127.0.0.1:8080/maps"),
        ("AQI_DUCKDB_MEMORY_MB", "2048", "duckdb_memory_mb", 2048),
        ("AQI_FUTURE_ALLOWANCE_MINUTES", "0", "future_allowance_minutes", 0.0),
        ("AQI_MAX_REJECTED_SHARE", "0", "max_rejected_share", 0.0),
        ("AQI_OWNERS", "a@example.org , team:b", "owners", ("a@example.org", "team:b")),
        ("AQI_DAGSTER_URL", "https://example.org/dagster", "dagster_url", "https://example.org/dagster"),
        ("AQI_WEB_URL", "https://example.org/air", "web_url", "https://example.org/air"),
        ("AQI_DIGEST_AFTER_HOURS", "1.5", "digest_after", timedelta(minutes=90)),
        ("ALERT_EMAIL_FROM", "aqi@example.org", "alert_email_from", "aqi@example.org"),
    ],
)
def test_a_variable_sets_its_field(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object
) -> None:
    assert getattr(load_settings(), field) != value
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), field) == value


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "  ", "must not be empty"),
        ("KAFKA_TOPIC", " ", "must not be empty"),
        ("KAFKA_TIMEOUT_SECONDS", "soon", "valid number"),
        ("KAFKA_TIMEOUT_SECONDS", "0", "greater than 0"),
        ("KAFKA_CHUNK_MESSAGES", "0", "greater than or equal to 1"),
        ("KAFKA_CHUNK_MESSAGES", "1.5", "valid integer"),
        ("KAFKA_ON_RECREATED_TOPIC", "ignore", "'fail' or 'reread'"),
        ("KAFKA_ON_EXPIRED_OFFSETS", "reread", "'fail' or 'skip'"),
        ("KAFKA_FIELDS", "created_at", "is not of the form created_at=ts"),
        ("KAFKA_FIELDS", "created_at=ts,", "'' is not of the form created_at=ts"),
        ("KAFKA_FIELDS", "=ts", "'=ts' is not of the form created_at=ts"),
        ("KAFKA_FIELDS", "created_at=", "'' cannot be what a topic calls created_at"),
        ("KAFKA_FIELDS", "pm=PM", "'pm' is no field of a reading: docs/feeding.md lists them"),
        ("KAFKA_FIELDS", "creatd_at=ts", "'creatd_at' is no field of a reading: perhaps created_at is meant"),
        ("KAFKA_FIELDS", "ts=created_at", "the name that docs/feeding.md has comes first, created_at=ts"),
        ("KAFKA_FIELDS", "created_at=a, created_at=b", "created_at comes twice"),
        ("KAFKA_FIELDS", "created_at=a, entry_id=a", "created_at and entry_id would both be read from 'a'"),
        ("KAFKA_FIELDS", "created_at=entry_id", "created_at and entry_id would both be read from 'entry_id'"),
        ("KAFKA_FIELDS", "Humidity_%=Humidity", "Humidity and Humidity_% would both be read from 'Humidity'"),
        ("KAFKA_FIELDS", "created_at=\udcff", "cannot be what a topic calls created_at"),
        ("AQI_FIRST_WINDOW", "yesterday", "valid datetime"),
        ("AQI_FIRST_WINDOW", "2022-07-18T06:00", "00:00 or 12:00 UTC"),
        ("AQI_FIRST_WINDOW", "2022-07-18T00:00:01", "00:00 or 12:00 UTC"),
        ("AQI_FIRST_WINDOW", "2022-07-18T00:00Z", "without time zone"),
        ("AQI_REGION", "\t", "must not be empty"),
        ("AQI_REGION_METHOD", "guess", "'name', 'polygons', 'county' or 'nominatim'"),
        ("AQI_REGION_FILE", "/no/such/file", "does not point to a file"),
        ("AQI_REGION_ELSEWHERE", " ", "must not be empty"),
        ("AQI_NOMINATIM_URL", "nominatim.openstreetmap.org", "address of a server"),
        ("AQI_NOMINATIM_URL", "http://127.0.0.1:nominatim", "Port"),
        ("AQI_NOMINATIM_URL", "ftp://nominatim.openstreetmap.org", "address of a server"),
        ("AQI_NOMINATIM_URL", "https://nominatim.example.org/?key=1", "address of a server"),
        ("AQI_FUTURE_ALLOWANCE_MINUTES", "-1", "greater than or equal to 0"),
        ("AQI_LOCK_TIMEOUT_SECONDS", "-1", "greater than 0"),
        ("AQI_DETECTOR_N_TREES", "0", "greater than or equal to 1"),
        ("AQI_DETECTOR_N_TREES", "1001", "less than or equal to 1000"),
        ("AQI_DETECTOR_HEIGHT", "16", "less than or equal to 15"),
        ("AQI_DETECTOR_WINDOW_SIZE", "0", "greater than or equal to 1"),
        ("AQI_DETECTOR_SEED", "-1", "greater than or equal to 0"),
        ("AQI_SCORE_THRESHOLD", "1.1", "less than or equal to 1"),
        ("AQI_SCORE_THRESHOLD", "-0.1", "greater than or equal to 0"),
        ("AQI_PM25_THRESHOLD", "-1", "greater than or equal to 0"),
        ("AQI_DAGSTER_URL", "dagster.example.org", "address of a server"),
        ("AQI_DIGEST_AFTER_HOURS", "0", "greater than 0"),
        ("ALERT_EMAIL_TO", "ann@example.org, ben", "' ben' is no mail address"),
        ("ALERT_EMAIL_FROM", "Ann\nBcc: eve@example.org", "is no mail address"),
        # Finite, but no time that Python can tell.
        ("AQI_FUTURE_ALLOWANCE_MINUTES", "1e30", "less than or equal to"),
        ("AQI_DIGEST_AFTER_HOURS", "1e30", "less than or equal to"),
        ("KAFKA_TIMEOUT_SECONDS", "1e30", "less than or equal to"),
        ("AQI_LOCK_TIMEOUT_SECONDS", "1e30", "less than or equal to"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
) -> None:
    told = refusal(monkeypatch, **{variable: value})
    assert f"{variable}={value!r}: " in told
    assert allowed in told


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("variable", NUMBERS)
def test_a_number_must_be_finite(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    assert f"{variable}={value!r}: " in refusal(monkeypatch, **{variable: value})


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = refusal(monkeypatch, AQI_REGION=" ", KAFKA_TIMEOUT_SECONDS="-1", AQI_SCORE_THRESHOLD="2", KAFKA_TOPIC="fine")
    assert all(name in told for name in ["AQI_REGION", "KAFKA_TIMEOUT_SECONDS", "AQI_SCORE_THRESHOLD"])
    assert "KAFKA_TOPIC" not in told


@pytest.mark.parametrize("upper", ["10", "9"])
def test_the_limits_of_a_detector_must_not_be_swapped(monkeypatch: pytest.MonkeyPatch, upper: str) -> None:
    told = refusal(monkeypatch, AQI_DETECTOR_LOWER_LIMIT="10", AQI_DETECTOR_UPPER_LIMIT=upper)
    assert f"AQI_DETECTOR_LOWER_LIMIT=10 must be less than AQI_DETECTOR_UPPER_LIMIT={upper}" in told


def test_mail_asks_for_a_server_and_whom_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    told = refusal(monkeypatch, ALERT_EMAIL_TO="ann@example.org, ben@example.org")
    assert "ALERT_EMAIL_TO needs ALERT_EMAIL_FROM and SMTP_URL" in told
    told = refusal(monkeypatch, ALERT_EMAIL_FROM="aqi@example.org")
    assert "ALERT_EMAIL_TO needs SMTP_URL" in told
    monkeypatch.setenv("SMTP_URL", "smtp://127.0.0.1:25")
    assert load_settings().alert_email_to == ("ann@example.org", "ben@example.org")


@pytest.mark.parametrize(
    ("method", "needed"), [("polygons", "AQI_REGION_FILE"), ("nominatim", "AQI_NOMINATIM_USER_AGENT")]
)
def test_a_way_to_find_regions_asks_for_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, method: str, needed: str
) -> None:
    assert f"AQI_REGION_METHOD={method} needs {needed}" in refusal(monkeypatch, AQI_REGION_METHOD=method)
    monkeypatch.setenv(needed, __file__)
    assert load_settings().region_method == method


def test_a_password_in_an_address_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    told = refusal(monkeypatch, AQI_NOMINATIM_URL="https://me:hunter2@3@nominatim.example.org")
    assert "must not hold a password" in told
    assert "hunter2" not in told
    assert "3@" not in told


def test_kafka_config_variables_are_librdkafka_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_CONFIG_SASL_PASSWORD", "secret")
    monkeypatch.setenv("KAFKA_CONFIG_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_CONFIG_SSL_CA_LOCATION", "")
    monkeypatch.setenv("KAFKA_TOPIC", "other")
    assert librdkafka_variables() == {
        "sasl.password": "KAFKA_CONFIG_SASL_PASSWORD",
        "security.protocol": "KAFKA_CONFIG_SECURITY_PROTOCOL",
    }
    assert librdkafka_settings(load_settings()) == {
        "sasl.password": "secret",
        "security.protocol": "SASL_SSL",
        "bootstrap.servers": "127.0.0.1:9092",
    }


def test_the_settings_name_the_brokers_whatever_kafka_config_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "right:9092")
    monkeypatch.setenv("KAFKA_CONFIG_BOOTSTRAP_SERVERS", "wrong:9092")
    assert librdkafka_settings(load_settings())["bootstrap.servers"] == "right:9092"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("AQI_FIRST_WINDOWS", "AQI_FIRST_WINDOW"),
        ("AQI_DATADIR", "AQI_DATA_DIR"),
        ("AQI_KAFKA_TOPIC", "KAFKA_TOPIC"),
        ("AQI_XYZZY", None),
        ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_TOPICS", "KAFKA_TOPIC"),
        ("KAFKA_SASL_PASSWORD", "KAFKA_CONFIG_SASL_PASSWORD"),
        ("KAFKA_CONF_SASL_PASSWORD", "KAFKA_CONFIG_SASL_PASSWORD"),
        ("KAFKA_CONFIGSSL_CA_LOCATION", "KAFKA_CONFIG_SSL_CA_LOCATION"),
        ("SLACK_WEBHOOK", "SLACK_WEBHOOK_URL"),
        ("ALERT_MAIL_TO", "ALERT_EMAIL_TO"),
        ("PURPLEAIR_APIKEY", "PURPLEAIR_API_KEY"),
    ],
)
def test_a_misspelt_name_is_told_once_with_the_nearest_setting_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, nearest: str | None
) -> None:
    monkeypatch.setenv(name, "hunter2")
    assert load_settings() == load_settings()
    (told,) = caplog.messages
    assert told.startswith(f"{name} is set, but is no setting: ")
    assert (f"did you mean {nearest}?" if nearest else "remove it.") in told
    assert "hunter2" not in told


def test_names_that_others_give_are_not_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    example = [line.removeprefix("# ").split("=")[0] for line in EXAMPLE.read_text().splitlines() if "=" in line]
    others = ["KAFKA_HOME", "KAFKA_OPTS", "KAFKA_HEAP_OPTS", "KAFKA_PORT_9092_TCP", "KAFKA_LOG_DIRS", "SLACK_BOT_TOKEN"]
    for name in [*others, "KAFKA_CONFIG_ANYTHING", "KAFKA_CONFIG_SASL_PASSWORD", "KAFKA_SASL_PASSWORD", "AQINET"]:
        monkeypatch.setenv(name, "x")
    load_settings()
    assert caplog.messages == []
    assert strange_names([name for name in example if name.isupper()], [*VARIABLES, *SECRETS]) == {}
