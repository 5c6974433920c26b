"""The report as text for the terminal."""

from skagile.audit.report._files import IN_A_WORD, level_of
from skagile.audit.report._files import as_lines as _files_lines
from skagile.audit.report._floors import FLOORS
from skagile.audit.report._leads import as_lines
from skagile.audit.report._threats import threats
from skagile.audit.report._words import cells, percent, share, tells, visible, who


def as_text(report):
    """Give headline, table of attacks, floors, use and sizes, ready to print."""
    lines = [
        *_headline(report),
        "",
        *_threats(report),
        *_leads(report),
        *_files(report),
        "",
        *_attacks(report),
        "",
        _floors(report),
    ]
    lines += [*_diagnosis(report), *_change(report)]
    lines.append(_sizes(report))
    return "\n".join(visible(line).rstrip() for line in lines)


def _headline(report):
    lines = [*report.alarms(), report.verdict()["headline"]]
    for kind, words in (("single", "one beat"), ("fused", "all beats")):
        if (entry := report.worst_case()[kind]) is not None:
            lines.append(f"{words}: {share(entry, report)} named right by {who(entry)}")
    return lines


def _threats(report):
    header = ["threat", "verdict", "worst %", "", "without a leak %", "by"]
    rows = []
    for entry in threats(report):
        figures = [*cells({"worst": entry["value"], "worst_low": entry["low"], "worst_high": entry["high"]}, "worst")]
        without = "–" if entry["null"] is None else f"{100 * entry['null']:.1f}"
        rows.append([entry["name"], entry["level"], *figures, without, entry["what"] or entry["reason"]])
    why = [f"{entry['name']}: {entry['reason']}." for entry in threats(report) if entry["level"] == "inconclusive"]
    return [*_columns(header, rows), *why]


def _leads(report):
    if not report.lead_results and not report.not_attacked:
        return []
    header, rows, sentences = as_lines(report)
    return ["", *_columns(header, rows), *sentences]


def _files(report):
    if report.files_results is None:
        return []
    header, rows, sentences = _files_lines(report)
    table = _columns(header, rows) if rows else []
    return ["", f"What the files say: {IN_A_WORD.get(level_of(report), '')}", *table, *sentences]


def _attacks(report):
    header = ["attacker", "knowledge", "single beat %", "", "all beats %", "", "EER %", ""]
    rows = [
        [attack["attacker"], attack["knowledge"]]
        + [text for key in ("rank1", "fused_rank1", "eer") for text in cells(attack, key)]
        for attack in report.attacks
    ]
    return _columns(header, rows)


def _floors(report):
    floors = report.floors
    return "floors: " + ", ".join(f"{key} {percent(floors[key])}" for key in FLOORS if floors[key] is not None)


def _diagnosis(report):
    if not report.utility_results:
        return []
    header = ["diagnosis trained on", "tested on", "accuracy %", "", "macro-F1 %", "", "tells"]
    rows = [
        [
            *(result["trained_on"], result["tested_on"], *cells(result, "accuracy"), *cells(result, "macro_f1")),
            tells(result),
        ]
        for result in report.utility_results
    ]
    return ["", *_columns(header, rows)]


def _change(report):
    changes = [
        f"{words} {report.fidelity_results[key]['median']:.{digits}f} {unit}"
        for key, words, digits, unit in (("prdn", "PRDN", 1, "%"), ("max_abs_error", "largest", 3, "mV"))
        if report.fidelity_results.get(key, {}).get("median") is not None
    ]
    return ["", f"change per beat (median): {', '.join(changes)}"] if changes else []


def _sizes(report):
    protocol = report.protocol
    return (
        f"{protocol['n_subjects']} people enrolled with {protocol['n_enrolment_beats']} beats, "
        f"{protocol['n_subjects_probed']} probed with {protocol['n_probe_beats']}; "
        f"{percent(protocol['confidence'], 0)} intervals over people; {report.provenance['date']}"
    )


def _columns(header, rows):
    """Lines of a table whose columns are as wide as their longest entry."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, rule, *rows)
    ]
