"""The verdict of a report, in plain words."""

from skagile.audit.report import _threats
from skagile.audit.report._words import comparisons, gaps_and_date, people, percent, share, who


def verdict(report):
    """Level, headline and sentences; see ``AuditReport.verdict``."""
    entries = _threats.threats(report)
    level = _threats.level(entries)
    single, fused = (report.worst_case()[kind] for kind in ("single", "fused"))
    sentences = []
    if single is None and fused is None:
        sentences.append("Nobody tried to name people in the release: figures of naming below are of the originals.")
    if single is not None:
        sentences.append(
            f"From one released heartbeat, the strongest attack ({who(single)}) names the right person in "
            f"{share(single, report)} of cases, among {people(report)}. Guessing without a look at the signal is "
            f"right in {percent(single['floor'])}."
        )
    if fused is not None:
        sentences.append(
            f"From all released heartbeats of a person together, the strongest attack ({who(fused)}) names "
            f"{share(fused, report)} of the people; guessing without a look at the signal, {percent(fused['floor'])}."
        )
    sentences += [*_threats.sentences(report), *comparisons(report), *_reservations(entries, level)]
    source = entries[0]
    if source["level"] != "red" and single is not None and single["high"] is not None:
        sentences.append(
            f"With this many people, up to {percent(single['high'])} of single heartbeats cannot be ruled out."
        )
    sentences.append(gaps_and_date(report))
    return {"level": level, "headline": _threats.headline(entries), "sentences": sentences}


def _reservations(entries, level):
    """Say what was not tested or cannot be judged, and what a verdict without red does not say."""
    said = [
        f"{entry['name'].capitalize()}: not tested" + (f" ({entry['reason']})." if entry["reason"] else ".")
        for entry in entries
        if entry["level"] == "not tested"
    ]
    said += [
        f"{entry['name'].capitalize()}: inconclusive ({entry['reason']})."
        for entry in entries
        if entry["level"] == "inconclusive"
    ]
    if level in ("amber", "green"):
        said.append("No attack that was run did measurably better than guessing. It is no proof that none can.")
    return said
