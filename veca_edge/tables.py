"""Tables of texts, for a terminal or for a README."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table, perhaps with a heading.

    Attributes:
        columns: names; all empty for a list of names and values.
        rows: texts, as many in each as columns.
        title: the heading, "" for none.
        words: how many columns from the left hold words, which are aligned left.

    Example:
        >>> print(Table(("name", "ms"), (("a", "1.00"), ("longer", "100")), words=1).text())
          name      ms
          a       1.00
          longer   100
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    words: int = 0

    def text(self) -> str:
        """The title, then columns padded to one width, indented by two spaces and two spaces apart."""
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The lines of `text`."""
        if self.title:
            yield self.title
        named = [self.columns] if any(self.columns) else []
        widths = [max(map(len, cells)) for cells in zip(*named, *self.rows, strict=True)]
        for line in (*named, *self.rows):
            left = map(str.ljust, line[: self.words], widths)
            right = map(str.rjust, line[self.words :], widths[self.words :])
            yield ("  " + "  ".join((*left, *right))).rstrip()

    def markdown(self) -> str:
        """A GitHub table under its title."""
        rule = ["---" if i < self.words else "---:" for i in range(len(self.columns))]
        lines = [self.columns, rule, *self.rows]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return f"{self.title}:\n\n{table}" if self.title else table


def number(value: float | None, form: str = ".4f", unit: str = "") -> str:
    """A number as text with its unit, such as "67.0 %"; "-" for None.

    Args:
        form: as in an f-string.
    """
    return "-" if value is None else f"{value:{form}}{unit}"


def milliseconds(value: float) -> str:
    """Milliseconds as text. Three figures are what a timing is worth; below 10 two decimals, above 100 none."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
