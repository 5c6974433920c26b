"""Results as tables of pandas."""

import pandas as pd

from skagile.audit.report import _words
from skagile.audit.report._floors import highest_floor

# Answers from one beat, or from all beats of a person -> the measure in the table of attacks.
WORST = {"single": "rank1", "fused": "fused_rank1"}

# Columns of `summary` that are text or whole numbers; None in the others becomes NaN.
NOT_FLOAT = ("attacker", "knowledge", "n_subjects", "n_probe")


def without(results, *names):
    return [{key: value for key, value in result.items() if key not in names} for result in results]


def by_class(results):
    """Rows of results, with a column for each class and what was measured of it."""
    rows = [{**row, "tells": _words.tells(row)} for row in without(results, "sensitivity", "predictivity", "support")]
    for row, result in zip(rows, results, strict=True):
        for measure in ("sensitivity", "predictivity"):
            row.update({f"{measure}_{name}": value for name, value in result.get(measure, {}).items()})
    return pd.DataFrame(rows)


def uncorrected(report, kind):
    """Worst attack with the highest upper end of all: no correction was made."""
    measure = WORST[kind]
    attacks = report.attacks_with(None, measure)
    if not attacks:
        return None
    worst = max(attacks, key=lambda attack: attack[measure])
    ends = [attack[f"{measure}_high"] for attack in attacks]
    return {
        "attacker": worst["attacker"],
        "knowledge": worst["knowledge"],
        "value": worst[measure],
        "low": worst[f"{measure}_low"],
        "high": None if None in ends else max(ends),
        "floor": highest_floor(report.floors, kind),
        "n_attacks": len(attacks),
        "corrected": False,
    }
