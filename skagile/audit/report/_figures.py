"""Pictures of the report as inline SVG that follows the colours of the page.

Each function takes what it draws, as the report holds it, and `words`, the same for those who do not see it, and gives
an ``<svg>`` element as Markup. A `sampling_rate` of None draws against samples; a floor of None is not drawn.
"""

import io
import re
import warnings

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from skagile.audit.report._words import visible

# matplotlib draws in colours that occur nowhere else; the page turns them into its own, light or dark.
_COLOURS = {
    "ink": "#010203",
    "faint": "#040506",
    "single": "#070809",
    "fused": "#0a0b0c",
    "floor": "#0d0e0f",
    "original": "#101112",
    "released": "#131415",
}
_SIZE = 8


def bars(attacks, floors, words):
    """Draw per attacker of one knowledge a bar for single and one for all beats, with the floors of both."""
    figure, axes = _figure(3.7, 0.75 + 0.62 * len(attacks))
    for i, attack in enumerate(attacks):
        for offset, key, colour, beats_in_words, floor in (
            (-0.2, "rank1", "single", "one", floors[0]),
            (0.2, "fused_rank1", "fused", "all", floors[1]),
        ):
            if attack.get(key) is None:
                continue
            y, value = i + offset, 100 * attack[key]
            axes.barh(y, value, height=0.34, color=_COLOURS[colour])
            _whisker(axes, attack, key, y, 0.08)
            if floor is not None:
                floor_at = [100 * floor] * 2
                axes.plot(floor_at, [y - 0.2, y + 0.2], color=_COLOURS["floor"], linewidth=2.2, solid_capstyle="butt")
            axes.text(103, y, f"{value:.1f} {beats_in_words}", va="center", color=_COLOURS["ink"], fontsize=_SIZE)
    _rows(axes, [attack["attacker"] for attack in attacks])
    _percent_axis(axes.xaxis)
    axes.set_xlabel("named right (%)", fontsize=_SIZE, color=_COLOURS["ink"])
    return _svg(figure, "bars" + repr(attacks[0]["knowledge"]), words)


def fusion(attacks, worst, floors, words):
    """Draw re-identification against the number of beats put together; the worst attacker bold, others thin."""
    figure, axes = _figure(3.7, 2.4)
    labels = sorted({point["n_beats"] for attack in attacks for point in attack["fusion"]}, key=by_size)
    for attack in sorted(attacks, key=lambda attack: attack is worst):
        points = [point for point in attack["fusion"] if point["rank1"] is not None]
        x = [labels.index(point["n_beats"]) for point in points]
        y = [100 * point["rank1"] for point in points]
        if attack is not worst:
            axes.plot(x, y, color=_COLOURS["original"], linewidth=0.8)
            continue
        axes.plot(x, y, color=_COLOURS["fused"], linewidth=2.2, marker="o", markersize=4)
        for i, point in zip(x, points, strict=True):
            if point["rank1_low"] is not None and point["rank1_high"] is not None:
                axes.plot([i, i], [100 * point["rank1_low"], 100 * point["rank1_high"]], color=_COLOURS["ink"], lw=1.2)
    for at, floor in ((0, floors[0]), (len(labels) - 1, floors[1])):
        if floor is not None:
            axes.plot([at - 0.25, at + 0.25], [100 * floor] * 2, color=_COLOURS["floor"], linewidth=2.2)
    axes.set_xticks(range(len(labels)), [str(label) for label in labels])
    axes.set_xlim(-0.4, len(labels) - 0.6)
    _percent_axis(axes.yaxis)
    axes.set_ylim(-2, 103)
    _label(axes, "beats of a person put together", "named right (%)")
    return _svg(figure, "fusion" + repr(worst["knowledge"]), words)


def by_size(n_beats):
    """Key that sorts numbers of beats, "all" last."""
    return np.inf if n_beats == "all" else n_beats


def gallery(curve, words):
    """Draw re-identification against the number of people to choose from, measured and extrapolated."""
    figure, axes = _figure(4.6, 2.6)
    measured, beyond = curve["measured"], curve["extrapolated"]
    for points, style, opacity in ((measured, "-", 0.3), ([measured[-1], *beyond] if beyond else [], "--", 0.15)):
        if points:
            n, value, low, high = (np.array([point[key] for point in points]) for key in ("n", "rank1", "low", "high"))
            axes.fill_between(n, 100 * low, 100 * high, color=_COLOURS["single"], alpha=opacity, linewidth=0)
            axes.plot(n, 100 * value, color=_COLOURS["single"], linewidth=2, linestyle=style)
    axes.plot([p["n"] for p in measured], [100 * p["rank1"] for p in measured], "o", color=_COLOURS["single"], ms=4)
    sizes = np.unique([point["n"] for point in (*measured, *beyond)])
    axes.plot(sizes, 100 / sizes, color=_COLOURS["floor"], linewidth=1.6, linestyle=":")
    axes.set_xscale("log")
    if beyond:
        axes.axvline(measured[-1]["n"], color=_COLOURS["ink"], linewidth=0.8)
        notes = (("measured", -4, "right"), ("extrapolated", 4, "left"))
        for text, offset, side in notes if len(measured) > 1 else notes[1:]:
            axes.annotate(
                text,
                (measured[-1]["n"], 0.98),
                xycoords=("data", "axes fraction"),
                xytext=(offset, 0),
                textcoords="offset points",
                ha=side,
                va="top",
                fontsize=_SIZE,
                color=_COLOURS["ink"],
            )
    _percent_axis(axes.yaxis)
    axes.set_ylim(0, 108)
    axes.xaxis.set_major_formatter(lambda n, _: f"{n:,.0f}" if n < 1e6 else f"{n / 1e6:,.0f} m")
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.tick_params(which="minor", color=_COLOURS["ink"])
    _label(axes, "people to choose from", "named right (%)")
    return _svg(figure, "gallery", words)


def attributes(results, source, words):
    """Draw the AUROC of each trait from one training set, with its interval and what shuffled traits give."""
    figure, axes = _figure(3.7, 0.75 + 0.4 * len(results))
    for i, result in enumerate(results):
        axes.plot(100 * result["auroc"], i, "o", color=_COLOURS["single"], markersize=6)
        _whisker(axes, result, "auroc", i, 0.12)
        if result["control"] is not None:
            axes.plot([100 * result["control"]] * 2, [i - 0.3, i + 0.3], color=_COLOURS["floor"], linewidth=2.2)
        axes.text(103, i, f"{100 * result['auroc']:.1f}", va="center", color=_COLOURS["ink"], fontsize=_SIZE)
    _rows(axes, [f"{result['name']}, {result['tested_on']}" for result in results], 26)
    _percent_axis(axes.xaxis)
    axes.set_xlabel("AUROC (%): 50 is guessing, 100 is certain", fontsize=_SIZE, color=_COLOURS["ink"])
    return _svg(figure, "attributes" + repr(source), words)


def beats(picture, sampling_rate, words):
    """Draw the median beat of one class before and after."""
    figure, axes = _figure(3.7, 2.3)
    time, unit = _time(len(picture["original"]), sampling_rate)
    axes.plot(time, picture["original"], color=_COLOURS["original"], linewidth=2.6)
    axes.plot(time, picture["released"], color=_COLOURS["released"], linewidth=1.3)
    axes.set_xlim(time[0], time[-1])
    _label(axes, unit, "mV")
    return _svg(figure, "beats" + repr(picture["class"]), words)


def attention(look, sampling_rate, words):
    """Draw the beat on top, and below it where the attacker looks, before and after."""
    figure, (top, below) = _figure(4.6, 3.3, rows=2)
    time, unit = _time(len(look["beat"]), sampling_rate)
    top.plot(time, look["beat"], color=_COLOURS["ink"], linewidth=1.8)
    _label(top, None, "mV")
    top.tick_params(labelbottom=False)
    highest = 0.0
    for source, style, width in (("original", "-", 2.6), ("released", "--", 1.6)):
        # Attention of a network has a scale of its own; a flat one is 1.
        level = np.asarray(look[source], dtype=float)
        level = level / level.mean() if level.mean() > 0 else level
        below.plot(time, level, color=_COLOURS[source], linewidth=width, linestyle=style)
        highest = max(highest, level.max())
    below.axhline(1, color=_COLOURS["floor"], linewidth=1.4, linestyle=":")
    below.set_ylim(0, 1.1 * max(highest, 1))
    for axes in (top, below):
        axes.set_xlim(time[0], time[-1])
    _label(below, unit, "attention (even: 1)")
    return _svg(figure, "attention", words)


def _figure(width, height, rows=1):
    """Figure and axes in the page's colours, without pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_visible(False)
    panels = figure.subplots(rows, squeeze=False)[:, 0]
    for axes in panels:
        axes.patch.set_visible(False)
        axes.set_axisbelow(True)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_edgecolor(_COLOURS["ink"])
        axes.tick_params(colors=_COLOURS["ink"], labelsize=_SIZE)
        axes.grid(color=_COLOURS["faint"], linewidth=0.5)
    return figure, panels[0] if rows == 1 else panels


def _whisker(axes, result, key, y, height):
    """Interval of a bar or point along x."""
    low, high = result[f"{key}_low"], result[f"{key}_high"]
    if low is None or high is None:
        return
    axes.plot([100 * low, 100 * high], [y, y], color=_COLOURS["ink"], linewidth=1.2, solid_capstyle="butt")
    for end in (low, high):
        axes.plot([100 * end] * 2, [y - height, y + height], color=_COLOURS["ink"], linewidth=1.2)


def _rows(axes, names, longest=18):
    """Names of the rows, from the top."""
    names = [visible(name if len(name) <= longest else name[: longest - 1] + "…") for name in names]
    # User's text: no mathematics in it, however many dollar signs.
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _percent_axis(axis):
    axis.axes.set(**{f"{axis.axis_name}lim": (0, 100)})
    axis.set_ticks(range(0, 101, 25))


def _label(axes, x, y):
    if x is not None:
        axes.set_xlabel(x, fontsize=_SIZE, color=_COLOURS["ink"])
    axes.set_ylabel(y, fontsize=_SIZE, color=_COLOURS["ink"])


def _time(n_samples, sampling_rate):
    """Values and name of the time axis."""
    if sampling_rate is None:
        return np.arange(n_samples), "sample"
    return np.arange(n_samples) * 1000 / sampling_rate, "time from the start of the beat (ms)"


def _svg(figure, salt, words):
    """Render to an SVG element to be put into a page: no header, no metadata, no link, colours by variable."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}), warnings.catch_warnings():
        # The browser draws the text, with fonts that have the glyph.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for name, colour in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    # The page gives the width; the box keeps the proportions.
    box = re.match(r"<svg[^>]*?viewBox=\"([\d. -]*)\"[^>]*>", svg)
    head = f'<svg viewBox="{box[1]}" role="img" focusable="false" aria-label="{escape(visible(words))}">'
    return Markup(head + svg[box.end() :])
