"""What a release gives away besides names: traits, membership, and the three risks of WP216."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from skagile import metrics
from skagile._arrays import rank_within
from skagile.audit.threats._identity import fit, log_proba, with_interval

N_FOLDS = 5
_MIN_PER_VALUE = 5
MAX_BEATS = 50  # of each person, for traits and membership: what is asked of them is of the person, not of the beat
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
    folds = StratifiedKFold(int(min(N_FOLDS, fewest)), shuffle=True, random_state=settings.seed)
    usable = np.isin(part.subject, people) & (rank_within(part.subject) < MAX_BEATS)
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
                **auroc_of_people(truth, scores[on][asked], owner, settings),
                "n_subjects": len(people),
            }
        )
    return results


def auroc_of_people(truth, scores, people, settings):
    """Area under the ROC curve over people with its interval, and the 95th percentile where people are shuffled."""
    found = metrics.attribute_auroc(truth, scores, people, **settings.resampling)
    null = metrics.attribute_null(truth, scores, people, n_permutations=_N_PERMUTATIONS, random_state=settings.seed)
    return {**with_interval("auroc", found.auroc, found.interval), "control": float(np.quantile(null, 0.95))}
