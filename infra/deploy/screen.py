"""What a person reads: tables, one line that changes in place, a question."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from deploy.refusal import Refusal

COLUMNS_MIN = 60
CELL_MAX = 72
BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"


@dataclass
class Screen:
    """Where it is written. Color and the changing line only on a terminal."""

    out: TextIO = sys.stdout
    live: bool = False

    @classmethod
    def of_terminal(cls) -> Screen:
        """Standard output."""
        return cls(sys.stdout, sys.stdout.isatty())

    @property
    def columns(self) -> int:
        """The width that may be used."""
        return max(COLUMNS_MIN, shutil.get_terminal_size((120, 24)).columns) if self.live else 160

    def paint(self, text: str, *codes: str) -> str:
        """`text` in a color, on a terminal."""
        return f"\033[{';'.join(codes)}m{text}\033[0m" if self.live and codes else text

    def line(self, text: str = "") -> None:
        """A line that stays."""
        self.clear()
        print(text, file=self.out, flush=True)

    def heading(self, text: str) -> None:
        """A line that begins a part."""
        self.line()
        self.line(self.paint(text, BOLD))

    def note(self, text: str) -> None:
        """A line that matters less."""
        self.line(self.paint(f"  {text}", DIM))

    def warn(self, text: str) -> None:
        """A line that should not be missed."""
        self.line(self.paint(f"  {text}", YELLOW))

    def update(self, text: str) -> None:
        """The line at the bottom, overwritten by the next; nothing where output is no terminal."""
        if self.live:
            self.out.write(f"\r\033[2K{text[: self.columns - 1]}")
            self.out.flush()

    def clear(self) -> None:
        """Take the changing line away."""
        if self.live:
            self.out.write("\r\033[2K")

    def pairs(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names with their values."""
        width = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            self.line(f"  {self.paint(name.ljust(width), DIM)}  {value}")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> None:
        """Columns under a header. The widest cells are shortened where the terminal is too narrow."""
        if not rows:
            return
        cells = [[*map(str, header)], *([*map(str, row)] for row in rows)]
        widths = fitted([max(len(row[i]) for row in cells) for i in range(len(header))], self.columns - 2)
        for number, row in enumerate(cells):
            shown = [shortened(cell, width) for cell, width in zip(row, widths, strict=True)]
            padded = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(shown, widths, strict=True))]
            text = "  " + "  ".join(padded).rstrip()
            self.line(self.paint(text, DIM) if number == 0 else text)

    def confirm(self, question: str, expected: str) -> None:
        """Go on only if the very answer is given. Raises Refusal."""
        self.clear()
        if not sys.stdin.isatty():
            raise Refusal("nobody can be asked here: YES=1 goes on without a question")
        try:
            answer = input(f"\n{self.paint(question, BOLD)} ").strip()
        except (EOFError, KeyboardInterrupt):
            answer = ""
        if answer != expected:
            raise Refusal("not confirmed: nothing was changed")


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` columns."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def fitted(widths: list[int], columns: int) -> list[int]:
    """Widths that fit in `columns` with two blanks between them: the widest give first."""
    widths = list(widths)
    for _ in range(sum(widths)):
        if sum(widths) + 2 * (len(widths) - 1) <= columns:
            break
        widest = widths.index(max(widths))
        if widths[widest] <= 8:
            break
        widths[widest] -= 1
    return widths


def size(count: int) -> str:
    """Bytes as people read them."""
    if count < 10_000:
        return f"{count:,} B"
    if count < 10_000_000:
        return f"{count / 1000:,.0f} kB"
    return f"{count / 1_000_000:,.1f} MB"


def duration(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
