"""Pictures of the report as inline SVG that follows the colours of the page."""

import io
import re
import warnings

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

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


def bars(attacks, floors):
    """Re-identification of one knowledge: per attacker a bar for single and one for fused beats, with their floors.

    Parameters
    ----------
    attacks : list of dict
        Results of one knowledge.
    floors : list of two floats
        Floor of the single beat and of fused beats.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    figure, axes = _figure(3.7, 0.75 + 0.62 * len(attacks))
    for i, attack in enumerate(attacks):
        for offset, key, colour, floor in (
            (-0.2, "rank1", "single", floors[0]),
            (0.2, "fused_rank1", "fused", floors[1]),
        ):
            value, low, high = (100 * attack[key + end] for end in ("", "_low", "_high"))
            y = i + offset
            axes.barh(y, value, height=0.34, color=_COLOURS[colour])
            axes.plot([low, high], [y, y], color=_COLOURS["ink"], linewidth=1.2, solid_capstyle="butt")
            for end in (low, high):
                axes.plot([end, end], [y - 0.08, y + 0.08], color=_COLOURS["ink"], linewidth=1.2)
            floor_at = [100 * floor] * 2
            axes.plot(floor_at, [y - 0.2, y + 0.2], color=_COLOURS["floor"], linewidth=2.2, solid_capstyle="butt")
            axes.text(103, y, f"{value:.1f}", va="center", ha="left", color=_COLOURS["ink"], fontsize=8)
    # User's text: no mathematics in it, however many dollar signs.
    names = [
        attack["attacker"] if len(attack["attacker"]) <= 18 else attack["attacker"][:17] + "…" for attack in attacks
    ]
    axes.set_yticks(range(len(attacks)), names, parse_math=False)
    axes.set_ylim(len(attacks) - 0.45, -0.55)
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("named right (%)", fontsize=8, color=_COLOURS["ink"])
    axes.grid(axis="x", color=_COLOURS["faint"], linewidth=0.5)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return _svg(figure, "bars" + repr(attacks[0]["knowledge"]))


def beats(picture, sampling_rate):
    """Median beat of one class before and after.

    Parameters
    ----------
    picture : dict
        With ``original`` and ``released``, lists of n_samples millivolts.
    sampling_rate : float or None
        In Hz; None draws against samples.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    figure, axes = _figure(3.7, 2.3)
    n_samples = len(picture["original"])
    time = np.arange(n_samples) * (1 if sampling_rate is None else 1000 / sampling_rate)
    axes.plot(time, picture["original"], color=_COLOURS["original"], linewidth=2.4)
    axes.plot(time, picture["released"], color=_COLOURS["released"], linewidth=1.3)
    axes.set_xlim(time[0], time[-1])
    unit = "sample" if sampling_rate is None else "time from the start of the beat (ms)"
    axes.set_xlabel(unit, fontsize=8, color=_COLOURS["ink"])
    axes.set_ylabel("mV", fontsize=8, color=_COLOURS["ink"])
    axes.grid(color=_COLOURS["faint"], linewidth=0.5)
    return _svg(figure, "beats" + picture["class"])


def _figure(width, height):
    """Figure and axes in the page's colours, without pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_edgecolor(_COLOURS["ink"])
    axes.tick_params(colors=_COLOURS["ink"], labelsize=8)
    return figure, axes


def _svg(figure, salt):
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
    # The page gives the width; the box keeps the proportions.
    svg = re.sub(
        r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>", r'<svg \1 aria-hidden="true" focusable="false">', svg, count=1
    )
    for name, colour in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg
