"""The table of `ss`, to the column: headers, widths and what stands in each.

Not done here: where the rows come from (`ss_rows.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tapstack.base.address import Endpoint, format_ipv4


@dataclass(frozen=True, slots=True)
class Row:
    """One socket."""

    netid: str
    state: str
    received: int
    """Recv-Q."""
    sent: int
    """Send-Q."""
    local: Endpoint
    remote: Endpoint
    timer: str = ""
    """What `-o` adds."""
    details: str = ""
    """What `-e`, `-m` and `-i` add."""


def render(
    rows: Sequence[Row],
    *,
    header: bool = True,
    netid: bool = True,
    state: bool = True,
    one_line: bool = False,
) -> list[str]:
    """Give the lines of the table; `netid` and `state` tell whether those columns are shown."""
    table = [_cells(row) for row in rows]
    titles = ("Netid", "State", "Recv-Q", "Send-Q", "Local Address", "Port", "Peer Address", "Port")
    widths = [
        max([len(cells[column]) for cells in table] + [len(title) * header])
        for column, title in enumerate(titles)
    ]
    shown = [netid, state]
    lines = [_join(titles, widths, shown) + "Process"] if header else []
    separator = " " if one_line else "\n\t "
    for row, cells in zip(rows, table, strict=True):
        line = _join(cells, widths, shown) + row.timer
        lines.append((f"{line}{separator}{row.details}" if row.details else line).rstrip())
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.netid,
        row.state,
        f"{row.received:<6}",
        f"{row.sent:<6}",
        format_ipv4(row.local.address),
        _port(row.local),
        format_ipv4(row.remote.address),
        _port(row.remote),
    )


def _port(endpoint: Endpoint) -> str:
    return str(endpoint.port) if endpoint.port else "*"


def _join(cells: Sequence[str], widths: Sequence[int], shown: Sequence[bool]) -> str:
    """Lay out cells: addresses to the right up to their colon, everything else to the left."""
    padded = [f"{cell:{width}}" for cell, width in zip(cells[:4], widths[:4], strict=True)]
    head = [cell for cell, show in zip(padded, (*shown, True, True), strict=True) if show]
    ends = [f"{cells[at]:>{widths[at]}}:{cells[at + 1]:{widths[at + 1]}}" for at in (4, 6)]
    return " ".join([*head, *ends])
