"""Changes to Python code: those of cosmic-ray, one at a place that is drawn."""

import ast
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.mutants.mutant import Mutant, changed_lines, files_of
from tests.support.places import TOP

Position = tuple[int, int]
"""A line, from 1, and a column, from 0."""


def draw_python_mutants(room: str, count: int, random: Random) -> list[Mutant]:
    """``count`` changes at different places of the room, or as many as there are places.

    Places are drawn first, and then one change for each: an operator can be replaced in a dozen ways, a number in two.
    """
    places = [(file, place) for file in files_of(room, ".py") for place in sorted(_places(file))]
    mutants: list[Mutant] = []
    for file, place in random.sample(places, len(places)):
        if len(mutants) == count:
            break
        operator, occurrence = random.choice(_places(file)[place])
        before = (TOP / file).read_text()
        after = _mutated(before, operator, occurrence)
        if after is not None and ast.dump(ast.parse(after)) != ast.dump(ast.parse(before)):
            mutants.append(Mutant("Python", file, *changed_lines(before, after), after))
    return mutants


def _mutated(code: str, operator: str, occurrence: int) -> str | None:
    """``code`` after the change; None if it is no Python any more, which no test is needed to see."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    changed: str | None = mutate_code(code, get_operator(operator)(), occurrence)
    try:
        ast.parse(changed or "")
    except SyntaxError:
        return None
    return changed


_KNOWN: dict[Path, dict[Position, list[tuple[str, int]]]] = {}


def _places(file: Path) -> dict[Position, list[tuple[str, int]]]:
    """By place in ``file``, the changes that can be made there: operators of cosmic-ray, and which of their turns."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    if file not in _KNOWN:
        code = (TOP / file).read_text()
        left_out, tree = _without_behaviour(code), get_ast(code)
        found: dict[Position, list[tuple[str, int]]] = defaultdict(list)
        for name in operator_names():
            operator_class = get_operator(name)
            if operator_class.arguments():
                continue
            operator = operator_class()
            starts = [start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)]
            for occurrence, start in enumerate(starts):
                if not any(first <= start <= last for first, last in left_out):
                    found[start].append((name, occurrence))
        _KNOWN[file] = dict(found)
    return _KNOWN[file]


def _without_behaviour(code: str) -> Sequence[tuple[Position, Position]]:
    """Where types stand, and whether a dataclass is frozen: mypy sees a change there, and no test need to."""
    nodes: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.FunctionDef(returns=returns):
                nodes.append(returns)
            case ast.arg(annotation=annotation) | ast.AnnAssign(annotation=annotation):
                nodes.append(annotation)
            case ast.ClassDef(decorator_list=decorators):
                nodes += [decorator for decorator in decorators if ast.unparse(decorator).startswith("dataclass(")]
            case _:
                pass
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0))
        for node in nodes
        if node is not None
    ]
