"""Every anonymizer of the package on the same beats: what each threat gets, against use on new patients."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone

from skagile._files import replacing
from study._table import FOLDER, write_page
from study.agile import memory
from study.ksame import QUICK, attack, canary, cell, load_beats, told_of_members
from study.new_patients import RELEASES, measure, predictions

SEED = 0
TEXT = """
MIT-BIH at 180 Hz, R peaks detected. One row an anonymizer, default parameters but for what it says; seed {seed}. The
laws of diagnoses, the autoencoder and the diffusion model are generators that were tried in place of pseudo-people and
are not in the package.

- "row": rank-1 of the strongest of {attackers}, retrained on the release, from single beats (47 people; fitted on and
  enrolled with the first half of each record, probed with the second);
- "presence", "copies", "disclosure": the audit's, where 24 of the 47 are fitted on and released; chance .50, .05 and 0;
- "canary": share of people whose coin flip, released in place of the diagnosis, is read by who holds other recordings
  ({flips} flips); chance .50;
- "new patients": trained on the release of 22 people and tested on originals of 22 others, accuracy and macro-F1 of N,
  S, V, mean of a perceptron and a convolutional network, with the difference to training on originals in points.

In brackets 95 % intervals over people. One seed of a network moves its macro-F1 by some points: five are in
:doc:`new_patients`. The figure draws presence and canary
against the macro-F1 on new patients: left and high is good.

.. figure:: frontier.svg
   :alt: Two scatter plots: presence and canary of each anonymizer against macro-F1 on new patients.
"""
_COMMAND = "tox run -e study -- frontier"
_FLIPS = 2
_MARKERS = "osD^v<>PX*ph"


class Originals(TransformerMixin, BaseEstimator):
    """Releases what it is given."""

    __metadata_request__fit = {"subjects": True}
    __metadata_request__transform = {"subjects": True}

    def fit(self, X, y, *, subjects=None):
        """Learn nothing."""
        return self

    def transform(self, X, *, subjects=None):
        """Return `X`."""
        return X


ANONYMIZERS = {"originals": Originals(), **RELEASES}


@memory.cache
def one_row(name, seed):
    """Return one anonymizer's figures with one seed; kept, so that a run cut short goes on where it was."""
    anonymizer = clone(ANONYMIZERS[name])
    if "random_state" in anonymizer.get_params():
        anonymizer.set_params(random_state=seed)
    beats = load_beats(seed)
    enrolled = beats.sessions == 0
    fitted = clone(anonymizer).fit(beats.X[enrolled], beats.y[enrolled], subjects=beats.subjects[enrolled])
    released = fitted.transform(beats.X, subjects=beats.subjects)
    row = {"release": name, "row": attack(beats, released, beats.y, QUICK, seed)["single"]}
    row |= told_of_members(anonymizer, beats, seed)
    old, new = predictions(None, seed), predictions(None if name == "originals" else name, seed)
    values = [np.mean([measure(which[1], said) for said in which[0].values()], axis=0)[:2] for which in (old, new)]
    for i, column in enumerate(("new patients, accuracy", "new patients, macro-F1")):
        row[column], row[f"{column}, points"] = values[1][i], 100 * (values[1][i] - values[0][i])
    return row


def run(seed=SEED):
    """Run the study; its page is written anew after each anonymizer."""
    page, rows = None, []
    for name, anonymizer in ANONYMIZERS.items():
        row = {column: cell(column, [value]) for column, value in one_row(name, seed).items()}
        row["canary"] = cell("canary", [canary(anonymizer, _FLIPS)])
        rows.append(row)
        print(row, flush=True)
        page = _write(seed, rows)
    return page


def _write(seed, rows):
    table = pd.DataFrame(rows)
    for column in ("new patients, accuracy", "new patients, macro-F1"):
        points = table.pop(f"{column}, points")
        table[column] = [f"{v} ({float(p):+.1f})" for v, p in zip(table[column], points, strict=True)]
    _draw(table)
    text = TEXT.format(seed=seed, attackers=", ".join(QUICK), flips=_FLIPS)
    title = "Every anonymizer: what threats get, against use on new patients"
    return write_page("frontier", title, text, [("MIT-BIH", table)], _COMMAND)


def _draw(table):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    macro = [float(text.split()[0]) for text in table["new patients, macro-F1"]]
    for ax, threat in zip(axes, ("presence", "canary"), strict=True):
        risk = [float(text.split()[0]) for text in table[threat]]
        ax.axvline(0.5, color="0.7", linestyle=":")
        for number, (name, x, y) in enumerate(zip(table["release"], risk, macro, strict=True)):
            ax.scatter(
                x, y, marker=_MARKERS[number % len(_MARKERS)], color=f"C{number % 10}", label=name, alpha=0.8, s=50
            )
        ax.set_xlabel(
            {"presence": "presence: area under the ROC curve", "canary": "canary: people whose coin is read"}[threat]
        )
        ax.grid(color="0.93")
        ax.set_axisbelow(True)
    axes[0].set_ylabel("macro-F1 on new patients")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    with replacing(FOLDER / "frontier.svg") as beside:
        figure.savefig(beside, format="svg", metadata={"Date": None})
