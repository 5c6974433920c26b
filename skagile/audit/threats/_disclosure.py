"""What a release says about a person whose other recordings somebody holds."""

import numpy as np

from skagile import metrics
from skagile._seeds import with_seed
from skagile.attackers import known_estimator
from skagile.audit._measurement import Job, Measurement, in_words
from skagile.audit._release import draw_beats
from skagile.audit._settings import fit
from skagile.audit._with_leads import of_leads
from skagile.audit.threats._people import MAX_HELD, PeopleRow, interval_of, published_rows

MIN_PEOPLE = 3  # with a label, on each side, for the label to count


class Disclosure(Measurement):
    """What is read off the released beats that look like a person's, beyond what any heart shows.

    The attacker holds other recordings of people, without labels, and reads the diagnosis, or the label of another
    task, by the nearest released beat and by the network of the diagnosis, trained on the release. The figure is their
    accuracy for people in the release less the same for people who are not: what a heart shows is read of both alike.

    **Why it is fair.** For each label by itself: the share of beats with this label that are read right, mean over the
    people who have it, in the release less outside. The figure is the mean over labels. So neither a side with more
    of a common diagnosis nor an attacker who always gives the commonest gains anything. A label that fewer than 3
    people have on a side is left out. Beats are read one by one; where each person has one label, their beats are
    pooled by majority, as an attacker would.

    Notes
    -----
    **What this does not guarantee.** Labels that hardly anybody outside has, which are the most telling, cannot be
    measured so.
    """

    name = "disclosure"

    def __init__(self, inputs):
        self.inputs = inputs
        seed = inputs.settings.seed
        reader = with_seed(known_estimator("nearest_neighbour"), seed)
        self._readers = {"nearest_neighbour": of_leads(reader, inputs.release.n_leads)}
        if inputs.diagnostician is not None:
            self._readers["network"] = inputs.diagnostician

    def jobs(self):
        release, seed = self.inputs.release, self.inputs.settings.seed
        published = published_rows(release, self.inputs.members)
        held = draw_beats(release.probe, release.subject, MAX_HELD, seed)
        jobs = []
        for task in self.inputs.disclosed:
            label, _, known = self.inputs.tasks[task]
            rows, tested = published[known[published]], held[known[held]]
            given = {
                "released": release.beats["released"][rows],
                "label": label[rows],
                "held": release.beats["original"][tested],
            }
            about = {"truth": label[tested], "person": release.subject[tested]}
            jobs += [
                Job(f"disclosure of {_named(task)} by {name}", read_labels, {**given, "estimator": reader}, keep, about)
                for name, reader in self._readers.items()
            ]
        return jobs

    def rows(self, results):
        """Give a row for each task and reader."""
        inside, settings = self.inputs.members, self.inputs.settings
        times_drawn = metrics.draw_sides(inside, settings.n_resamples, settings.seed)
        planned = [(task, reader) for task in self.inputs.disclosed for reader in self._readers]
        return [
            _row(task, reader, result, self.inputs.tasks[task][1], inside, times_drawn, settings)
            for (task, reader), result in zip(planned, results, strict=True)
        ]


def check_disclosed(release, members, tasks):
    """Tasks that can be tested, and the others, with the reason."""
    if members is None:
        return (), [["disclosure", "nobody outside the release was named (members)"]]
    if not tasks:
        return (), [["disclosure", "no diagnosis and no other task was given (y, tasks)"]]
    chosen, not_run = [], []
    published = published_rows(release, members)
    for task, (label, names, known) in tasks.items():
        rows, probe = published[known[published]], release.probe[known[release.probe]]
        people = _people_of(label[probe], release.subject[probe], members, len(names))
        if len(np.unique(label[rows])) < 2:
            not_run.append([f"disclosure of {_named(task)}", "the published release has one label only"])
        elif not (people.min(axis=0) >= MIN_PEOPLE).any():
            why = f"no label is had by {MIN_PEOPLE} people inside and {MIN_PEOPLE} outside who can be probed"
            not_run.append([f"disclosure of {_named(task)}", why])
        else:
            chosen.append(task)
    return tuple(chosen), not_run


def _named(task):
    return "diagnosis" if task is None else str(task)


def _people_of(label, person, inside, n_labels):
    """Count the people with each label, (inside, outside) by label."""
    has = np.zeros((len(inside), n_labels), dtype=bool)
    has[person, label] = True
    return np.stack([has[inside].sum(axis=0), has[~inside].sum(axis=0)])


def _row(task, reader, read, names, inside, times_drawn, settings):
    right, has, pooled = _right_of(read["said"], read["truth"], read["person"], len(inside), len(names))
    counted = (_people_of(read["truth"], read["person"], inside, len(names)) >= MIN_PEOPLE).all(axis=0)
    accuracy = {side: _mean_of_side(np.ones((1, len(inside))), right, has, mask) for side, mask in _sides(inside)}
    gain = (accuracy["inside"] - accuracy["outside"])[0]
    value = float(gain[counted].mean())
    drawn = [_mean_of_side(times_drawn, right, has, mask)[:, counted] for _, mask in _sides(inside)]
    differences = drawn[0] - drawn[1]
    there = np.isfinite(differences)
    with np.errstate(invalid="ignore"):
        draws = (1 + np.where(there, differences, 0.0).sum(axis=1) / there.sum(axis=1)) / 2
    n_people = 2 * min(int(has[side].any(axis=1).sum()) for side in (inside, ~inside))
    n_rows = n_people if pooled else len(read["truth"])
    low, high = (2 * end - 1 for end in interval_of((1 + value) / 2, draws, n_people, n_rows, settings))
    both = {side: float(values[0, counted].mean()) for side, values in accuracy.items()}
    detail = {
        "task": _named(task),
        "attacker": reader,
        "advantage": value,
        "advantage_low": low,
        "advantage_high": high,
        "accuracy_inside": both["inside"],
        "accuracy_outside": both["outside"],
        "labels": {str(names[code]): float(gain[code]) for code in np.flatnonzero(counted)},
        "left_out": [str(names[code]) for code in np.flatnonzero(~counted & has.any(axis=0))],
        "pooled": pooled,
        "n_members": int(has[inside].any(axis=1).sum()),
        "n_others": int(has[~inside].any(axis=1).sum()),
    }
    sentence = (
        f"{_named(task).capitalize()} was read by {reader} off released beats like a person's in "
        f"{100 * both['inside']:.1f} % for people in the release and {100 * both['outside']:.1f} % for others, labels "
        f"counting the same: a difference of {in_words(value, low, high)}, where nothing is disclosed 0."
    )
    return PeopleRow(
        *(f"{_named(task)}, {reader}", value, low, high, 0.0, sentence, detail),
        **{"share": (1 + value) / 2, "draws": draws, "n_subjects": n_people, "n_rows": n_rows, "signed": True},
    )


def _sides(inside):
    return (("inside", inside), ("outside", ~inside))


def _right_of(said, truth, person, n_people, n_labels):
    """Give the share of a person's beats of a label that are read right, who has which label, and if all are pooled."""
    count = np.zeros((n_people, n_labels))
    np.add.at(count, (person, truth), 1)
    hits = np.zeros_like(count)
    np.add.at(hits, (person, truth), said == truth)
    has = count > 0
    right = hits / np.maximum(count, 1)
    pooled = bool((has.sum(axis=1) <= 1).all())
    if pooled:
        votes = np.zeros_like(count)
        np.add.at(votes, (person, said), 1)
        most = votes == votes.max(axis=1, keepdims=True)
        right = np.where(has, most / most.sum(axis=1, keepdims=True), 0.0)
    return right, has, pooled


def _mean_of_side(weight, right, has, side):
    """Mean over the people of a side who have a label, (n_weights, n_labels); NaN where nobody is drawn."""
    with np.errstate(invalid="ignore"):
        return (weight[:, side] @ (right * has)[side]) / (weight[:, side] @ has[side].astype(np.float64))


# What goes to other processes.


def read_labels(what, *, estimator, released, label, held):
    """Train a reader on the release and give the label that it reads of each beat that the attacker holds."""
    return {"said": np.asarray(fit(what, estimator, released, label).predict(held))}


def keep(outcome, settings, *, truth, person):
    """Set beside what was said what is true."""
    del settings
    return {**outcome, "truth": truth, "person": person}
