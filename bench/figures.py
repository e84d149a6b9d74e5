"""Figures: what the samples of all rounds come to, and how they are written down.

A ratio is taken within each round and is the median of those: the machine drifts from round to
round, and the peers of one round drift together.
"""

import json
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from bench.trials import KERNEL, PEERS

Round = int


class Figure(NamedTuple):
    """One measure of one peer."""

    measure: str
    peer: str
    median: float
    min: float
    max: float
    unit: str
    ratio_to_kernel: float | None
    """None where the kernel has none to compare with."""


class Samples:
    """What was measured so far."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], dict[Round, float]] = {}
        self._units: dict[str, str] = {}
        """By measure, in the order in which they first came."""

    def add(self, measure: str, unit: str, peer: str, in_round: Round, value: float) -> None:
        """Note a value; another one of the same round takes its place."""
        self._units.setdefault(measure, unit)
        self._values.setdefault((measure, peer), {})[in_round] = value

    def figures(self) -> list[Figure]:
        """Give everything, measure by measure, the peers in their order."""
        return [
            self._figure(measure, peer, self._values[measure, peer])
            for measure in self._units
            for peer in PEERS
            if (measure, peer) in self._values
        ]

    def _figure(self, measure: str, peer: str, values: dict[Round, float]) -> Figure:
        kernel = self._values.get((measure, KERNEL), {})
        ratios = [value / kernel[at] for at, value in values.items() if kernel.get(at)]
        return Figure(
            measure,
            peer,
            median(values.values()),
            min(values.values()),
            max(values.values()),
            self._units[measure],
            median(ratios) if ratios else None,
        )


def to_json(figures: Iterable[Figure]) -> str:
    """Write figures down for programs: a list of objects, four digits that mean something."""
    objects = [
        {key: _rounded(value) for key, value in figure._asdict().items()} for figure in figures
    ]
    return json.dumps(objects, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Figure]:
    """Read them back."""
    return [Figure(**each) for each in json.loads(text)]


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def number(value: float) -> str:
    """Write a value for people: three digits, and thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}" if value >= 0.01 or not value else f"{value:.1g}"


def screen_table(figures: Sequence[Figure]) -> str:
    """Write the whole table for a terminal: a measure, and below it its peers."""
    lines = [f"{'':<24}{'median':>10} {'min':>10} {'max':>10}   of the kernel's"]
    shown = ""
    for each in figures:
        if each.measure != shown:
            lines += ["", f"{each.measure}, {each.unit}"]
            shown = each.measure
        spread = f"{number(each.min):>10} {number(each.max):>10}"
        ratio = "" if each.ratio_to_kernel is None else f"{number(each.ratio_to_kernel):>8}"
        lines.append(f"  {each.peer:<22}{number(each.median):>10} {spread} {ratio}".rstrip())
    return "\n".join(lines)


def document_table(figures: Sequence[Figure]) -> str:
    """Write the table for the document: a row a measure, a column a peer."""
    peers = [peer for peer in PEERS if any(each.peer == peer for each in figures)]
    rows = ["| | " + " | ".join(peers) + " |", "|---|" + "---|" * len(peers)]
    cells = {(each.measure, each.peer): _cell(each) for each in figures}
    for measure, unit in {each.measure: each.unit for each in figures}.items():
        row = " | ".join(cells.get((measure, peer), "") for peer in peers)
        rows.append(f"| {measure}, {unit} | {row} |")
    return "\n".join(rows)


def _cell(figure: Figure) -> str:
    spread = f"{number(figure.min)}–{number(figure.max)}"
    cell = (
        number(figure.median) if figure.min == figure.max else f"{number(figure.median)} ({spread})"
    )
    if figure.peer == KERNEL or figure.ratio_to_kernel is None:
        return cell
    return f"**{number(figure.ratio_to_kernel)}** · {cell}"


def replace_between(document: str, begin: str, end: str, text: str) -> str:
    """Put a text between two markers, each a line of its own. Raises: ValueError without them."""
    before, found, rest = document.partition(f"{begin}\n")
    _, closed, after = rest.partition(f"{end}\n")
    if not (found and closed):
        raise ValueError(f"no lines {begin} and {end}")
    return f"{before}{begin}\n{text}\n{end}\n{after}"
