"""What CONFORMANCE.md claims: nothing is left out, and each test it names exists."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.tcp.test_state_segment_grid import GRID

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONFORMANCE.md").read_text()
HEADER = "| id | requirement | status | shown by | note |"
STATUSES = {"yes", "as Linux", "deliberate", "no"}
SHOWN = {"yes", "as Linux"}
"""What must be shown by a test."""
NOTHING = "—"
NODE_ID = re.compile(r"`([^`]+)`")

APPENDIX_B = [
    f"{level}-{number}"
    for level, count in (("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1))
    for number in range(1, count + 1)
]
"""The ids of RFC 9293, Appendix B."""


class Row(NamedTuple):
    id: str
    requirement: str
    status: str
    shown_by: str
    note: str


def read_rows(text: str) -> list[Row]:
    """Read the rows of every table of requirements. Raises: ValueError for one out of shape."""
    rows, reading = [], False
    for line in text.splitlines():
        if line == HEADER:
            reading = True
        elif not line.startswith("|"):
            reading = False
        elif reading and not line.startswith("|---"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) != len(Row._fields):
                raise ValueError(line)
            rows.append(Row(*cells))
    return rows


ROWS = read_rows(TEXT)


@cache
def names_of_tests(path: Path) -> frozenset[str]:
    """Name the test functions of a file as pytest does, without importing it."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = [each for each in inner if isinstance(each, ast.FunctionDef)]
        found |= {prefix + each.name for each in functions if each.name.startswith("test_")}
    return frozenset(found)


def faults_of(row: Row) -> list[str]:
    """List what is wrong with a row."""
    faults = []
    if not row.requirement:
        faults.append("no requirement")
    if row.status not in STATUSES:
        faults.append(f"unknown status {row.status!r}")
    if row.status != "yes" and not row.note:
        faults.append("no reason")
    named = NODE_ID.findall(row.shown_by)
    if "<br>".join(f"`{name}`" for name in named) != row.shown_by.replace(NOTHING, ""):
        faults.append(f"unreadable: {row.shown_by}")
    if not named and (row.status in SHOWN or row.shown_by != NOTHING):
        faults.append("no test")
    for name in named:
        path, _, test = name.partition("::")
        if not (ROOT / path).is_file() or test not in names_of_tests(ROOT / path):
            faults.append(f"no such test: {name}")
    return faults


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_a_row_is_sound(row: Row) -> None:
    assert faults_of(row) == []


def test_every_requirement_of_rfc_9293_has_one_row() -> None:
    section = TEXT.split("\n## RFC 9293", 1)[1].split("\n## ", 1)[0]
    assert [row.id for row in read_rows(section)] == APPENDIX_B
    assert len(APPENDIX_B) == 119


def test_every_id_is_given_once() -> None:
    assert [name for name, count in Counter(row.id for row in ROWS).items() if count > 1] == []


SHORT = {
    "SYN_RECEIVED": "SR",
    "ESTABLISHED": "EST",
    "FIN_WAIT_1": "FW1",
    "FIN_WAIT_2": "FW2",
    "CLOSE_WAIT": "CW",
    "LAST_ACK": "LA",
    "TIME_WAIT": "TW",
}


def shorten(cell: str) -> str:
    for name, short in SHORT.items():
        cell = cell.replace(name, short)
    return cell


def test_the_grid_of_states_and_segments_is_the_one_that_is_tested() -> None:
    rows = [f"| {name} | {' | '.join(row.split())} |" for name, row in GRID.items()]
    columns = "CLOSED | LISTEN | SYN-SENT | SR p | SR a | EST | FW1 | FW2 | CLOSING | CW | LA | TW"
    head = [f"| segment | {columns} |", "|---" * 13 + "|"]
    assert "\n".join([*head, *map(shorten, rows)]) in TEXT


HERE = "`tests/test_conformance.py::test_every_id_is_given_once`"


@pytest.mark.parametrize(
    ("row", "faults"),
    [
        (Row("X", "r", "yes", HERE, ""), 0),
        (Row("X", "r", "yes", f"{HERE}<br>{HERE}", ""), 0),
        (Row("X", "r", "no", "—", "why"), 0),
        (Row("X", "", "yes", HERE, ""), 1),
        (Row("X", "r", "maybe", HERE, "why"), 1),
        (Row("X", "r", "yes", "—", ""), 1),
        (Row("X", "r", "as Linux", "—", "why"), 1),
        (Row("X", "r", "no", "", "why"), 1),
        (Row("X", "r", "no", "—", ""), 1),
        (Row("X", "r", "deliberate", HERE, ""), 1),
        (Row("X", "r", "yes", f"{HERE} and more", ""), 1),
        (Row("X", "r", "yes", "`tests/test_conformance.py::test_that_is_not`", ""), 1),
        (Row("X", "r", "yes", "`tests/test_that_is_not.py::test_x`", ""), 1),
        (Row("X", "r", "yes", "`tests/test_conformance.py::faults_of`", ""), 1),
    ],
)
def test_a_fault_is_found(row: Row, faults: int) -> None:
    assert len(faults_of(row)) == faults


def test_a_row_out_of_shape_is_found() -> None:
    with pytest.raises(ValueError, match="too few"):
        read_rows(f"{HEADER}\n|---|\n| X | too few | yes |")
