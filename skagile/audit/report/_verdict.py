"""The verdict of a report, in plain words."""

from skagile.audit.report import _threats
from skagile.audit.report._files import HEADLINES, level_of
from skagile.audit.report._judged import left_out, names_left_out
from skagile.audit.report._leads import in_short, sentence_of
from skagile.audit.report._words import comparisons, gaps_and_date, people, percent, share, who


def verdict(report):
    """Level, headline and sentences; see ``AuditReport.verdict``."""
    entries = _threats.threats(report)
    level = _level(report, entries)
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
    sentences += [*_threats.sentences(report), *comparisons(report), *_reservations(report, entries, level)]
    sentences[:0] = filter(None, [in_short(report)])
    source = entries[0]
    if source["level"] != "red" and single is not None and single["high"] is not None:
        sentences.append(
            f"With this many people, up to {percent(single['high'])} of single heartbeats cannot be ruled out."
        )
    sentences.append(gaps_and_date(report))
    return {"level": level, "headline": _headline(report, entries, level), "sentences": sentences}


def _level(report, entries):
    """Give the worst of the threats and of what the files say; not green where a lead was not attacked."""
    level, said = _threats.level(entries), level_of(report)
    if said == "red":
        return "red"
    return "amber" if level == "green" and (left_out(report) or said not in ("", "green")) else level


def _headline(report, entries, level):
    names, said = names_left_out(report), level_of(report)
    sentences = [f"{names[0].upper()}{names[1:]}."] if names else []
    if said == "red" or (said not in ("", "green") and level in ("green", "amber")):
        sentences.append(HEADLINES[said])
    of_threats = _threats.headline(entries)
    if sentences and _threats.level(entries) == "green":
        of_threats = ""
    return " ".join(filter(None, [of_threats, *sentences]))


def _reservations(report, entries, level):
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
    said += [f"Not attacked: {sentence_of(entry)}." for entry in report.not_attacked]
    if level in ("amber", "green") and not left_out(report):
        said.append("No attack that was run did measurably better than guessing. It is no proof that none can.")
    return said
