"""Draws weights over time as text, with the outliers in another color and sign.

Strategy: each character holds two by four dots of Braille, or one dot where the terminal has no UTF-8. The scale is
that of the weights that are not outliers, so pounds among kilograms do not flatten the rest: what is above or below it
is an arrow at the edge. rich leaves the colors out when the output is not a terminal, or NO_COLOR is set.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from .outliers import Weight

ROWS, NARROWEST, WIDEST = 8, 20, 100
#: The preview shows so many weigh-ins as rows, all of them.
FEW = 10
_LABEL = 6
#: The dots of a Braille character, by column and row.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


class Signs(NamedTuple):
    #: Dots in a character: across, down.
    across: int
    down: int
    outlier: str
    above: str
    below: str
    axis: str
    corner: str
    line: str


BRAILLE = Signs(2, 4, "×", "▲", "▼", "┤", "└", "─")
ASCII = Signs(1, 1, "x", "^", "v", "|", "+", "-")


def draw(console: Console, weights: Sequence[Weight], outliers: Collection[int]) -> Text | None:
    """The picture for this console, or nothing if there are too few weights. `outliers`: the numbers of their rows."""
    normal = [weight for weight in weights if weight.row not in outliers]
    if len(weights) <= FEW or not normal:
        return None
    start, end = min(w.at_s for w in weights), max(w.at_s for w in weights)
    signs = BRAILLE if console.encoding.startswith("utf") else ASCII
    width = min(console.width, WIDEST) - _LABEL - 2
    if width < NARROWEST or start == end:
        return None
    low, high = min(w.kg for w in normal), max(w.kg for w in normal)
    margin = max((high - low) * 0.05, 0.5)
    low, high = low - margin, high + margin
    dots: dict[tuple[int, int], int] = {}
    marks: dict[tuple[int, int], str] = {}
    columns, lines = width * signs.across, ROWS * signs.down
    for weight in weights:
        x = min(int((weight.at_s - start) / (end - start) * columns), columns - 1)
        y = max(0, min(int((high - weight.kg) / (high - low) * lines), lines - 1))
        cell = (y // signs.down, x // signs.across)
        if weight.row in outliers:
            marks[cell] = signs.above if weight.kg > high else signs.below if weight.kg < low else signs.outlier
        else:
            dots[cell] = dots.get(cell, 0) | _DOTS[x % signs.across][y % signs.down]
    text = Text()
    for row in range(ROWS):
        label = f"{high - (high - low) * (row + 0.5) / ROWS:{_LABEL}.1f}" if row in (0, ROWS - 1) else " " * _LABEL
        text.append(f"{label} {signs.axis}", style="dim")
        for column in range(width):
            cell = row, column
            if mark := marks.get(cell):
                text.append(mark, style="bold red")
            elif bits := dots.get(cell):
                text.append(chr(0x2800 + bits) if signs is BRAILLE else ".", style="green")
            else:
                text.append(" ")
        text.append("\n")
    text.append(f"{'kg':>{_LABEL}} {signs.corner}{signs.line * width}\n", style="dim")
    first, last = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in (start, end))
    text.append(f"{' ' * (_LABEL + 2)}{first}{last:>{width - len(first)}}", style="dim")
    return text
