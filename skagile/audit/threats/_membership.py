"""Who was in the cohort that the tool was fitted on."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skagile import metrics
from skagile._arrays import rank_within
from skagile.audit._measurement import Job, Measurement, Row, in_words
from skagile.audit.threats._traits import MAX_BEATS, N_FOLDS, auroc_of_people


class Membership(Measurement):
    """Whether it can be told that a person was among those that the anonymizer was fitted on."""

    name = "membership"

    def __init__(self, inputs):
        self.inputs = inputs

    def jobs(self):
        release, settings = self.inputs.release, self.inputs.settings
        given = {
            "members": self.inputs.members,
            "original": release.beats["original"],
            "released": release.beats["released"],
            "subject": release.subject,
            "seed": settings.seed,
        }
        return [Job("membership", infer_membership, given, measure_membership)]

    def rows(self, results):
        """Give one row."""
        (detail,) = results
        value, low, high, control = (detail[key] for key in ("auroc", "auroc_low", "auroc_high", "control"))
        sentence = (
            "Area under the ROC curve of telling who was in the anonymizer's training cohort: "
            f"{in_words(value, low, high, percent=False)}; with people shuffled it is {control:.2f} at most, "
            "19 times of 20."
        )
        return [Row("membership", value, low, high, control, sentence, detail)]


def infer_membership(what, *, members, original, released, subject, seed):
    """Tell who was in the anonymizer's training cohort from how their beats lie to the release.

    Features of a person: how far their beats were moved, and how near their originals lie to any released beat. People
    are judged by a logistic regression trained on the others.
    """
    del what
    chosen = np.flatnonzero(rank_within(subject) < MAX_BEATS)
    original, released, owner = original[chosen], released[chosen], subject[chosen]
    nearest = 1 - metrics.nearest_rows(original, released)[1]
    features = pd.DataFrame(
        {
            "prdn": metrics.prdn(original, released),
            "error": metrics.max_abs_error(original, released),
            "nearest": nearest,
        }
    ).replace([np.inf, -np.inf], np.nan)
    of_person = features.groupby(owner).agg(["mean", "std"]).fillna(0.0)
    people = of_person.index.to_numpy()
    truth = members[people].astype(int)
    folds = StratifiedKFold(int(min(N_FOLDS, np.bincount(truth).min())), shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_predict(model, of_person.to_numpy(), truth, cv=folds, method="decision_function")
    return {"truth": truth, "scores": scores, "people": people}


def measure_membership(outcome, settings):
    """Measure how well members were told, over people."""
    truth = outcome["truth"]
    return {
        **auroc_of_people(truth, outcome["scores"], outcome["people"], settings),
        "n_members": int(truth.sum()),
        "n_others": int(len(truth) - truth.sum()),
    }
