"""Paper of millimetres, and what is printed on it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from skagile.plotting._layout import BOX, LEFT, MARGIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MM_PER_INCH = 25.4
_PIXELS_PER_MM = 6  # a whole number: lines of the grid are then alike on a screen
_FINE, _HEAVY, _INK = "#f7d4d4", "#eda9a9", "#151515"
_PULSE = 5.0  # mm: width of the calibration pulse
_FONT = 9.0  # points: 3.2 mm


def new_axes(width: float, height: float) -> "Axes":
    """Axes that are a sheet of this size in mm; its figure is not one of pyplot's."""
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(width / MM_PER_INCH, height / MM_PER_INCH), dpi=_PIXELS_PER_MM * MM_PER_INCH, layout="none"
    )
    return figure.add_axes((0.0, 0.0, 1.0, 1.0))


def rule(ax: "Axes", width: float, height: float) -> None:
    """Make axes a sheet: data are millimetres, with the grid below all else."""
    from matplotlib.collections import LineCollection

    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.axis("off")
    lines = {False: [], True: []}
    for place in range(round(width) + 1):
        lines[place % BOX == 0].append([(place, 0), (place, height)])
    for place in range(round(height) + 1):
        lines[place % BOX == 0].append([(0, place), (width, place)])
    for heavy, segments in lines.items():
        ax.add_collection(
            LineCollection(
                segments,
                colors=_HEAVY if heavy else _FINE,
                linewidths=0.7 if heavy else 0.4,
                zorder=0.6 if heavy else 0.5,
                label="_5 mm" if heavy else "_1 mm",
            ),
            autolim=False,
        )


def draw_trace(ax: "Axes", x: np.ndarray, y: np.ndarray, label: str) -> None:
    """Draw a stretch of a lead."""
    ax.plot(x, y, color=_INK, linewidth=0.8, solid_joinstyle="round", label=f"_{label}", zorder=2)


def write_label(ax: "Axes", left: float, bottom: float, text: str) -> None:
    """Write the name of a lead, on a ground of its own; a trace that crosses it is on top."""
    from matplotlib.patheffects import withStroke

    ax.text(
        left + 1.0,
        bottom,
        text,
        fontsize=_FONT,
        fontweight="bold",
        color=_INK,
        va="bottom",
        zorder=1.5,
        clip_on=True,
        path_effects=[withStroke(linewidth=2, foreground="white")],
        parse_math=False,
    )


def draw_pulses(ax: "Axes", baselines: Iterable[float], gain: float) -> None:
    """Draw 1 mV before each row."""
    for baseline in baselines:
        right = LEFT - BOX
        x = np.array([-2.0, 0, 0, _PULSE, _PULSE, _PULSE + 2.0]) + right - _PULSE
        y = baseline + gain * np.array([0.0, 0, 1, 1, 0, 0])
        ax.plot(x, y, color=_INK, linewidth=0.8, label="_1 mV", solid_joinstyle="miter", zorder=2)


def draw_borders(ax: "Axes", places: Iterable[tuple[float, float]]) -> None:
    """Mark where one lead ends and the next begins."""
    for x, baseline in places:
        ax.plot([x, x], [baseline - 2.5, baseline + 2.5], color=_INK, linewidth=0.8, label="_border", zorder=2)


def write_edges(ax: "Axes", height: float, caption: Sequence[str], title: str | None) -> None:
    """Write the scale below and the title above."""
    style = {"fontsize": _FONT, "color": _INK, "zorder": 3, "clip_on": True, "parse_math": False}
    ax.text(MARGIN, MARGIN / 2, "   ".join(caption), va="bottom", **style)
    if title is not None:
        ax.text(MARGIN, height - MARGIN / 2, title, va="top", **style)
