"""What an audit of several leads says: of each its worst figures, the worst of all, and the leads that it left out."""

from skagile.audit.report import _limits, _threats
from skagile.audit.report._lead_words import TOGETHER, lead_called
from skagile.audit.report._words import cells, percent


def summary_of_view(report):
    """Give the entry of ``lead_results`` for the report of one view: its threats, and the figures of all limits."""
    return {
        "n_people": report.protocol["n_subjects"],
        "threats": _threats.of_one(report),
        "figures": {
            name: {**limit.measure(report)._asdict(), "reason": _limits.why_unjudged(report, limit)}
            for name, limit in _limits.LIMITS.items()
        },
    }


def worst_view(reports, summaries):
    """Give the number of the view whose tables are shown, and the headline: the worst of all views, named."""

    def of(number, threat):
        return next(entry for entry in summaries[number]["threats"] if entry["name"] == threat)

    shown = max(range(len(reports)), key=lambda number: (*_threats.badness(of(number, "sources")), -number))
    headline = {}
    for kind in ("single", "fused", "presence", "copies", "disclosure"):
        cases = [(report.headline or {}).get(kind) for report in reports]
        numbers = [number for number, case in enumerate(cases) if case is not None]
        if not numbers:
            headline[kind] = None
            continue
        if kind in ("single", "fused"):
            worst = max(numbers, key=lambda number: (cases[number]["value"] - (cases[number]["floor"] or 0), -number))
        else:
            worst = max(numbers, key=lambda number: (cases[number]["value"], -number))
        headline[kind] = {**cases[worst], "lead": _threats.called(summaries[worst])}
    return shown, {kind: case for kind, case in headline.items() if case is not None or kind not in ("single", "fused")}


def sentence_of(entry):
    """Say why a lead was not attacked."""
    where = "" if entry["n_records"] >= entry["of"] else f" in {entry['n_records']} of {entry['of']} records"
    return f"{lead_called(entry['lead'])}{where}: {entry['reason'].rstrip('.')}"


def _source_of(view):
    return next(entry for entry in view["threats"] if entry["name"] == "sources")


def sources_of_views(views):
    """Give rows of a table: of each view how many people are named."""
    return [
        {
            "lead": view["lead"],
            "cut": view["cut"],
            **{key: value for key, value in _source_of(view).items() if key != "name"},
        }
        for view in views
    ]


def as_lines(report):
    """Give the leads as a table, header and rows, and as sentences: remarks, and the leads that were not attacked."""
    header = ["lead", "cut at", "verdict", "worst %", "", "guessing %", "by"]
    rows = []
    for view in report.lead_results:
        source = _source_of(view)
        others = [f"{entry['name']} red" for entry in view["threats"] if entry["level"] == "red" and entry != source]
        figures = cells({"worst": source["value"], "worst_low": source["low"], "worst_high": source["high"]}, "worst")
        null = "–" if source["null"] is None else f"{100 * source['null']:.1f}"
        what = source["what"] or source["reason"]
        rows.append([view["lead"], view["cut"], ", ".join([source["level"], *others]), *figures, null, what])
    named = [(lead_called(view["lead"]), remark) for view in report.lead_results for remark in view["remarks"]]
    remarks = [f"{name[0].upper()}{name[1:]}: {remark}" for name, remark in named]
    return header, rows, remarks + [f"Not attacked: {sentence_of(entry)}." for entry in report.not_attacked]


def in_short(report):
    """Say which leads were attacked, and which is the worst; "" for a report of arrays."""
    if not report.lead_results:
        return ""
    names = list(dict.fromkeys(view["lead"] for view in report.lead_results))
    if len(report.lead_results) == 1:
        return f"One lead was attacked: {names[0]}, cut at the {report.lead_results[0]['cut']}."
    worst = max(report.lead_results, key=lambda view: _threats.badness(_source_of(view)))
    alone = ", ".join(f"lead {name}" for name in names if name != TOGETHER)
    if TOGETHER in names and not alone:
        return "All leads were attacked together."
    first = "All leads were attacked together, and one by one" if TOGETHER in names else "Attacked one by one"
    return (
        f"{first}: {alone}. The most people are named in "
        f"{_threats.called(worst)}: {percent(_source_of(worst)['value'])}. Intervals are corrected for picking the "
        "worst of all."
    )
