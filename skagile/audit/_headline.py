"""What all attacks together got, threat by threat."""

import numpy as np

from skagile import metrics
from skagile.audit.report._floors import highest_floor
from skagile.audit.threats._people import worst_of


def find_headline(attacks, floors, settings):
    """Worst of all attacks on the release, its interval corrected for having been picked, and its gallery curve."""
    attacks = [attack for attack in attacks if attack.row["knowledge"] != "clean"]
    if not attacks:
        return None, None
    headline = {}
    for kind, answers, owners in (("single", "correct", "probed"), ("fused", "named", "victims")):
        correct, people = _stack([(getattr(entry, answers), getattr(entry, owners)) for entry in attacks])
        worst = metrics.worst_interval(correct, people, **settings.resampling)
        row = attacks[worst.worst].row
        headline[kind] = {
            "attacker": row["attacker"],
            "knowledge": row["knowledge"],
            "value": float(worst.value),
            "low": float(worst.low),
            "high": float(worst.high),
            "floor": highest_floor(floors, kind),
            "n_attacks": len(attacks),
            "corrected": True,
        }
        if kind == "single":
            gallery = attacks[worst.worst].gallery
    return headline, gallery


def find_worst(rows, settings):
    """Worst of all attacks of each threat besides naming sources, None where it was not tested."""
    return {name: worst_of(rows[name], settings) for name in ("presence", "copies", "disclosure")}


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
