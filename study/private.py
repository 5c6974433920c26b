"""What person-level differential privacy costs: use on new people against the number of people of the cohort."""

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from skagile import KSameAnonymizer
from study._judges import judges
from study._table import write_page
from study.agile import memory
from study.new_patients import CLASSES, load_beats

SEED = 0
COHORTS = (40, 100, 300, 1000, 3000, 10_000)
EPSILONS = (1.0, 3.0, 10.0, None)
N_BEATS = 12  # of a person: 6 normal ones, 3 of each other diagnosis where they have it
N_PRIOR, N_NEW = 40, 200
MOST_TRAINED = 6000
TEXT = """
Cohorts of synthetic people: pseudo-people of a law that is fitted on all 47 of MIT-BIH without noise, each with
{n_beats} beats (N; S in a third of the people, V in two thirds). A cohort is released with differential privacy at the
level of people, ``KSameAnonymizer(epsilon=..., prior=...)``, where the prior holds {n_prior} people more; delta is the
default, the number of people to the power -1.1. A perceptron is trained on at most {most} released beats and tested on
{n_new} synthetic people who are in neither: macro-F1 of N, S and V. Beats are drawn
once (``max_draws=1``), as those of the cohorts are.
Seed {seed}.

"originals" is the same perceptron, trained on the cohort's own beats; "prior alone" on those of the prior. Where a
column is no better than "prior alone", privacy at that epsilon leaves nothing of the cohort: give such a recipient the
public recordings instead. MIT-BIH's 47 people are hopeless, at any epsilon.
"""
_COMMAND = "tox run -e study -- private"


@memory.cache
def _population():
    beats = load_beats(SEED)
    return KSameAnonymizer(10, max_draws=1, coherence="subject", random_state=SEED).fit(
        beats.X, beats.y, subjects=beats.subjects
    ), beats


def make_people(n_people, seed):
    """Beats of people who do not exist, their diagnoses, and whose they are."""
    population, beats = _population()
    rng = np.random.default_rng(seed)
    third, two_thirds = rng.random(n_people) < 1 / 3, rng.random(n_people) < 2 / 3
    labels = []
    for has_s, has_v in zip(third, two_thirds, strict=True):
        own = ["S"] * (3 * int(has_s)) + ["V"] * (3 * int(has_v))
        labels.append(np.array(["N"] * (N_BEATS - len(own)) + own))
    y, people = np.concatenate(labels), np.repeat(np.arange(n_people), N_BEATS)
    # One beat that is known as each diagnosis makes the population draw that diagnosis.
    example = {c: beats.X[np.flatnonzero(beats.y == c)[0]] for c in CLASSES}
    X = np.stack([example[c] for c in y]).astype(np.float32)
    population.random_state = seed
    population._seed = int(rng.integers(2**31))
    names = np.char.add(f"{seed}-", people.astype(str))
    return population.transform(X, subjects=names), y, names


@memory.cache
def macro_f1(n_people, epsilon):
    """Macro-F1 on new people of a perceptron trained on a release, on originals ("originals") or on the prior."""
    prior, new = make_people(N_PRIOR, 1), make_people(N_NEW, 2)
    X, y, subjects = prior if epsilon == "prior" else make_people(n_people, 3 + n_people)
    if epsilon not in ("prior", "originals"):
        ksame = KSameAnonymizer(10, epsilon=epsilon, prior=prior, max_draws=1, random_state=SEED)
        X = ksame.fit(X, y, subjects=subjects).transform(X, subjects=subjects)
    rows = np.random.default_rng(SEED).permutation(len(X))[:MOST_TRAINED]
    said = judges(SEED)["perceptron"](X[rows], y[rows])(new[0])
    return f1_score(new[1], said, average="macro", zero_division=0)


def run(cohorts=COHORTS):
    """Run the study; its page is written anew after each cohort."""
    rows, page = [], None
    for n_people in cohorts:
        row = {"people": n_people}
        for epsilon in EPSILONS:
            row["no noise" if epsilon is None else f"epsilon {epsilon:g}"] = f"{macro_f1(n_people, epsilon):.3f}"
        row["originals"] = f"{macro_f1(n_people, 'originals'):.3f}"
        row["prior alone"] = f"{macro_f1(N_PRIOR, 'prior'):.3f}"
        rows.append(row)
        print(row, flush=True)
        text = TEXT.format(n_beats=N_BEATS, n_prior=N_PRIOR, n_new=N_NEW, most=MOST_TRAINED, seed=SEED)
        title = "Differential privacy: use against the number of people"
        page = write_page("private", title, text, [("Macro-F1 on new people", pd.DataFrame(rows))], _COMMAND)
    return page
