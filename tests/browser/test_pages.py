"""What people see and do in Dagster's pages."""

import re
from typing import TYPE_CHECKING

from tests.support.command_line import Site
from tests.support.pages import KEYS, MISSING, SMOKE, Installation
from tests.support.slack_server import block_texts
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOCATION = "/locations/aqi_dagster.definitions"

ASSETS = [
    "sensor_data",
    "readings",
    "sensor_health",
    "scored_readings",
    "anomalies",
    "regional_windows",
    "slack_alerts",
]


BACKFILLS = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }"


def show(page: "Page", installation: Installation, path: str, *texts: str | re.Pattern[str]) -> None:
    """Open ``path`` and wait until it shows each of ``texts``."""
    page.goto(installation.server.url + path)
    for text in texts:
        page.get_by_text(text).filter(visible=True).first.wait_for()
    page.wait_for_load_state("networkidle")


def test_lineage(page: "Page", installation: Installation) -> None:
    show(page, installation, "/asset-groups", *(re.compile(f"^{asset}$") for asset in ASSETS))


def test_asset_page(page: "Page", installation: Installation) -> None:
    show(
        page,
        installation,
        "/assets/regional_windows",
        "Smoke, a malfunction, or nothing",
        "published_copy",
        "air_quality",
    )


def test_partitions_and_their_metadata(page: "Page", installation: Installation) -> None:
    path = f"/assets/regional_windows?view=partitions&partition={SMOKE}"
    show(page, installation, path, "Materialized (10)", "Missing (2)", "published_copy")
    first = page.get_by_role("row").filter(has=page.get_by_text("verdict: Lake Tahoe", exact=True))
    assert first.get_by_text(re.compile("^Suspected Smoke Event: 25 sensors, .* anomalies since ")).is_visible()
    row = page.get_by_role("row").filter(has=page.get_by_text("smoke", exact=True))
    assert row.get_by_text("1", exact=True).is_visible()


def test_every_window_of_a_run_is_among_the_events(page: "Page", installation: Installation) -> None:
    show(page, installation, "/assets/regional_windows?view=events", SMOKE)
    shown = {key for key in KEYS if page.get_by_text(key, exact=True).filter(visible=True).count()}
    # All but the newest two, in one run, whose events were stored in one batch.
    assert shown == set(KEYS) - set(MISSING)


def test_checks(page: "Page", installation: Installation) -> None:
    show(page, installation, "/assets/readings?view=checks", "every_message_accounted_for", "Rows and offsets agree.")


def test_alert_links_to_its_window(page: "Page", installation: Installation) -> None:
    wait_for("alert of the smoke", lambda: "Suspected" in str(installation.slack.messages))
    shown = next(text for text in map(block_texts, installation.slack.messages) if "Suspected" in text)
    (link,) = re.findall(r"<([^|]+)\|This window in Dagster>", shown)
    page.goto(link.replace("&amp;", "&"))
    page.get_by_text("dagster/partition_row_count").wait_for()
    # In the list of partitions, and as the heading of the one that is shown.
    page.get_by_text(SMOKE, exact=True).filter(visible=True).nth(1).wait_for()


def test_runs_of_the_command_line_show_at_their_job(page: "Page", installation: Installation) -> None:
    show(page, installation, f"{LOCATION}/jobs/micro_batch/runs", re.compile("started_by: command line"), "Success")


def test_schedule(page: "Page", installation: Installation) -> None:
    show(
        page,
        installation,
        f"{LOCATION}/schedules/twice_a_day",
        "12:10 AM UTC and 12:10 PM UTC",
        "Next tick",
        "micro_batch",
    )
    assert page.get_by_role("checkbox").first.is_checked()


def test_sensor(page: "Page", installation: Installation) -> None:
    show(page, installation, f"{LOCATION}/sensors/classified_windows", "regional_windows", "tell_slack", "Latest tick")
    assert page.get_by_role("checkbox").first.is_checked()


def test_backfill_from_the_page(page: "Page", installation: Installation) -> None:
    show(page, installation, f"{LOCATION}/jobs/micro_batch")
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Missing", exact=True).click()
    dialog.get_by_text(f"{len(MISSING)} partitions", exact=True).wait_for()
    dialog.get_by_role("button", name="Launch backfill").click()
    page.get_by_text("Created backfill").wait_for()
    # Not by the link of that message, which slides in and is gone again before a busy machine has clicked it.
    (backfill,) = installation.server.query(BACKFILLS)["partitionBackfillsOrError"]["results"]
    page.goto(f"{installation.server.url}/runs/b/{backfill['id']}")
    page.get_by_text("100% completed").wait_for()
    expected = {"numMaterialized": len(KEYS), "numFailed": 0}
    assert set(map(str, installation.server.partitions().values())) == {str(expected)}


def test_failed_run_shows_its_cause(page: "Page", installation: Installation) -> None:
    site = installation.site
    mistaken = Site(site.folder, site.settings | {"KAFKA_TOPIC": "mistyped"})
    told = mistaken.run("materialize", "--from", KEYS[-1], "--to", KEYS[-1], check=False)
    (run,) = re.findall(r"Run ([0-9a-f-]{36}) of micro_batch failed", told.stderr)
    cause = re.compile("^TopicMissingError: .*mistyped.*KAFKA_TOPIC")
    show(page, installation, f"/runs/{run}", "Failure", cause)
    page.get_by_text(cause).first.scroll_into_view_if_needed()


def test_plot_of_a_window(page: "Page", installation: Installation) -> None:
    show(page, installation, f"/assets/regional_windows?view=partitions&partition={SMOKE}", "plot: Lake Tahoe")
    row = page.get_by_role("row").filter(has=page.get_by_text("plot: Lake Tahoe", exact=True))
    row.get_by_text("Show Markdown").click()
    image = page.get_by_role("dialog").get_by_role("img", name="PM2.5 in Lake Tahoe")
    image.wait_for()
    assert image.evaluate("image => image.complete && image.naturalWidth") > 600
