"""Changes to SQL, in files and in constants of modules: comparisons, AND and OR, COALESCE, bounds, and their like."""

import ast
import re
from collections.abc import Iterator
from random import Random

import duckdb

from tests.mutants.mutant import Mutant, changed_lines, files_of
from tests.support.places import TOP

_SQL = re.compile(r"\s*(?:--[^\n]*\n\s*)*(?:SELECT|WITH|INSERT|UPDATE|DELETE|FROM|CREATE)\b")

_TOKEN = re.compile(
    r"""
    (?P<left>--[^\n]*|'(?:[^']|'')*'|"[^"]*"|\$\w+|::\w+(?:\(\d+(?:,\s*\d+)?\))?|->>?|<<|>>|\#\d+|\bNOT\ NULL\b)
    |(?P<word>\bIS\ NOT\ DISTINCT\ FROM\b|\bIS\ DISTINCT\ FROM\b|\bIS\ NOT\ NULL\b|\bIS\ NULL\b|\bNOT\ BETWEEN\b
        |\bNOT\ IN\b|\bNOT\ EXISTS\b|\bUNION\ ALL\b|\bLEFT\ JOIN\b|\bANTI\ JOIN\b|\bSEMI\ JOIN\b|\bDISTINCT\b
        |<=|>=|<>|<|>|=|(?<!\w)\d+(?:\.\d+)?(?!\w)|\b[A-Za-z_]\w*\b)
    """,
    re.VERBOSE,
)

_SWAPS = {
    "<=": ["<", ">"],
    ">=": [">", "<"],
    "<": ["<=", ">"],
    ">": [">=", "<"],
    "=": ["<>"],
    "<>": ["="],
    "IS NULL": ["IS NOT NULL"],
    "IS NOT NULL": ["IS NULL"],
    "IS DISTINCT FROM": ["IS NOT DISTINCT FROM", "<>"],
    "IS NOT DISTINCT FROM": ["IS DISTINCT FROM", "="],
    "NOT BETWEEN": ["BETWEEN"],
    "NOT IN": ["IN"],
    "NOT EXISTS": ["EXISTS"],
    "AND": ["OR"],
    "OR": ["AND"],
    "NOT": [""],
    "BETWEEN": ["NOT BETWEEN"],
    "UNION ALL": ["UNION"],
    "LEFT JOIN": ["JOIN"],
    "ANTI JOIN": ["SEMI JOIN"],
    "SEMI JOIN": ["ANTI JOIN"],
    "DISTINCT": [""],
    "min": ["max"],
    "max": ["min"],
    "arg_min": ["arg_max"],
    "arg_max": ["arg_min"],
    "least": ["greatest"],
    "greatest": ["least"],
    "lag": ["lead"],
    "true": ["false"],
    "false": ["true"],
    "DESC": ["ASC"],
}
"""What stands for a token; COALESCE, numbers and the bounds of BETWEEN have rules of their own."""

_CLAUSES = {"SET", "WHERE", "FROM", "ON", "WHEN", "HAVING", "SELECT", "USING", "VALUES"}


def draw_sql_mutants(room: str, count: int, random: Random) -> list[Mutant]:
    """``count`` changes of the room's SQL, or as many as there are."""
    found = list(sql_mutants(room))
    return random.sample(found, min(count, len(found)))


def sql_mutants(room: str) -> Iterator[Mutant]:
    """Every change of the room's SQL that is still SQL."""
    with duckdb.connect() as parser:
        for file in files_of(room, ".sql", ".py"):
            text = (TOP / file).read_text()
            for begin, sql in [(0, text)] if file.suffix == ".sql" else constants(text):
                # What is no statement by itself cannot be parsed before its change, either.
                is_whole = _is_sql(parser, sql)
                for place, old, new in changes(sql):
                    if not is_whole or _is_sql(parser, sql[:place] + new + sql[place + len(old) :]):
                        whole = text[: begin + place] + new + text[begin + place + len(old) :]
                        yield Mutant("SQL", file, *changed_lines(text, whole), whole)


def changes(sql: str) -> Iterator[tuple[int, str, str]]:
    """The changes of a text of SQL: a place, what stands there, and what is put there instead."""
    clause, between = "", False
    for token in _TOKEN.finditer(sql):
        word, place = token["word"], token.start()
        if word is None:
            continue
        clause = word if word in _CLAUSES else clause
        ends_between, between = (
            between and word == "AND",
            word in ("BETWEEN", "NOT BETWEEN") or (between and word != "AND"),
        )
        if word == "=" and clause == "SET":
            # It assigns.
            continue
        if ends_between:
            # The bounds, of which one is moved: neither is part of the range then.
            continue
        if word.lower() == "coalesce":
            yield from _without_coalesce(sql, place)
        elif word[0].isdigit():
            yield from ((place, word, changed) for changed in _other_numbers(word))
        else:
            yield from ((place, word, other) for other in _SWAPS.get(word, []))
        if word in ("BETWEEN", "NOT BETWEEN"):
            yield from _narrower(sql, token.end())


def _is_sql(parser: duckdb.DuckDBPyConnection, text: str) -> bool:
    try:
        return bool(parser.extract_statements(text))
    except duckdb.Error:
        return False


def _other_numbers(word: str) -> list[str]:
    return [str(float(word) * 1.5)] if "." in word else [str(int(word) + 1), str(int(word) - 1)][: 1 + (int(word) > 0)]


def _without_coalesce(sql: str, place: int) -> Iterator[tuple[int, str, str]]:
    """The call without what stands in for NULL: its first argument alone."""
    opening = sql.index("(", place)
    arguments, end = _arguments(sql, opening)
    if len(arguments) > 1:
        yield place, sql[place:end], f"({arguments[0].strip()})"


def _arguments(sql: str, opening: int) -> tuple[list[str], int]:
    """The arguments of the call whose parenthesis opens there, and the place behind it."""
    arguments, begin, depth = [], opening + 1, 0
    for place in range(opening, len(sql)):
        depth += (sql[place] == "(") - (sql[place] == ")")
        if depth == 0 or (depth == 1 and sql[place] == ","):
            arguments.append(sql[begin:place])
            begin = place + 1
            if depth == 0:
                return arguments, place + 1
    return [], opening


def _narrower(sql: str, behind: int) -> Iterator[tuple[int, str, str]]:
    """The range without its lower, or its upper bound: where both are parameters or names, which may be dates."""
    bounds = re.compile(r"\s+(\$?\w+)(\s+AND\s+)(\$?\w+)").match(sql, behind)
    column = re.compile(r"(\w[\w.]*)\s+(NOT )?BETWEEN$").search(sql, 0, behind)
    if bounds is None or column is None:
        return
    name, negated = column[1], "NOT " if column[2] else ""
    old = sql[column.start() : bounds.end()]
    for lower, upper in ((">", "<="), (">=", "<")):
        new = f"{negated}({name} {lower} {bounds[1]} AND {name} {upper} {bounds[3]})"
        yield column.start(), old, new


def constants(code: str) -> list[tuple[int, str]]:
    """The texts of SQL in a module as they stand in its file, and where each begins; none that is an f-string."""
    lines = [0]
    for line in code.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    pieces = []
    within = {id(part) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(ast.parse(code)):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)) or id(node) in within:
            continue
        begin = lines[node.lineno - 1] + node.col_offset
        end = lines[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        source = code[begin:end]
        quotes = '"""' if source.startswith('"""') else '"'
        if _SQL.match(node.value) and source == f"{quotes}{node.value}{quotes}":
            pieces.append((begin + len(quotes), node.value))
    return pieces
