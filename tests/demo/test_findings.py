"""What each rule set finds in the summer, printed beside its labels, and what the rules that judge missed."""

from datetime import timedelta

import pytest

from aqi_dagster.demo.findings import print_findings
from aqi_dagster.demo.summer import DAYS, Summer
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import WINDOW_LENGTH
from tests.support.messages import FIRST_WINDOW

END = FIRST_WINDOW + timedelta(days=DAYS)


@pytest.mark.parametrize("rules", ["notebook", "network"])
def test_only_what_the_rules_that_judge_can_tell_and_did_not_is_missed(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rules: str
) -> None:
    """Of all episodes only the first smoke has left anomalies in the store, and no sensor was judged."""
    monkeypatch.setenv("AQI_DATA_DIR", str(store.published.parent))
    monkeypatch.setenv("AQI_RULES", rules)
    summer = Summer(FIRST_WINDOW)
    smoke = next(start for start, kind in summer.expected_verdicts(END).items() if kind == "smoke")
    with store.exclusive() as connection:
        for sensor in summer.sensors[:3]:
            connection.execute("INSERT INTO anomalies VALUES ($1, $2, $2, 500, 0.9)", [sensor, smoke])
    store.publish()
    missed = print_findings(summer, END - WINDOW_LENGTH)
    own = summer.expected_verdicts(END, rules)
    found = {smoke} if rules == "notebook" else set()
    assert missed == [f"{start:%Y-%m-%d %H:%M}, {kind}" for start, kind in own.items() if start not in found]
    printed = capsys.readouterr().out
    (row,) = [line.split() for line in printed.splitlines() if line.startswith(f"{smoke:%Y-%m-%d %H:%M}")]
    assert row[2:] == ["smoke", "smoke", "3", "3", "500.0"]
    assert f"by the {rules} rules, which judge here, which can tell {len(own)} of them" in printed


def test_each_rule_set_has_something_that_it_alone_can_tell() -> None:
    summer = Summer(FIRST_WINDOW)
    every, notebook, network = (summer.expected_verdicts(END, rules) for rules in (None, "notebook", "network"))
    assert every == notebook | network
    assert notebook.keys() - network.keys()
    assert network.keys() - notebook.keys()
