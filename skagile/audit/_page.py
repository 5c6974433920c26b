"""The HTML page of an audit report."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from skagile.audit import _figures
from skagile.audit._report import _FLOORS_IN_WORDS, _KNOWLEDGE_IN_WORDS, _cells, _percent

_LEVELS = {
    "recognisable": "Above guessing",
    "at-floor": "At the floor of guessing",
    "inconclusive": "Not enough to judge",
    "not-attacked": "Not measured",
}


def render(report, title):
    """Render `report` as one page with everything inside.

    Parameters
    ----------
    report : AuditReport
        What to show.
    title : str
        Heading.

    Returns
    -------
    str
        HTML.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        # Names of classes and attackers come from files of strangers.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, cells=_cells, number=_number, date=_date)
    verdict = report.verdict()
    drawn = [picture for picture in report.pictures if "original" in picture]
    return environment.get_template("report.html.j2").render(
        title=title,
        report=report,
        verdict=verdict,
        level=_LEVELS[verdict["level"]],
        bars=[_bars(report, known) for known in report.protocol["knowledge"]],
        knowledge=_KNOWLEDGE_IN_WORDS,
        floors=[
            (words, report.floors[key]) for key, words in _FLOORS_IN_WORDS.items() if report.floors[key] is not None
        ],
        pictures=[(picture, Markup(_figures.beats(picture, report.protocol["sampling_rate"]))) for picture in drawn],
        not_drawn=[picture for picture in report.pictures if "original" not in picture],
        classes=list(dict.fromkeys(name for result in report.utility_results for name in result["sensitivity"])),
        confidence=_percent(report.protocol["confidence"], 0),
    )


def _bars(report, known):
    """Knowledge, its bars and the same in words."""
    attacks = [attack for attack in report.attacks if attack["knowledge"] == known]
    floors = report._floor(), report._floor(fused=True)
    words = "; ".join(
        f"{attack['attacker']}: single beat {' '.join(_cells(attack, 'rank1'))} percent, "
        f"all beats {' '.join(_cells(attack, 'fused_rank1'))} percent"
        for attack in attacks
    )
    words += f". Floors: {_percent(floors[0])} and {_percent(floors[1])}."
    return known, Markup(_figures.bars(attacks, floors)), words


def _number(value, digits):
    return (
        "–"
        if value is None or value != value
        else "∞"
        if value in (float("inf"), -float("inf"))
        else f"{value:.{digits}f}"
    )


def _date(text):
    return f"{text[:10]}, {text[11:16]} UTC"
