"""What all attacks together got, threat by threat."""

import numpy as np
from sklearn.utils import Bunch

from skagile import metrics
from skagile.audit.report._floors import highest_floor
from skagile.audit.threats._people import worst_of_each


def find_headline(attacks, floors, settings):
    """Worst of all attacks on the release, its interval corrected for having been picked, and its gallery curve."""
    return find_headlines([(attacks, floors)], settings)[0]


def find_headlines(views, settings, people=None):
    """Headline and gallery curve of each view, each corrected for picking the worst of the attacks on all views.

    Parameters
    ----------
    views : list of tuple (attacks, floors)
        What was recognised in each view, and its floors.
    settings : Settings
        What all measurements share.
    people : list of ndarray of int, default=None
        Of each view the number of each of its subjects, the same in all views. None: all views have the same subjects.
    """
    attacks = [
        (number, attack)
        for number, (recognised, _) in enumerate(views)
        for attack in recognised
        if attack.row["knowledge"] != "clean"
    ]
    if not attacks:
        return [(None, None)] * len(views)
    found = [({}, None) for _ in views]
    for kind, answers, owners in (("single", "correct", "probed"), ("fused", "named", "victims")):
        worst = _worst(
            [(getattr(each, answers), _numbered(getattr(each, owners), people, number)) for number, each in attacks],
            settings,
        )
        for number, (headline, gallery) in enumerate(found):
            columns = [column for column, (of_view, _) in enumerate(attacks) if of_view == number]
            if columns:
                at = max(columns, key=lambda column: worst.shares[column])
                row = attacks[at][1].row
                headline[kind] = {
                    "attacker": row["attacker"],
                    "knowledge": row["knowledge"],
                    "value": float(worst.shares[at]),
                    "low": float(worst.lows_at_once[columns].max()),
                    "high": float(worst.highs[columns].max()),
                    "floor": highest_floor(views[number][1], kind),
                    "n_attacks": len(attacks),
                    "corrected": True,
                }
                if kind == "single":
                    gallery = attacks[at][1].gallery
            found[number] = (headline, gallery)
    return [(headline or None, gallery) for headline, gallery in found]


def _numbered(owners, people, number):
    return owners if people is None else people[number][owners]


def find_worst(rows, settings):
    """Worst of all attacks of each threat besides naming sources, None where it was not tested."""
    return find_worsts([rows], settings)[0]


def find_worsts(views, settings):
    """Give the same of each view, each corrected for picking the worst of all."""
    of_threat = {
        name: worst_of_each([rows[name] for rows in views], settings) for name in ("presence", "copies", "disclosure")
    }
    return [{name: entries[number] for name, entries in of_threat.items()} for number in range(len(views))]


def _worst(answers, settings):
    """Worst of several attacks over people, as :func:`~skagile.metrics.worst_interval` has it of one table."""
    _, codes = np.unique(np.concatenate([owner for _, owner in answers]), return_inverse=True)
    n_people, hits, tries = codes.max() + 1, [], []
    # Person by person: a table of all probes by all attacks would be mostly empty.
    for code, (correct, _) in zip(
        np.split(codes, np.cumsum([len(owner) for _, owner in answers])[:-1]), answers, strict=True
    ):
        hits.append(np.bincount(code, correct, n_people))
        tries.append(np.bincount(code, minlength=n_people).astype(float))
    hits, tries = np.stack(hits, axis=1), np.stack(tries, axis=1)
    rng = np.random.RandomState(settings.seed)
    times_drawn = metrics.draw_people(n_people, settings.n_resamples, rng)
    with np.errstate(invalid="ignore"):
        draws = (times_drawn @ hits) / (times_drawn @ tries)
    shares = hits.sum(axis=0) / tries.sum(axis=0)
    worst = metrics.worst_of_draws(
        draws,
        shares,
        n_subjects=(tries > 0).sum(axis=0),
        n_rows=tries.sum(axis=0).astype(int),
        confidence=settings.confidence,
        random_state=rng,
    )
    return Bunch(**worst, shares=shares)
