"""The picture of the figures: how each peer stands to the kernel, measure by measure, as SVG.

The scale is logarithmic, and turned so that farther right is always better.
"""

from collections.abc import Sequence
from html import escape
from math import log10

from bench.figures import Figure, number
from bench.trials import (
    CEILING,
    CEILING_PLAIN,
    CONNECTIONS,
    DATAGRAMS,
    KERNEL,
    PYTCP,
    RATE,
    TAPSTACK,
    TAPSTACK_PLAIN,
    TIMES,
)

MORE_IS_BETTER = {RATE, CONNECTIONS, DATAGRAMS}
COLOURS = {
    TAPSTACK: "#d6562b",
    TAPSTACK_PLAIN: "#efb195",
    CEILING: "#3b6ea5",
    CEILING_PLAIN: "#a9c4de",
    PYTCP: "#8a8a8a",
}
WIDTH, LEFT, RIGHT = 890, 300, 60
BAR, GAP, TOP = 11, 9, 70
LEAST, MOST = -4.0, 1.0
"""Powers of ten."""


def picture(figures: Sequence[Figure], caption: str) -> str:
    """Draw the figures that have a ratio, and are none themselves."""
    compared = [
        each
        for each in figures
        if each.peer != KERNEL and each.ratio_to_kernel and each.unit != TIMES
    ]
    parts, y = _legend(caption), float(TOP)
    for measure in dict.fromkeys(each.measure for each in compared):
        bars = [each for each in compared if each.measure == measure]
        middle = y + len(bars) * BAR / 2 + 4
        parts.append(_text(LEFT - 10, middle, measure, anchor="end"))
        for each in bars:
            parts += _bar(each, y)
            y += BAR
        y += GAP
    return "\n".join([*_frame(y), *parts, "</svg>", ""])


def advantage(figure: Figure) -> float:
    """Tell by what factor it is better than the kernel; below one, worse."""
    ratio = figure.ratio_to_kernel or 1.0
    return ratio if figure.unit in MORE_IS_BETTER else 1 / ratio


def _place(value: float) -> float:
    """Give the abscissa of a factor."""
    share = (min(max(log10(value), LEAST), MOST) - LEAST) / (MOST - LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _bar(figure: Figure, y: float) -> list[str]:
    value = advantage(figure)
    end, colour = _place(value), COLOURS[figure.peer]
    title = f"<title>{escape(figure.peer)}: {number(figure.median)} {escape(figure.unit)}</title>"
    rect = f'<rect x="{LEFT}" y="{y:.1f}" width="{end - LEFT:.1f}" height="{BAR - 2}" '
    return [
        f'{rect}fill="{colour}">{title}</rect>',
        _text(end + 4, y + BAR - 3, number(value), size=9),
    ]


def _legend(caption: str) -> list[str]:
    parts = [_text(LEFT, 18, "Beside the kernel over veth: 1 is as good, right is better", size=13)]
    parts.append(_text(LEFT, 34, caption, size=9))
    x = float(LEFT)
    for peer, colour in COLOURS.items():
        parts.append(f'<rect x="{x:.0f}" y="43" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, 52, peer))
        x += 34 + 6.4 * len(peer)
    return parts


def _frame(height: float) -> list[str]:
    box = f'viewBox="0 0 {WIDTH} {height + 24:.0f}" width="{WIDTH}" height="{height + 24:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif">'
    parts = [head, f'<rect width="{WIDTH}" height="{height + 24:.0f}" fill="white"/>']
    for power in range(int(LEAST), int(MOST) + 1):
        x = _place(10.0**power)
        stroke = "#555" if not power else "#ddd"
        line = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height:.0f}" '
        parts.append(f'{line}stroke="{stroke}"/>')
        parts.append(_text(x, height + 14, f"{10.0**power:g}", anchor="middle", size=9))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place}>{escape(text)}</text>"
