"""What all attacks together found."""

import numpy as np

from skagile import metrics
from skagile.audit._plan import SOURCE
from skagile.audit.report._floors import highest_floor
from skagile.audit.threats._identity import attack_strangers, measure


def gather(jobs, results, parts, settings):
    """Pairs of attacker's name and what was found; the two halves of an open-set attack are put together."""
    found, strangers = [], {}
    for job, result in zip(jobs, results, strict=True):
        if job.function is attack_strangers:
            strangers.setdefault(job.name, []).append((job.arguments[SOURCE + 1], result))
        else:
            found += [(job.name, entry) for entry in result]
    for name, halves in strangers.items():
        part = parts["beats"]["released"]
        scores = np.empty((len(part.probe), halves[0][1].scores.shape[1]))
        for fold, half in halves:
            scores[fold[part.probed]] = half.scores
        templates = halves[0][1].templates
        whole = metrics.VerificationScores(scores, part.probed[:, None] == templates, templates)
        found.append((name, measure(name, "open_set", scores, templates, part.probed, whole, settings)))
    return found


def find_headline(found, floors, settings):
    """Worst of all attacks on the release, its interval corrected for having been picked, and its gallery curve."""
    found = [entry for entry in found if entry.row["knowledge"] != "clean"]
    if not found:
        return None, None
    headline = {}
    for kind, answers, owners in (("single", "correct", "probed"), ("fused", "named", "victims")):
        correct, people = _stack([(getattr(entry, answers), getattr(entry, owners)) for entry in found])
        worst = metrics.worst_interval(correct, people, **settings.resampling)
        row = found[worst.worst].row
        headline[kind] = {
            "attacker": row["attacker"],
            "knowledge": row["knowledge"],
            "value": float(worst.value),
            "low": float(worst.low),
            "high": float(worst.high),
            "floor": highest_floor(floors, kind),
            "n_attacks": len(found),
            "corrected": True,
        }
        if kind == "single":
            gallery = found[worst.worst].gallery
    return headline, gallery


def _stack(answers):
    """Table of answers, one column per attack, NaN where it was not asked; attacks on the same probes share rows."""
    blocks = []
    for _, owner in answers:
        if not any(np.array_equal(owner, block) for block in blocks):
            blocks.append(owner)
    start = np.cumsum([0, *map(len, blocks)])
    table = np.full((start[-1], len(answers)), np.nan)
    for column, (correct, owner) in enumerate(answers):
        number = next(i for i, block in enumerate(blocks) if np.array_equal(owner, block))
        table[start[number] : start[number + 1], column] = correct
    return table, np.concatenate(blocks)
