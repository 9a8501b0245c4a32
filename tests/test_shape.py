"""The package keeps its shape: short functions, short files."""

from pathlib import Path

from tests.shape import measure


def test_functions_and_files_are_below_their_ceilings() -> None:
    shape = measure()
    assert not shape.faults(), shape.report()


def test_a_long_file_and_long_functions_are_named(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "long.py").write_text("def f():\n" + "    x = 1\n" * 300 + "\n\ndef g():\n" + "    x = 1\n" * 40)
    assert measure(package).faults() == [
        "pkg/long.py: 344 lines (at most 300)",
        "function median 171 (below 10)",
        "function p90 275 (below 30)",
    ]


def test_lengths_are_counted_with_and_without_the_docstring(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text('@deco\ndef f():\n    """One.\n\n    More.\n    """\n    return 1\n')
    (function,) = measure(tmp_path).functions
    assert (function.lines, function.bare) == (6, 2)
