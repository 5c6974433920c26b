"""What a release gives away besides names: traits, membership, and the three risks of WP216."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skagile import metrics
from skagile._ranks import rank_within
from skagile.audit._attack import fit, log_proba, with_interval
from skagile.metrics._uniqueness import nearest_rows

_N_FOLDS = 5
_MIN_PER_VALUE = 5
_MAX_BEATS = 50  # of each person, for traits and membership: what is asked of them is of the person, not of the beat
_N_PERMUTATIONS = 999


def check_attributes(attributes, subject, row, n_rows):
    """Binary value of each person, NaN where unknown, by name of the attribute; and those left out, with the reason."""
    found, not_run = {}, []
    for name, values in ({} if attributes is None else dict(attributes)).items():
        name = str(name)
        if len(values) != n_rows:
            raise ValueError(
                f"attributes[{name!r}] has length {len(values)}, original has {n_rows} rows; give one value per row."
            )
        values = pd.Series(np.asarray(values))
        missing = values.isna() | (values.astype(str).str.strip() == "")
        numeric = pd.api.types.is_numeric_dtype(values) and values[~missing].nunique() > 2
        known = ~missing.to_numpy()[row]
        frame = pd.DataFrame({"subject": subject[known], "value": values.to_numpy()[row][known]})
        # A person has one value: the middle one of an age that rose between sessions, the commonest of a word.
        groups = frame.groupby("subject")["value"]
        if numeric:
            of_person = groups.median()
            binary = (of_person > of_person.median()).astype(float)
            meaning = f"above {of_person.median():g}"
        else:
            of_person = groups.agg(lambda entries: entries.mode().iloc[0])
            kinds = sorted(map(str, of_person.unique()))
            if len(kinds) > 2:
                raise ValueError(
                    f"attributes[{name!r}] holds {len(kinds)} values ({', '.join(kinds[:4])}, …); expected two words, "
                    "or numbers, which are split at their median. Join values, or give one attribute for each."
                )
            binary = (of_person.astype(str) == kinds[-1]).astype(float)
            meaning = kinds[-1] if kinds else ""
        person = np.full(subject.max() + 1, np.nan)
        person[binary.index.to_numpy(dtype=int)] = binary
        fewest = min((person == value).sum() for value in (0.0, 1.0))
        if fewest < _MIN_PER_VALUE:
            not_run.append([f"attribute {name}", f"one of its two values is known of {fewest} people only"])
        else:
            found[name] = {"person": person, "kind": "numeric" if numeric else "binary", "meaning": meaning}
    return found, not_run


def infer_attribute(what, name, attribute, estimator, parts, source, questions, settings):
    """Train a classifier of a trait on some people, ask about others, in turns; each person is scored by his mean."""
    part = parts[source]
    person = attribute["person"]
    people = np.flatnonzero(~np.isnan(person))
    fewest = min((person == value).sum() for value in (0.0, 1.0))
    folds = StratifiedKFold(int(min(_N_FOLDS, fewest)), shuffle=True, random_state=settings.seed)
    usable = np.isin(part.subject, people) & (rank_within(part.subject) < _MAX_BEATS)
    scores = {on: np.full(len(part.subject), np.nan) for on in questions}
    for train, test in folds.split(people, person[people]):
        of_train = usable & np.isin(part.subject, people[train])
        of_test = usable & np.isin(part.subject, people[test])
        fitted = fit(what, estimator, part.X[of_train], person[part.subject[of_train]].astype(int))
        for on in questions:
            log_odds = log_proba(fitted, parts[on].X[of_test])
            scores[on][of_test] = log_odds[:, 1] - log_odds[:, 0]
    results = []
    for on in questions:
        asked = ~np.isnan(scores[on])
        truth, owner = person[part.subject[asked]].astype(int), part.subject[asked]
        results.append(
            {
                "name": name,
                "kind": attribute["kind"],
                "meaning": attribute["meaning"],
                "trained_on": source,
                "tested_on": on,
                **_auroc(truth, scores[on][asked], owner, settings),
                "n_subjects": len(people),
            }
        )
    return results


def infer_membership(what, members, release, settings):
    """Tell who was in the anonymizer's training cohort from how his beats lie to the release.

    Features of a person: how far his beats were moved, and how near his originals lie to any released beat. People
    are judged by a logistic regression trained on the others.
    """
    del what
    chosen = np.flatnonzero(rank_within(release.subject) < _MAX_BEATS)
    original, released = release.beats["original"][chosen], release.beats["released"][chosen]
    owner = release.subject[chosen]
    nearest = 1 - nearest_rows(original, released)[1]
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
    folds = StratifiedKFold(int(min(_N_FOLDS, np.bincount(truth).min())), shuffle=True, random_state=settings.seed)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_predict(model, of_person.to_numpy(), truth, cv=folds, method="decision_function")
    return {
        **_auroc(truth, scores, people, settings),
        "n_members": int(truth.sum()),
        "n_others": int(len(truth) - truth.sum()),
    }


def _auroc(truth, scores, people, settings):
    """Area under the ROC curve over people with its interval, and the 95th percentile where people are shuffled."""
    found = metrics.attribute_auroc(truth, scores, people, **settings.resampling)
    null = metrics.attribute_null(truth, scores, people, n_permutations=_N_PERMUTATIONS, random_state=settings.seed)
    return {**with_interval("auroc", found.auroc, found.interval), "control": float(np.quantile(null, 0.95))}


def gdpr_risks(release, attacks, attributes, settings):
    """Singling out, linkability and inference (Article 29 Working Party, WP216), each beside its control."""
    probe = release.probe
    found = metrics.singling_out(
        release.beats["original"][probe],
        release.beats["released"][probe],
        release.subject[probe],
        **settings.resampling,
    )
    risks = {
        "singling_out": {
            "value": found.value,
            "low": found.interval.low,
            "high": found.interval.high,
            "control": float(found.control),
            "words": "share of released beats whose nearest original is of the right person; the control matches them "
            "with other people at random",
        },
        "linkability": None,
        "inference": None,
    }
    verified = [row for row in attacks if row["eer"] is not None and row["knowledge"] != "clean"]
    if verified:
        worst = min(verified, key=lambda row: row["eer"])
        risks["linkability"] = {
            "value": worst["eer"],
            "low": worst["eer_low"],
            "high": worst["eer_high"],
            "control": 0.5,
            "words": "equal error rate of the best attacker who says whether two released pieces are of one person; "
            "50 % is guessing, lower is worse",
        }
    on_release = [row for row in attributes if row["tested_on"] == "released"]
    if on_release:
        worst = max(on_release, key=lambda row: row["auroc"])
        risks["inference"] = {
            "value": worst["auroc"],
            "low": worst["auroc_low"],
            "high": worst["auroc_high"],
            "control": worst["control"],
            "words": f"area under the ROC curve of telling {worst['name']} from the release; 50 % is guessing",
        }
    return risks
