"""Tables of texts, and the numbers in them."""

from __future__ import annotations

from dataclasses import replace

from veca_edge.numbers import counted
from veca_edge.tables import Table, milliseconds, number

TABLE = Table(("name", "ms"), (("a", "1.00"), ("longer", "100")), words=1)


def test_columns_line_up() -> None:
    assert TABLE.text() == "  name      ms\n  a       1.00\n  longer   100"
    assert replace(TABLE, columns=("", ""), title="Some").text() == "Some\n  a       1.00\n  longer   100"


def test_markdown_is_a_whole_table() -> None:
    assert TABLE.markdown() == "| name | ms |\n| --- | ---: |\n| a | 1.00 |\n| longer | 100 |"
    titled = replace(TABLE, title="Some", rows=(("a|b", "1"),)).markdown()
    assert titled == "Some:\n\n| name | ms |\n| --- | ---: |\n| a\\|b | 1 |"


def test_numbers_read_well() -> None:
    assert [milliseconds(value) for value in (1.234, 12.34, 123.4)] == ["1.23", "12.3", "123"]
    assert [number(None), number(0.5), number(50.0, ".1f", " %")] == ["-", "0.5000", "50.0 %"]
    assert [counted(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
