"""Where on the paper each lead goes, in millimetres."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skagile.leads import plain_name, standard_lead

BOX = 5  # mm between the heavier lines of the grid
LEFT = 15.0  # mm before the leads, for the pulse
MARGIN = 5.0  # mm at the other edges
LEAST_ROW, MOST_ROW = 20.0, 60.0  # mm between the baselines of two rows: as on paper, traces may cross beyond that
_BELOW, _ABOVE = 10.0, 12.5  # mm that a row has at least
_MOST_WIDE = 5000.0  # mm
_LABEL = (8.0, 14.0, 4.0)  # mm: lowest place above the baseline, and its width and height
_COLUMNS = {
    "3x4": (("I", "II", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6")),
    "6x2": (("I", "II", "III", "aVR", "aVL", "aVF"), ("V1", "V2", "V3", "V4", "V5", "V6")),
}


@dataclass(frozen=True)
class Panel:
    """A stretch of one lead on the paper.

    Attributes
    ----------
    lead : int
        Row of the signal.
    row : int
        Row of the paper, from the top.
    start, stop : int
        Samples.
    left : float
        Where the first sample is, in mm from the left edge.
    """

    lead: int
    row: int
    start: int
    stop: int
    left: float


def label_of(name: str) -> str:
    """Name of a lead as it is written on paper: "avr" is aVR."""
    lead = standard_lead(name)
    if lead is None:
        return name.strip()
    return f"{'−' if lead.sign < 0 else ''}{'ML' if lead.modified else ''}{lead.name}"


def choose_layout(layout: str, names: Sequence[str] | None) -> str:
    """Replace "auto": the usual twelve leads go 3x4, others one below the other."""
    if layout != "auto":
        return layout
    have = {plain_name(name).removeprefix("-") for name in names or ()}
    return "3x4" if all(plain_name(name) in have for column in _COLUMNS["3x4"] for name in column) else "stacked"


def place_panels(
    layout: str, names: Sequence[str] | None, rhythm: Sequence[str], n_leads: int, span: tuple[int, int], per_mm: float
) -> list[Panel]:
    """Lay out leads, those of one column at the same time and one column after the other.

    Parameters
    ----------
    layout : {"3x4", "6x2", "stacked"}
        Rows and columns.
    names : sequence of str or None
        Name of each lead.
    rhythm : sequence of str
        Leads to go below, in full length.
    n_leads : int
        Number of leads.
    span : tuple of int
        First sample, and the one after the last.
    per_mm : float
        Samples to the millimetre.
    """
    start, stop = span
    if (stop - start) / per_mm > _MOST_WIDE:
        raise ValueError(
            f"{(stop - start) / per_mm / 1000:.3g} m of paper would be needed; at most {_MOST_WIDE / 1000:g} m are "
            "drawn. Set duration and start to a shorter stretch."
        )
    if layout == "stacked":
        columns = [list(range(n_leads))]
    else:
        columns = [[_find(name, names, f"layout={layout!r}") for name in column] for column in _COLUMNS[layout]]
    bounds = np.rint(np.linspace(start, stop, len(columns) + 1)).astype(int).tolist()
    panels = [
        Panel(lead, row, first, last, LEFT + (first - start) / per_mm)
        for column, first, last in zip(columns, bounds[:-1], bounds[1:], strict=True)
        for row, lead in enumerate(column)
    ]
    n_rows = len(columns[0])
    strips = [_find(name, names, "rhythm") for name in rhythm]
    return panels + [Panel(lead, n_rows + i, start, stop, LEFT) for i, lead in enumerate(strips)]


def place_label(values: np.ndarray, per_mm: float) -> float:
    """Say how far above the baseline a label keeps clear of its lead.

    Parameters
    ----------
    values : ndarray of shape (n_times,)
        Heights of the lead in mm.
    per_mm : float
        Samples to the millimetre.
    """
    lowest, width, height = _LABEL
    nearby = np.nanmax(values[: max(1, round(width * per_mm))], initial=lowest - 1)
    return float(min(nearby + 1, MOST_ROW - height))


def extents_of(
    panels: Sequence[Panel], values: Sequence[np.ndarray], labels: Sequence[float], gain: float
) -> np.ndarray:
    """Lowest and highest point of each row in mm from its baseline: of its pulse, its leads and their labels."""
    extents = np.tile([0.0, gain], (max(panel.row for panel in panels) + 1, 1))
    for panel, heights, label in zip(panels, values, labels, strict=True):
        low = np.nanmin(heights, initial=extents[panel.row, 0])
        high = np.nanmax(heights, initial=max(extents[panel.row, 1], label + _LABEL[2]))
        extents[panel.row] = low, high
    return extents


def place_rows(extents: np.ndarray, with_title: bool) -> tuple[np.ndarray, float]:
    """Baselines of the rows and height of the paper, in mm from the bottom.

    Parameters
    ----------
    extents : ndarray of shape (n_rows, 2)
        Lowest and highest point of each row, in mm from its baseline.
    with_title : bool
        Whether a line of text goes above.

    Returns
    -------
    baseline : ndarray of shape (n_rows,)
        On the heavier lines.
    height : float
        In mm, a multiple of 5.
    """
    below = np.clip(-extents[:, 0], _BELOW, MOST_ROW)
    above = np.clip(extents[:, 1], _ABOVE, MOST_ROW)
    steps = np.clip(_whole_boxes(below[:-1] + above[1:]), LEAST_ROW, MOST_ROW)
    bottom = _whole_boxes(below[-1:] + 2 * MARGIN)  # the line of text below
    baseline = bottom + np.append(np.cumsum(steps[::-1])[::-1], 0.0)
    return baseline, float(_whole_boxes(baseline[0] + above[0] + MARGIN * (2 if with_title else 1)))


def width_of(panels: Sequence[Panel], per_mm: float) -> float:
    """Width of the paper in mm, a multiple of 5."""
    return float(_whole_boxes(max(panel.left + (panel.stop - panel.start) / per_mm for panel in panels) + MARGIN))


def _whole_boxes(length):
    return np.ceil(np.round(length / BOX, 6)) * BOX


def _find(name, names, wanted_by):
    """Row of a lead, however its name is written."""
    rows = [row for row, written in enumerate(names or ()) if plain_name(written).lstrip("-") == plain_name(name)]
    if len(rows) == 1:
        return rows[0]
    way_out = "Give the names of all leads, or layout='stacked' and rhythm=None, which draw whatever is there."
    if rows:
        raise ValueError(
            f"{wanted_by} needs lead {name!r}, which is in lead_names {len(rows)} times, as "
            f"{[names[row] for row in rows]}; expected once. {way_out}"
        )
    raise ValueError(
        f"{wanted_by} needs lead {name!r}, and lead_names is {None if names is None else list(names)}. {way_out}"
    )
