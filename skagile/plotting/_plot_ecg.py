"""A recording on electrocardiogram paper."""

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skagile.plotting import _paper
from skagile.plotting._layout import (
    choose_layout,
    extents_of,
    label_of,
    place_label,
    place_panels,
    place_rows,
    width_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MILLIVOLTS = {"mV": 1.0, "uV": 1e-3, "V": 1e3}
_MOST = 100.0  # mV between the 1st and the 99th percentile of a lead: no heart, whatever the electrode does
_POSITIVE = Interval(Real, 0, None, closed="neither")


@validate_params(
    {
        "sampling_rate": [_POSITIVE],
        "layout": [StrOptions({"auto", "3x4", "6x2", "stacked"})],
        "unit": [StrOptions(set(_MILLIVOLTS))],
        "speed": [_POSITIVE],
        "gain": [_POSITIVE],
        "start": [Interval(Real, 0, None, closed="left")],
        "duration": [_POSITIVE, None],
        "title": [str, None],
    },
    prefer_skip_nested_validation=True,
)
def plot_ecg(
    signal: ArrayLike,
    sampling_rate: float,
    *,
    lead_names: Sequence[str] | None = None,
    layout: str = "auto",
    rhythm: str | Sequence[str] | None = "auto",
    start: float = 0.0,
    duration: float | None = 10.0,
    unit: str = "mV",
    speed: float = 25.0,
    gain: float = 10.0,
    ax: "Axes | None" = None,
    title: str | None = None,
) -> "Axes":
    """Draw a recording on electrocardiogram paper, to true scale.

    Parameters
    ----------
    signal : array-like of shape (n_times,) or (n_leads, n_times)
        One lead or several of one recording. NaN leaves a gap.
    sampling_rate : float
        Samples per second.
    lead_names : sequence of str, default=None
        Name of each lead, however it is written: "avr" and "Lead aVR" are aVR. None leaves one lead without a name, and
        numbers several.
    layout : {"auto", "3x4", "6x2", "stacked"}, default="auto"
        "3x4" and "6x2" are the twelve leads in rows by columns, each column the next stretch of time, all leads of a
        column at the same time; leads beyond the twelve are left out. "stacked" is all leads one below the other, each
        in full length. "auto" is "3x4" where `lead_names` has the twelve leads, else "stacked".
    rhythm : str, sequence of str or None, default="auto"
        Leads that go below in full length. "auto" is lead II with layout "3x4", else none.
    start : float, default=0.0
        Second of the recording that the paper begins with.
    duration : float, default=10.0
        Seconds on the paper, or as many as there are. None draws all.
    unit : {"mV", "uV", "V"}, default="mV"
        Unit of `signal`.
    speed : float, default=25.0
        Millimetres per second; 50 is usual too.
    gain : float, default=10.0
        Millimetres per millivolt; 5 and 20 are usual too.
    ax : :class:`matplotlib.axes.Axes`, default=None
        What to draw on. The sheet is fitted into it, and proportions are true, but its size is not. None makes a new
        figure of the size of the sheet, which pyplot knows nothing of.
    title : str, default=None
        Line of text above.

    Returns
    -------
    :class:`matplotlib.axes.Axes`
        Its data are millimetres from the lower left corner. ``ax.figure.savefig("ecg.pdf")`` makes a file that prints
        to true scale at 100 %.

    Raises
    ------
    TypeError, ValueError
        For a `signal` of other dimensions or with infinity, another number of names than of leads, a lead that `layout`
        or `rhythm` needs and that is not there, a `start` beyond the end, more than 5 m of paper, and values beyond
        100 mV, which are of another unit.

    Notes
    -----
    The median of what is drawn of a lead is on its baseline, so that a constant offset does not matter. Nothing is
    filtered. Before each row is a pulse of 1 mV. Rows are as far apart as their traces need, between 20 and 60 mm.

    **What this does not guarantee.** It is a drawing for people who compare recordings, and no medical device. That a
    released recording looks real says nothing of whether it tells who it is of.

    Examples
    --------
    >>> from skagile.datasets import make_cohort
    >>> from skagile.plotting import plot_ecg
    >>> records = make_cohort(n_subjects=1, n_sessions=1, duration=10.0, random_state=0)
    >>> ax = plot_ecg(records.signals[0], records.sampling_rate, lead_names=records.leads[0])
    >>> ax.figure.get_size_inches() * 25.4  # 10 s are 250 mm
    array([270.,  45.])
    """
    millivolts, names = _check(signal, lead_names, unit)
    span = _span(millivolts.shape[1], sampling_rate, start, duration)
    layout = choose_layout(layout, names)
    per_mm = sampling_rate / speed
    panels = place_panels(layout, names, _rhythm(rhythm, layout), len(millivolts), span, per_mm)
    heights = [_heights(millivolts[panel.lead, panel.start : panel.stop], gain, panel.lead) for panel in panels]
    labels = [place_label(values, per_mm) for values in heights]
    baseline, height = place_rows(extents_of(panels, heights, labels, gain), title is not None)
    width = width_of(panels, per_mm)
    ax = _paper.new_axes(width, height) if ax is None else ax
    _paper.rule(ax, width, height)
    _paper.draw_pulses(ax, baseline, gain)
    for panel, values, above in zip(panels, heights, labels, strict=True):
        number = str(panel.lead + 1) if len(millivolts) > 1 else ""
        label = number if names is None else label_of(names[panel.lead])
        x = panel.left + np.arange(panel.stop - panel.start) / per_mm
        _paper.draw_trace(ax, x, baseline[panel.row] + values, label)
        gone = "" if np.isfinite(values).any() else "(no signal)"
        _paper.write_label(ax, panel.left, baseline[panel.row] + above, f"{label} {gone}".strip())
    first = panels[0].left
    _paper.draw_borders(ax, [(panel.left, baseline[panel.row]) for panel in panels if panel.left > first])
    _paper.write_edges(ax, height, (f"{speed:g} mm/s, {gain:g} mm/mV",), title)
    return ax


def _check(signal, lead_names, unit):
    """Signal in millivolts, (n_leads, n_times), and the names of its leads as far as they are given."""
    values = np.asarray(signal)
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(
            f"signal is of {values.dtype} and shape {values.shape}; expected real numbers of shape (n_times,) or "
            "(n_leads, n_times): one recording. Draw several one by one."
        )
    millivolts = np.atleast_2d(values).astype(np.float64) * _MILLIVOLTS[unit]
    if len(millivolts) > millivolts.shape[1]:
        raise ValueError(
            f"signal of shape {values.shape} has more leads than samples; expected (n_leads, n_times). Give signal.T."
        )
    if np.isinf(millivolts).any():
        raise ValueError("signal contains infinity; expected finite values, or NaN where there is a gap.")
    if lead_names is None:
        return millivolts, None
    if isinstance(lead_names, str) or not all(isinstance(name, str) for name in lead_names):
        raise TypeError(f"lead_names is {lead_names!r}; expected a sequence of texts, one a lead, such as ['I', 'II'].")
    if len(lead_names) != len(millivolts):
        raise ValueError(
            f"lead_names has {len(lead_names)} name(s) and signal of shape {values.shape} has {len(millivolts)} "
            "lead(s); expected one name a lead."
        )
    return millivolts, list(lead_names)


def _span(n_times, sampling_rate, start, duration):
    """First sample that is drawn, and the one after the last."""
    first = round(start * sampling_rate)
    if first >= n_times:
        raise ValueError(
            f"start is {start:g} s and the signal has {n_times / sampling_rate:g} s; expected a start before its end."
        )
    if duration is None:
        return first, n_times
    return first, min(n_times, first + max(1, round(duration * sampling_rate)))


def _rhythm(rhythm, layout):
    """Names of the leads below."""
    if rhythm == "auto":
        return ["II"] if layout == "3x4" else []
    names = [] if rhythm is None else [rhythm] if isinstance(rhythm, str) else list(rhythm)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"rhythm is {rhythm!r}; expected the name of a lead, several, 'auto' or None.")
    return names


def _heights(millivolts, gain, lead):
    """Millimetres above the baseline, which is at the median."""
    there = millivolts[np.isfinite(millivolts)]
    if not there.size:
        return np.full(len(millivolts), np.nan)
    low, high = np.percentile(there, [1, 99])
    if high - low > _MOST:
        raise ValueError(
            f"signal spans {high - low:.3g} mV in lead {lead}; no electrocardiogram does (at most {_MOST:g} mV are "
            "drawn). Say in which unit it is: unit='uV' for microvolts; digital values are divided by their gain first."
        )
    return gain * (millivolts - np.median(there))
