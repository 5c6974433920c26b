"""What an audit found, in words for people who train no networks."""

from datetime import date

from skagile.audit.report._judged import left_out

# What an attacker has learnt from, and the rest of the sentence.
_LEARNT = {
    "clean": ("trained on originals", ", tested on originals: the ceiling"),
    "static": ("trained on originals", ", tested on the release"),
    "adaptive": ("retrained on the release", ", tested on the release"),
    "adaptive+denoise": (
        "behind a filter that takes noise away",
        ": retrained on the release, or trained on originals, tested on the release",
    ),
    "open_set": ("trained on other people of the release", ", tested on people never seen in training"),
    "cross_database": (
        "trained on another database, shown a few released beats of each person",
        ", tested on the release",
    ),
    "auxiliary": (
        "trained on own recordings of the same people, put through the same tool",
        ", tested on the release",
    ),
}
KNOWLEDGE = {name: learnt + rest for name, (learnt, rest) in _LEARNT.items()}
FIDELITY = {
    "prdn": "root-mean-square difference, of the beat's own (PRDN)",
    "prd": "root-mean-square difference (PRD)",
    "snr": "signal-to-noise ratio",
    "max_abs_error": "largest change of any sample",
    "pearson": "correlation with the original",
    "dtw": "distance after warping time (DTW)",
    "energy_above_40hz": "energy above 40 Hz",
    "r_shift": "shift of the R peak",
    "qrs_duration": "change of QRS duration",
    "pr_interval": "change of the PR interval",
    "qt_interval": "change of the QT interval",
    "st_level": "change of the ST level",
    "r_amplitude": "change of the R wave's height",
    "t_amplitude": "change of the T wave's height",
}
UNITS = {"prdn": "%", "prd": "%", "snr": "dB", "max_abs_error": "mV"}
GDPR = {
    "singling_out": ("Singling out", "Can one person's beats be picked out and named?"),
    "linkability": ("Linkability", "Can two recordings be told to be of one person?"),
    "inference": ("Inference", "Can something else about a person be read off the beats?"),
}
# Part of the report -> what is not known where it is missing.
_PARTS = {
    "gallery": "larger populations: with more people to tell apart, naming the right one becomes harder",
    "attribute_results": "sex, age or other traits read off the beats",
    "presence_results": "who is in the release (presence)",
    "copies_results": "whether released beats are somebody's own (copies)",
    "disclosure_results": "what the release says about a person whose other recordings somebody holds (disclosure)",
    "utility_results": "diagnostic utility",
    "task_results": "use for tasks other than the diagnosis",
    "attention": "where in the beat identity sits",
}
_KEYS = {
    "attribute_results": "attributes",
    "utility_results": "utility",
    "task_results": "tasks",
    "presence_results": "presence",
    "copies_results": "copies",
    "disclosure_results": "disclosure",
}
# What a classifier was trained on and tested on -> what its figure tells.
USES = {
    ("original", "original"): "ceiling, same people",
    ("original", "released"): "models of originals",
    ("released", "original"): "recall of the cohort",
    ("released", "released"): "release by its own model",
    ("original", "new patients"): "ceiling, new patients",
    ("released", "new patients"): "use on new patients",
}


def percent(value: float | None, digits: int = 1) -> str:
    """Share as a percentage, "–" where there is none."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def cells(result, key):
    """Value and interval in percent, as two texts."""
    value, low, high = (result.get(f"{key}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "–", ""
    return f"{100 * value:.1f}", interval(low, high)


def interval(low, high):
    """Both ends of an interval in percent and in brackets, "" where one is missing."""
    return "" if low is None or high is None else f"({100 * low:.1f} to {100 * high:.1f})"


def visible(text):
    """Copy of `text` that neither moves a terminal's cursor nor turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def who(attack):
    """Attacker, and in a few words what it has learnt from."""
    learnt, _ = _LEARNT.get(attack["knowledge"], (attack["knowledge"], ""))
    lead = f", {attack['lead']}" if attack.get("lead") else ""
    return f"{attack['attacker']}, {learnt}{lead}"


def people(report):
    probed = report.protocol["n_subjects_probed"]
    people = f"{report.protocol['n_subjects']} people"
    return people if probed == report.protocol["n_subjects"] else f"{people}, {probed} of whom were tested"


def share(entry, report):
    """Value of a worst case with its interval."""
    if entry["low"] is None or entry["high"] is None:
        return percent(entry["value"])
    corrected = ""
    if entry.get("corrected"):
        corrected = f", corrected for picking the strongest of {entry.get('n_attacks', 'several')}"
    return (
        f"{percent(entry['value'])} ({percent(report.protocol['confidence'], 0)} interval "
        f"{100 * entry['low']:.1f} to {percent(entry['high'])}{corrected})"
    )


def comparisons(report):
    """Sentences that set the risk beside the originals, and tell of the other risks and of the use."""
    sentences = []
    if clean := report.attacks_with("clean", "rank1"):
        best = max(clean, key=lambda attack: attack["rank1"])
        sentences.append(
            f"On the originals the best attacker, {best['attacker']}, is right in {percent(best['rank1'])} of single "
            "heartbeats."
        )
    static, adaptive = (report.attacks_with(known, "rank1") for known in ("static", "adaptive"))
    if static and adaptive:
        static, adaptive = (max(attacks, key=lambda attack: attack["rank1"]) for attacks in (static, adaptive))
        if (adaptive["rank1_low"] or 0) > (1 if static["rank1_high"] is None else static["rank1_high"]):
            sentences.append(
                f"Attackers trained on originals only get {percent(static['rank1'])}. That figure alone would mislead: "
                "anybody who can link some released beats to people can retrain."
            )
    told = [
        result["name"]
        for result in report.attribute_results
        if result["tested_on"] != "original" and _above(result["auroc_low"], result["control"], 0.5)
    ]
    if told:
        sentences.append(f"Also read off the released beats, better than by chance: {', '.join(dict.fromkeys(told))}.")
    use = {(result["trained_on"], result["tested_on"]): result["accuracy"] for result in report.utility_results}
    before, after = use.get(("original", "original")), use.get(("original", "released"))
    if after is not None:
        sentences.append(
            f"A diagnostic model trained on originals gets {percent(after)} of the released heartbeats right"
            + (f"; of the originals, {percent(before)}." if before is not None else ".")
        )
    before, after = use.get(("original", "new patients")), use.get(("released", "new patients"))
    if after is not None:
        sentences.append(
            f"Of the heartbeats of new patients, who are in neither, a model trained on the release gets "
            f"{percent(after)} right"
            + (f"; one trained on the originals, {percent(before)}." if before is not None else ".")
        )
    return sentences


def tells(result):
    """Say what the figure of a classifier tells, "" for another tool's training or test."""
    return USES.get((result["trained_on"], result["tested_on"]), "")


def _above(low, control, chance):
    return low is not None and low > max(chance, control or 0)


def reaudit_date(report):
    """Give the day by which to measure again; see ``AuditReport.reaudit_date``."""
    if (given := report.provenance.get("reaudit_date")) is not None:
        return given[:10]
    done = date.fromisoformat(report.provenance["date"][:10])
    try:
        return done.replace(year=done.year + 1).isoformat()
    except ValueError:  # 29 February
        return done.replace(year=done.year + 1, day=28).isoformat()


def gaps_and_date(report):
    return (
        f"{len(not_tested(report))} things that were not tested are listed below. The figures hold for the attacks of "
        f"{report.provenance['date'][:10]}; attacks get better, so measure again by {report.reaudit_date}."
    )


def alarms(report):
    """Say what forbids a release whatever the figures; see ``AuditReport.alarms``."""
    if not report.protocol.get("known_seed"):
        return []
    return [
        "Made with a seed: for tests and studies only. Who knows the seed, and has the fitted anonymizer, can draw "
        "every beat again, undo the order of the rows, and tell whose they are. Release nothing that was made with one."
    ]


def notes(report):
    """Say what the reader must know about how it was done; see ``AuditReport.notes``."""
    protocol, notes = report.protocol, []
    if protocol["split"] == "halves":
        notes.append(
            "No sessions were given: the first half of each person's beats enrols and the second half is probed. "
            "Beats of one recording are more alike than beats of two days, so the risk is an upper bound."
        )
    else:
        notes.append("The earliest session of each person enrols, the later ones are probed.")
    left_out = protocol["n_subjects"] - protocol["n_subjects_probed"]
    if left_out > 0:
        notes.append(
            f"{left_out} of {protocol['n_subjects']} people are enrolled but not probed: they have one session."
        )
    for side in ("enrolment", "probe"):
        if (limit := protocol.get(f"max_{side}_beats")) is not None:
            notes.append(f"At most {limit} {side} beats of each person were used.")
    if unchanged := protocol.get("n_unchanged_beats"):
        notes.append(f"{unchanged} of {protocol['n_beats']} released beats equal their original.")
    if any(result.get("interval_over") == "beats" for result in report.utility_results):
        notes.append(
            "It is not known who the new patients' beats are of. Their intervals are over beats, and too narrow: beats "
            "of one person are alike."
        )
    if report.presence_results:
        notes.append(
            "Some people are outside the release. Presence and disclosure are of the released beats of the others that "
            "enrol, which is what is published; so are copies."
        )
    notes.append(
        f"Intervals hold {percent(protocol['confidence'], 0)} of the time over people like these: "
        f"{protocol['n_resamples']} resamples of people, not of beats."
    )
    return notes


def not_tested(report):
    """Say what the audit left out, and why where that is known; see ``AuditReport.not_tested``."""
    reasons = dict(report.protocol.get("not_run", ()))

    def because(key):
        return f" ({reasons.pop(key)})" if key in reasons else ""

    gaps = [
        f"{known}: attackers {words}{because(known)}"
        for known, words in KNOWLEDGE.items()
        if known not in report.protocol["knowledge"]
    ]
    if report.protocol["attackers_left_out"]:
        gaps.append(
            "attackers skagile has and this audit did not run: "
            + ", ".join(f"{name}{because(name)}" for name in report.protocol["attackers_left_out"])
        )
    gaps += [f"{words}{because(_KEYS.get(part, part))}" for part, words in _PARTS.items() if not getattr(report, part)]
    if report.utility_results and not any(result["tested_on"] == "new patients" for result in report.utility_results):
        gaps.append(f"use on new patients: people who are in neither side were not given{because('new_patients')}")
    if not report.protocol["classes"]:
        gaps.append("the floor of an attacker who knows the diagnosis, as no diagnoses were given")
    if report.protocol["split"] == "halves":
        gaps.append("recognition across days")
    if not all(entry is None or entry.get("corrected") for entry in report.worst_case().values()):
        gaps.append(
            "correction for picking the worst of several attackers: the headline is the worst of all and errs upwards"
        )
    gaps += [f"{what}: {why}" for what, why in reasons.items()]
    if "rr" not in report.protocol["attackers"]:
        gaps.append("heart rate, rhythm and beat times")
    if report.files_results is None:
        gaps.append("file names, dates and anything else outside the signal")
    gaps += [f"a lead of the release: {entry['lead']} ({entry['reason'].rstrip('.')})" for entry in left_out(report)]
    return gaps
