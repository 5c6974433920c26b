"""Whether what was measured allows a verdict at all: too few people, or rows in another order, do not."""

import numpy as np

from skagile.audit.report._lead_words import lead_called

# With fewer, all or nobody may be named by luck; nor are there strangers to compare copies with.
LEAST_PEOPLE = 5
# Of the way from what there is without a leak to certainty, what the interval must rule out. Of people named it is
# less: three quarters of them are nearly all.
_RULED_OUT = {"sources": 0.75, "presence": 0.95, "copies": 0.95, "disclosure": 0.95}
# From here on "no better than guessing" protects nobody: guessing is right.
_HIGHEST_FLOOR = 0.5
_ORDER = (
    "Give the release in the order of its original, row by row and record by record; where the tool exchanges people's "
    "beats, this cannot be judged"
)
# Of the way from guessing to certainty: what a reader of originals gets at least, and at most where rows are mixed up.
_READ, _NOT_READ = 0.5, 0.1
_ALIKE = 0.7  # correlation of median beats


def unjudged(report, name):
    """Say why threat `name` cannot be judged, whatever the figures; "" where it can."""
    if (n_people := _n_people(report, name)) is not None and n_people < LEAST_PEOPLE:
        side = " on one side" if name in ("presence", "disclosure") else ""
        return f"too few for a verdict: {n_people} people{side}; expected at least {LEAST_PEOPLE}"
    return another_order(report) if name == "sources" else ""


def left_out(report):
    """Give the leads of the release that were not attacked, or not in all records."""
    return [entry for entry in report.not_attacked if entry["in_release"]]


def names_left_out(report):
    """Name these in a part of a sentence, "" where there are none."""
    names = dict.fromkeys(lead_called(entry["lead"]) for entry in left_out(report))
    return f"not attacked: {', '.join(names)}" if names else ""


def too_wide(name, worst):
    """Say why the interval of a threat that is not red allows no verdict; "" where it does."""
    null, high = worst["null"], worst["high"]
    if name == "sources" and null >= _HIGHEST_FLOOR:
        return f"no verdict: guessing without a look at the signal names {100 * null:.0f} % already"
    if high is None or high >= null + _RULED_OUT[name] * (1 - null):
        end = "all" if high is None else f"{100 * high:.0f} %"
        return f"too few for a verdict: up to {end} cannot be ruled out"
    return ""


def another_order(report):
    """Say why the rows of the release do not seem to be those of the original; "" where nothing speaks for it."""
    for entry in report.copies_results:
        own, luck, low = (entry.get(key) for key in ("own", "own_by_luck", "share_low"))
        if None not in (own, luck, low) and low > entry["null"] and own < (1 + luck) / 2:
            return (
                f"rows do not correspond: {100 * entry['share']:.0f} % of released beats are near to one person's, of "
                f"these {100 * own:.0f} % to the person of their row. {_ORDER}"
            )
    if _diagnoses_are_mixed_up(report):
        return (
            "rows do not correspond: released beats look like the original's and show as many of each diagnosis, but "
            f"not those of their rows. {_ORDER}"
        )
    return ""


def _n_people(report, name):
    if name in ("sources", "copies"):
        return report.protocol["n_subjects_probed" if name == "sources" else "n_subjects"]
    results = report.presence_results if name == "presence" else report.disclosure_results
    return min((min(entry["n_members"], entry["n_others"]) for entry in results), default=None)


def _diagnoses_are_mixed_up(report):
    """Whether released beats look like originals and show as many of each diagnosis, but by luck on the right rows."""
    read = {(entry["trained_on"], entry["tested_on"]): entry for entry in report.utility_results}
    before, after = read.get(("original", "original")), read.get(("original", "released"))
    if before is None or after is None or _skill(before) is None or _skill(before) < _READ:
        return False
    skills = [_skill(entry) for pair, entry in read.items() if "released" in pair and "new patients" not in pair]
    if not all(skill is not None and skill <= _NOT_READ for skill in skills):
        return False
    return _shows_as_many(after) and _looks_alike(report.pictures)


def _skill(entry):
    """Mean sensitivity over classes, from guessing (0) to all right (1); None for less than two classes."""
    shares = [entry["sensitivity"].get(name) for name, count in entry["support"].items() if count]
    if len(shares) < 2 or None in shares:
        return None
    return (float(np.mean(shares)) - 1 / len(shares)) / (1 - 1 / len(shares))


def _shows_as_many(entry):
    """Whether each class is read at least half as often as there are beats of it."""
    for name, count in entry["support"].items():
        right, precise = entry["sensitivity"].get(name), entry.get("predictivity", {}).get(name)
        if count and not (right and precise and right / precise >= 0.5):
            return False
    return True


def _looks_alike(pictures):
    drawn = [picture for picture in pictures if "original" in picture]
    if not drawn:
        return False
    weight = np.array([picture["n_beats"] for picture in drawn], dtype=float)
    before, after = (weight @ np.array([picture[side] for picture in drawn]) for side in ("original", "released"))
    if np.ptp(before) == 0 or np.ptp(after) == 0:
        return False
    return bool(np.corrcoef(before, after)[0, 1] >= _ALIKE)
