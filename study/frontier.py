"""Every anonymizer of the package on the same beats: retrained attackers against diagnosis."""

import numpy as np
import pandas as pd
from sklearn.base import clone

from skagile import AgileAnonymizer, KSameAnonymizer, WarpAnonymizer
from study._judges import judges
from study._table import write_page
from study.agile import memory
from study.ksame import QUICK, attack, cell, diagnose, load_beats

SEEDS = range(2)
N_PEOPLE = 47
ANONYMIZERS = {
    "k-same, k=10": [KSameAnonymizer(10)],
    "k-same, one group": [KSameAnonymizer(N_PEOPLE)],
    "k-same, k=10, n_donors=10, concentration=1": [KSameAnonymizer(10, n_donors=10, concentration=1.0)],
    'k-same, k=10, generator="ppca", n_components=40': [KSameAnonymizer(10, generator="ppca", n_components=40)],
    'k-same, k=10, generator="vae"': [KSameAnonymizer(10, generator="vae")],
    "AGILE": [AgileAnonymizer()],
    "k-same, k=10, then AGILE": [KSameAnonymizer(10), AgileAnonymizer()],
    "warp": [WarpAnonymizer()],
    "warp, mu=0.12, gain=0.6, privacy_weight=1": [WarpAnonymizer(mu=0.12, gain=0.6, privacy_weight=1.0)],
}
TEXT = """
MIT-BIH, 47 people, at most 100 beats of each from the first half of a record, which anonymizers are fitted on and which
enrol, and 100 from the second, one minute apart; default parameters but for what a row says; mean of seeds {seeds}.
Worst rank-1 of the attackers {attackers}, each retrained on the release, from single beats and fused; in brackets the
lowest and highest bound of the seeds' 95 % intervals over people, corrected for picking the worst. Diagnosis (N, S, V,
F) by a perceptron and a convolutional network that no anonymizer knows, mean of both: "released", trained on originals
and asked about the release; "back", trained on the release and asked about originals. For k = 5 and 20, and five seeds,
see :doc:`ksame`; for what each generator gives away of membership, :doc:`ksame_defaults`.
"""
_COMMAND = "tox run -e study -- frontier"
_MEASURES = ("accuracy", "macro-F1")
_COLUMNS = (
    "single, worst",
    "fused, worst",
    *(f"{way}, {measure}" for way in ("released", "back") for measure in _MEASURES),
)


@memory.cache
def release(steps, seed, X, y, subjects, enrolled):
    """Fit one anonymizer after another on the enrolled beats, and release all."""
    for step in steps:
        step = clone(step).set_params(random_state=seed)
        step.fit(X[enrolled], y[enrolled], subjects=subjects[enrolled])
        X = step.transform(X, subjects=subjects)
    return X


@memory.cache
def one_row(name, seed):
    """Return one anonymizer's figures with one seed; kept, so that a run cut short goes on where it was."""
    beats = load_beats(seed)
    if name == "originals":
        return _read(diagnose(beats, beats.X, beats.y, seed, {}), seed)
    released = release(ANONYMIZERS[name], seed, beats.X, beats.y, beats.subjects, beats.sessions == 0)
    report = attack(beats, released, beats.y, QUICK, seed)
    row = {f"{kind}, worst": report[kind] for kind in ("single", "fused")}
    row |= _read(diagnose(beats, released, beats.y, seed, {}), seed)
    print(seed, name, row, flush=True)
    return row


def _read(lost, seed):
    """Mean of the judges' accuracy and macro-F1, from what they lost."""
    row = {}
    for way in ("released", "back"):
        for m in _MEASURES:
            row[f"{way}, {m}"] = np.mean(
                [lost[f"clean, {judge}, {m}"] + lost[f"{judge}, {way}, {m}"] / 100 for judge in judges(seed)]
            )
    return row


def run(seeds=SEEDS):
    """Run the study; its page is written anew after each anonymizer."""
    rows = []
    for name in ("originals", *ANONYMIZERS):
        figures = pd.DataFrame([one_row(name, seed) for seed in seeds])
        rows.append({"release": name, **{column: cell(column, figures[column].tolist()) for column in figures}})
        text = TEXT.format(attackers=", ".join(QUICK), seeds=", ".join(map(str, seeds)))
        tables = [("Privacy against use", pd.DataFrame(rows, columns=["release", *_COLUMNS]).fillna(""))]
        page = write_page("frontier", "Every anonymizer on the same beats", text, tables, _COMMAND)
    return page
