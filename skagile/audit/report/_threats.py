"""The four threats that the verdict is the worst of, each red, inconclusive, green or not tested."""

from skagile.audit.report._judged import too_wide, unjudged
from skagile.audit.report._lead_words import lead_called
from skagile.audit.report._words import percent, share, who

# Name -> what is asked, and what is said where it is red.
THREATS = {
    "sources": ("Whose row is it?", "People can still be recognised in this release."),
    "presence": ("Who is in the release?", "Who is in this release can be told."),
    "copies": ("Is a released beat somebody's own?", "This release holds copies of people's own beats."),
    "disclosure": (
        "What does it say about a person whose other recordings somebody holds?",
        "Somebody who holds other recordings of a person can read off this release what stands beside them.",
    ),
}
_NO_RETRAINING = "attackers retrained on the release were not run; they are as a rule far stronger"


_SEVERITY = ("green", "not tested", "inconclusive", "red")


def threats(report):
    """Give an entry for each threat, of the worst view; see ``AuditReport.threats``."""
    own = of_one(report)
    if len(report.lead_results) < 2:
        return own
    return [_worst_view(entry, report.lead_results) for entry in own]


def called(view):
    """Name of a view, for a sentence."""
    return f"{lead_called(view['lead'])}, cut at the {view['cut']}"


def badness(entry):
    """Say how bad an entry is, for comparison: by its level, then by its figure above what there is without a leak."""
    value, null = entry["value"], entry["null"]
    return _SEVERITY.index(entry["level"]), -2.0 if None in (value, null) else value - null


def _worst_view(own, views):
    cases = []
    for view in views:
        for entry in view["threats"]:
            if entry["name"] == own["name"]:
                case = {**own, **entry, "question": own["question"]}
                if None not in (case["low"], case["null"]) and case["low"] > case["null"]:
                    case["level"] = "red"
                what, reason = case["what"], case["reason"]
                case["what"] = what and f"{what}; {called(view)}"
                case["reason"] = reason and (f"{called(view)}: {reason}" if case["level"] != "not tested" else reason)
                cases.append(case)
    return max(cases, key=badness, default=own)


def of_one(report):
    """Give an entry for each threat, of the tables of the report alone."""
    reasons = dict(report.protocol.get("not_run", ()))
    headline = report.headline or {}
    return [
        _sources(report),
        *(_entry(report, name, headline.get(name), reasons.get(name, "")) for name in list(THREATS)[1:]),
    ]


def _sources(report):
    worst = report.worst_case()
    cases = [
        {
            **entry,
            "null": entry.get("floor"),
            "what": f"{'one beat' if kind == 'single' else 'all beats'}, {who(entry)}",
        }
        for kind, entry in worst.items()
        if entry is not None
    ]
    entries = [_entry(report, "sources", case, "") for case in cases]
    for level in ("red", "inconclusive"):
        for entry in entries:
            if entry["level"] == level:
                return entry
    if not entries:
        return _entry(report, "sources", None, "no attack on the release was run")
    learns = [known for known in report.protocol["knowledge"] if known not in ("clean", "static")]
    if learns:
        return entries[0]
    reason = dict(report.protocol.get("not_run", ())).get("knowledge adaptive", _NO_RETRAINING)
    return {**entries[0], "level": "not tested", "reason": reason}


def _entry(report, name, worst, reason):
    """Entry of one threat: red where the lower end of the interval is above what there is without a leak.

    Of the others those are inconclusive of which the figures allow no verdict.
    """
    if worst is None:
        worst = dict.fromkeys(("what", "value", "low", "high", "null"))
    if None in (worst["low"], worst["null"]):
        level = "not tested"
    elif worst["low"] > worst["null"]:
        level = "red"
    else:
        reason = unjudged(report, name) or too_wide(name, worst)
        level = "inconclusive" if reason else "green"
    return {
        "name": name,
        "question": THREATS[name][0],
        "level": level,
        **{key: worst[key] for key in ("value", "low", "high", "null", "what")},
        "reason": reason,
    }


def level(entries):
    """Worst of the threats: red, inconclusive, amber where one was not tested, green; not-attacked where none was."""
    levels = {entry["level"] for entry in entries}
    if all(entry["value"] is None for entry in entries):
        return "not-attacked"
    for worst in ("red", "inconclusive"):
        if worst in levels:
            return worst
    return "amber" if "not tested" in levels else "green"


def headline(entries):
    """Say the verdict in a sentence or some."""
    worst = level(entries)
    if worst == "not-attacked":
        return "The release was not attacked."
    if worst == "red":
        return " ".join(THREATS[entry["name"]][1] for entry in entries if entry["level"] == "red")
    of_level = {
        each: ", ".join(entry["name"] for entry in entries if entry["level"] == each)
        for each in ("inconclusive", "not tested")
    }
    said = []
    if of_level["inconclusive"]:
        said.append(f"No verdict is possible: {of_level['inconclusive']} cannot be judged.")
    if of_level["not tested"]:
        said.append(f"Not all threats were tested: {of_level['not tested']}.")
    return " ".join(said) or "No attack did measurably better than guessing."


def sentences(report):
    """Presence, copies and disclosure in plain words, as far as they were measured."""
    said, worst = [], report.headline or {}
    if (entry := worst.get("presence")) is not None:
        said.append(
            f"Who is in the release is told with an area under the ROC curve of {share(entry, report)} by the "
            f"strongest attack ({entry['what']}). 50 % is guessing, 100 % is certain."
        )
    if (entry := worst.get("copies")) is not None:
        said.append(
            f"{share(entry, report)} of the released beats are as near to somebody's original as the nearest "
            f"{percent(entry['null'], 0)} of strangers' beats. More than {percent(entry['null'], 0)} proves that "
            "recordings were copied. Less proves nothing."
        )
    if (entry := worst.get("disclosure")) is not None:
        said.append(
            f"Somebody who holds other recordings of a person reads {share(entry, report)} more of their labels right "
            f"if the person is in the release ({entry['what']}). Without a leak it is 0 %."
        )
    return said
