"""How the package is shaped: counts lines and function lengths of `syncd/`, and fails where they pass the ceiling.

Run by hand and by CI as `python tests/shape.py`, and by `tests/test_shape.py`. A function's length is its lines
from `def` to its end, docstring included (decorators are not counted); nested functions count on their own too.
Exit 1 when the median is 10 or more, the 90th percentile 30 or more, or a file has more than 300 lines.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

PACKAGE = Path(__file__).parent.parent / "syncd"
MEDIAN_BELOW = 10
P90_BELOW = 30
FILE_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Function:
    """One function: where it is, and its lines with and without its docstring."""

    place: str
    lines: int
    bare: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What was measured: lines by module, and every function."""

    modules: dict[str, int]
    functions: list[Function]

    def report(self) -> str:
        """The numbers for a terminal, and what is above the ceiling."""
        longest = max(self.functions, key=lambda function: function.lines)
        return "\n".join(
            (
                f"{len(self.modules)} modules, {sum(self.modules.values())} lines, {len(self.functions)} functions",
                f"function lines: {_spread([f.lines for f in self.functions])}",
                f"  without docstrings: {_spread([f.bare for f in self.functions])}",
                f"  longest: {longest.place} {longest.lines}",
                *(f"ABOVE THE CEILING: {fault}" for fault in self.faults()),
            )
        )

    def faults(self) -> list[str]:
        """What is above the ceiling, one line each."""
        lengths = [function.lines for function in self.functions]
        found = [f"{name}: {n} lines (at most {FILE_LIMIT})" for name, n in self.modules.items() if n > FILE_LIMIT]
        if median(lengths) >= MEDIAN_BELOW:
            found.append(f"function median {median(lengths):g} (below {MEDIAN_BELOW})")
        if _p90(lengths) >= P90_BELOW:
            found.append(f"function p90 {_p90(lengths):g} (below {P90_BELOW})")
        return found


def measure(package: Path = PACKAGE) -> Shape:
    """Measure every module under a folder."""
    modules: dict[str, int] = {}
    functions: list[Function] = []
    for path in sorted(package.rglob("*.py")):
        name, text = str(path.relative_to(package.parent)), path.read_text(encoding="utf-8")
        modules[name] = len(text.splitlines())
        functions.extend(_functions(name, ast.parse(text)))
    return Shape(modules, functions)


def _functions(module: str, tree: ast.Module) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = _lines(node)
            doc = _lines(node.body[0]) if ast.get_docstring(node) else 0
            yield Function(f"{module}:{node.lineno} {node.name}", lines, lines - doc)


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _spread(lengths: list[int]) -> str:
    return f"median {median(lengths):g}, p90 {_p90(lengths):g}, longest {max(lengths)}"


def _p90(lengths: list[int]) -> float:
    return quantiles(lengths, n=10, method="inclusive")[-1]


if __name__ == "__main__":
    shape = measure()
    sys.stdout.write(shape.report() + "\n")
    sys.exit(bool(shape.faults()))
