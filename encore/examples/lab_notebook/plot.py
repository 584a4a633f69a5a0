"""A curve on a canvas: axes, ticks, and the measurement of one sample."""

from __future__ import annotations

import math
import tkinter as tk
from collections.abc import Callable
from typing import Any

from encore.errors import KeyNotFoundError
from encore.examples.lab_notebook.document import Document
from encore.examples.lab_notebook.look import ACCENT, FAINT, INK, PAPER, SMALL
from encore.examples.lab_notebook.loop import Loop
from encore.storage.events import StoreSetEvent, StoreUpdateEvent

_LEFT, _TOP, _RIGHT, _BOTTOM = 62, 18, 18, 46  # pixels around the axes
_TICKS = 6

Place = Callable[[float, float], tuple[float, float]]


class Plot(tk.Canvas):
    """The measurement of the sample that is selected.

    Parameters
    ----------
    parent : tkinter widget
    document : Document
    loop : Loop
    """

    def __init__(self, parent: tk.Misc, document: Document, loop: Loop) -> None:
        super().__init__(parent, background=PAPER, highlightthickness=0, width=420, height=260)
        self._document = document
        self._name: str | None = None
        self._is_waiting = False
        self.bind("<Configure>", lambda event: self._draw_soon())
        samples = document.samples
        for kind in (StoreSetEvent, StoreUpdateEvent):
            samples.event_manager.connect(
                kind, self._changed, filter={"source": samples}, dispatch=loop
            )

    def show(self, name: str | None) -> None:
        """Show another sample, or none."""
        self._name = name
        self._draw_soon()

    def _changed(self, event: StoreUpdateEvent) -> None:
        if event.key == self._name:
            self._draw_soon()

    def _draw_soon(self) -> None:
        # Several reasons to draw within one turn of the loop are one drawing.
        if not self._is_waiting:
            self._is_waiting = True
            self.after_idle(self._draw)

    def _draw(self) -> None:
        self._is_waiting = False
        self.delete("all")
        if self._name is None:
            self._say("Select a sample")
            return
        try:
            titles, points = self._document.curve(self._name)
        except KeyNotFoundError:  # gone; the table will select another
            return
        if len(points) < 2:
            self._say("No measurement")
            return
        xs, ys = ticks([x for x, _ in points]), ticks([y for _, y in points])
        place = self._scale(xs, ys)
        self._draw_axes(xs, ys, titles, place)
        line = [number for x, y in points for number in place(x, y)]
        self.create_line(line, fill=ACCENT, width=2, joinstyle="round", tags="curve")

    def _say(self, text: str) -> None:
        self.create_text(
            self.winfo_width() / 2, self.winfo_height() / 2, text=text, fill=FAINT, font=SMALL
        )

    def _scale(self, xs: list[float], ys: list[float]) -> Place:
        width = self.winfo_width() - _LEFT - _RIGHT
        height = self.winfo_height() - _TOP - _BOTTOM

        def place(x: float, y: float) -> tuple[float, float]:
            across = (x - xs[0]) / (xs[-1] - xs[0])
            up = (y - ys[0]) / (ys[-1] - ys[0])
            return _LEFT + across * width, _TOP + (1 - up) * height

        return place

    def _draw_axes(
        self, xs: list[float], ys: list[float], titles: tuple[str, str], place: Place
    ) -> None:
        left, bottom = place(xs[0], ys[0])
        right, top = place(xs[-1], ys[-1])
        style: dict[str, Any] = {"fill": INK, "font": SMALL}
        for x in xs:
            across, _ = place(x, ys[0])
            self.create_line(across, top, across, bottom, fill=FAINT, dash=(1, 3))
            self.create_text(across, bottom + 6, text=f"{x:g}", anchor="n", **style)
        for y in ys:
            _, up = place(xs[0], y)
            self.create_line(left, up, right, up, fill=FAINT, dash=(1, 3))
            self.create_text(left - 6, up, text=f"{y:g}", anchor="e", **style)
        self.create_line([left, top, left, bottom, right, bottom], fill=INK)
        self.create_text((left + right) / 2, bottom + 32, text=titles[0], **style)
        self.create_text(12, (top + bottom) / 2, text=titles[1], angle=90, **style)


def ticks(numbers: list[float]) -> list[float]:
    """Round numbers at equal distances, from at most the least of ``numbers`` to the greatest.

    Steps are 1, 2 or 5 times a power of ten: P. S. Heckbert, "Nice numbers for graph labels",
    Graphics Gems, 1990.
    """
    low, high = min(numbers), max(numbers)
    if low == high:
        low, high = low - 1, high + 1
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 5, 10) if nice * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, last + 1)]
