"""docs/scenarios.md is what `make scenarios` would write: some cells are run again."""

import re

import pytest

from bench.scenarios import BUFFERS, CELLS, DOCUMENT, LOSSES, ROUND_TRIPS, Cell, measure, numbers

pytestmark = pytest.mark.slow

QUICK = [
    Cell("reno", 200, 0.3, 1.0),
    Cell("cubic", 200, 0.3, 0.25),
    Cell("cubic", 10, 0.01, 1.0),
    Cell("reno", 10, 0.0, 0.25),
]
"""Cells that take two seconds at most: a link that is idle mostly, one in full use, an overflow."""


def line_of(cell: Cell) -> list[str]:
    """Find the columns behind the theory's in a cell's line."""
    text = DOCUMENT.read_text(encoding="utf-8")
    tables = text.split("\n## NewReno\n")[1].split("\n## CUBIC\n")
    table = tables[cell.algorithm == "cubic"]
    start = re.escape(f"| {cell.round_trip} | {cell.loss * 100:g} % |")
    (line,) = re.findall(f"^{start}(.*)\\|$", table, re.MULTILINE)
    return [column.strip() for column in line.split("|")][2:]


@pytest.mark.parametrize("cell", QUICK, ids=str)
def test_a_cell_is_the_same_to_the_last_digit(cell: Cell) -> None:
    """If it is not, and should not be: run `make scenarios`, and see what becomes of the rest."""
    start = 3 * BUFFERS.index(cell.buffer)
    found = line_of(cell)[start : start + 3]
    assert numbers(cell, measure(cell)).split(" | ") == found


def test_the_table_is_complete() -> None:
    assert len(CELLS) == 2 * len(ROUND_TRIPS) * len(LOSSES) * len(BUFFERS)
    for cell in CELLS:
        assert len(line_of(cell)) == 3 * len(BUFFERS)
