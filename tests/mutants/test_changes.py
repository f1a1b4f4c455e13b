"""What changes are made to SQL and how many to which room, and how a run of tests on a changed checkout is judged."""

from pathlib import Path

import pytest

from tests.mutants.__main__ import shares
from tests.mutants.bench import Bench
from tests.mutants.choice import WatchedTest, choose, read_watched
from tests.mutants.mutant import ROOMS, Mutant, changed_lines, files_of
from tests.mutants.sql_mutants import changes, constants, sql_mutants
from tests.support.places import TOP


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a FROM t WHERE a >= 7", {"a > 7", "a < 7", "a >= 8", "a >= 6"}),
        ("SELECT a FROM t WHERE a = b", {"a <> b"}),
        ("SELECT a FROM t WHERE a AND NOT b", {"a OR NOT b", "a AND  b"}),
        (
            "SELECT a FROM t WHERE coalesce(f(a, b), 'c, d') = 'e'",
            {"(f(a, b)) = 'e'", "coalesce(f(a, b), 'c, d') <> 'e'"},
        ),
        (
            "SELECT a FROM t WHERE t.a BETWEEN $x AND $y",
            {"t.a NOT BETWEEN $x AND $y", "(t.a > $x AND t.a <= $y)", "(t.a >= $x AND t.a < $y)"},
        ),
        ("SELECT a FROM t WHERE a IS NOT NULL -- or = 3", {"a IS NULL -- or = 3"}),
        ("SELECT a FROM t WHERE a::DECIMAL(38, 15) << b", set()),
    ],
)
def test_each_comparison_and_bound_is_changed_by_itself(sql: str, expected: set[str]) -> None:
    begin = "SELECT a FROM t WHERE "
    found = [sql[:place] + new + sql[place + len(old) :] for place, old, new in changes(sql)]
    assert {text.removeprefix(begin) for text in found} == expected
    assert len(found) == len(expected)


def test_what_assigns_is_not_taken_for_a_comparison() -> None:
    found = {(old, new) for _, old, new in changes("UPDATE t SET a = b, c = 'x' WHERE d = e")}
    assert found == {("=", "<>")}


def test_the_constants_of_a_module_are_found_where_they_stand() -> None:
    code = 'A = """\nSELECT 1\nWHERE a < 2"""\nB = "FROM t"\nC = "no SQL"\nD = f"SELECT {A}"\n'
    assert [code[begin : begin + len(sql)] for begin, sql in constants(code)] == ["\nSELECT 1\nWHERE a < 2", "FROM t"]


def test_all_sql_of_the_rooms_is_reached_and_every_change_is_one() -> None:
    mutants = [mutant for room in ROOMS for mutant in sql_mutants(room)]
    assert len(mutants) > 500
    in_files = {path for room in ROOMS for path in files_of(room, ".sql")}
    assert in_files - {mutant.file for mutant in mutants} <= {Path("aqi_dagster/pipeline/store/migrations/to_2.sql")}
    for mutant in mutants:
        before = (TOP / mutant.file).read_text()
        assert mutant.text != before
        assert changed_lines(before, mutant.text) == (mutant.line, mutant.before, mutant.after)
        assert mutant.before in before


@pytest.mark.parametrize("count", [0, 1, 7, 400])
def test_a_sample_is_shared_out_in_proportion(count: int) -> None:
    found = shares({"small": 10, "large": 89, "none": 0, "one": 1}, count)
    assert sum(found.values()) == count
    assert abs(found["large"] - count * 0.89) < 1
    assert found["none"] == 0


MODULE = """
_SQL = "SELECT 1"
_PARTS = (_SQL, "SELECT 2")


def one():
    return _PARTS


class Two:
    @property
    def two(self):
        return _SQL


def three():
    return 3
"""


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("return 3", ["three"]),
        ("return _SQL", ["two"]),
        ("@property", ["two"]),
        ("SELECT 1", ["two", "one"]),
        ("SELECT 2", ["one"]),
        ("class Two", ["two", "three", "one"]),
    ],
)
def test_those_tests_are_run_that_call_what_is_changed_and_the_quickest_first(
    tmp_path: Path, before: str, expected: list[str]
) -> None:
    file = Path("aqi_dagster", "pipeline", "store", "module.py")
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(MODULE)
    watched = [
        WatchedTest(name, seconds, frozenset({(str(file), called)}))
        for name, seconds, called in [("one", 5.0, "one"), ("three", 0.5, "three"), ("two", 0.1, "Two.two")]
    ]
    mutant = Mutant("Python", file, *changed_lines(MODULE, MODULE.replace(before, "something else")), "")
    assert [test.name for test in choose(mutant, watched, tmp_path)] == expected


@pytest.mark.long
def test_a_change_is_judged_by_what_it_does(tmp_path: Path) -> None:
    """By a room of one small module: changed to be wrong, to be as right as before, to hang, and to be no module."""
    bench = Bench(tmp_path)
    room = tmp_path / "aqi_dagster" / "pipeline" / "store"
    room.mkdir(parents=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long\npythonpath = .\n")
    tests = tmp_path / "tests" / "store"
    tests.mkdir(parents=True)
    code = "def two():\n    return 1 + 1\n"
    (room / "module.py").write_text(code)
    (tests / "test_sql.py").write_text(
        "from aqi_dagster.pipeline.store.module import two\ndef test_two(): assert two() == 2\n"
    )

    assert bench.unchanged("store", tmp_path / "notes.json").outcome == "passed"
    watched = read_watched(tmp_path / "notes.json")
    assert [(test.name, set(test.functions)) for test in watched] == [
        (
            "tests/store/test_sql.py::test_two",
            {("aqi_dagster/pipeline/store/module.py", "two"), ("tests/store/test_sql.py", "test_two")},
        )
    ]

    def judge(text: str) -> str:
        file = Path("aqi_dagster", "pipeline", "store", "module.py")
        return bench.changed(Mutant("Python", file, *changed_lines(code, text), text), watched).outcome

    assert judge(code.replace("+", "-")) == "failed"
    assert judge(code.replace("+ 1", "* 2")) == "passed"
    assert judge(code.replace("return 1", "raise SystemExit; 1")) == "failed"
    assert judge(code.replace("def two", "def three")) == "failed"
    assert (room / "module.py").read_text() == code
