"""Who was in the cohort that the tool was fitted on."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skagile import metrics
from skagile._arrays import rank_within
from skagile.audit.threats._traits import MAX_BEATS, N_FOLDS, auroc_of_people


def infer_membership(what, members, release, settings):
    """Tell who was in the anonymizer's training cohort from how his beats lie to the release.

    Features of a person: how far his beats were moved, and how near his originals lie to any released beat. People
    are judged by a logistic regression trained on the others.
    """
    del what
    chosen = np.flatnonzero(rank_within(release.subject) < MAX_BEATS)
    original, released = release.beats["original"][chosen], release.beats["released"][chosen]
    owner = release.subject[chosen]
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
    folds = StratifiedKFold(int(min(N_FOLDS, np.bincount(truth).min())), shuffle=True, random_state=settings.seed)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_predict(model, of_person.to_numpy(), truth, cv=folds, method="decision_function")
    return {
        **auroc_of_people(truth, scores, people, settings),
        "n_members": int(truth.sum()),
        "n_others": int(len(truth) - truth.sum()),
    }
