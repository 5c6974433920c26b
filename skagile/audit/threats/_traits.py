"""What a release says of people besides their names: traits, such as sex and age."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from skagile import metrics
from skagile._arrays import rank_within
from skagile._seeds import with_seed
from skagile.attackers import default_estimator
from skagile.audit._measurement import Job, Measurement, Row, Sources, in_words
from skagile.audit._settings import fit, log_proba, with_interval
from skagile.audit._with_leads import of_leads
from skagile.audit.use import SOURCES

N_FOLDS = 5
_MIN_PER_VALUE = 5
MAX_BEATS = 50  # of each person, for traits and membership: what is asked of them is of the person, not of the beat
_N_PERMUTATIONS = 999


def check_attributes(attributes, subject, row, n_rows):
    """Binary value of each person, NaN where unknown, by name of the attribute; and those left out, with the reason."""
    traits, not_run = {}, []
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
            traits[name] = {"person": person, "kind": "numeric" if numeric else "binary", "meaning": meaning}
    return traits, not_run


class Traits(Measurement):
    """Whether traits can be read off the beats of people whose trait the attacker was not told."""

    name = "traits"

    def __init__(self, inputs):
        self.inputs = inputs
        estimator = with_seed(
            default_estimator(inputs.estimators.attribute_estimator, "attribute_estimator"), inputs.settings.seed
        )
        self._given = {
            "estimator": of_leads(estimator, inputs.release.n_leads),
            "parts": Sources(inputs.parts["beats"], SOURCES),
            "seed": inputs.settings.seed,
        }

    def jobs(self):
        return [
            Job(
                f"{name} trained on {source}",
                infer_trait,
                {**self._given, "person": trait["person"], "source": source, "tested_on": tested_on},
                measure_trait,
                {"name": name, "kind": trait["kind"], "meaning": trait["meaning"], "source": source},
            )
            for name, trait in self.inputs.traits.items()
            for source, tested_on in (("original", SOURCES), ("released", ("released",)))
        ]

    def rows(self, results):
        """Give a row for each trait, what was trained on and what was tested on."""
        return [_row(detail) for result in results for detail in result]


def _row(detail):
    value, low, high, control = (detail[key] for key in ("auroc", "auroc_low", "auroc_high", "control"))
    name = f"{detail['name']}, trained on {detail['trained_on']}, tested on {detail['tested_on']}"
    sentence = (
        f"Area under the ROC curve of telling {name}: {in_words(value, low, high, percent=False)}; with people "
        f"shuffled it is {control:.2f} at most, 19 times of 20."
    )
    return Row(name, value, low, high, control, sentence, detail)


def infer_trait(what, *, estimator, parts, person, source, tested_on, seed):
    """Train a classifier of a trait on some people and test it on others, in turns.

    `person` holds the binary value of each person, NaN where it is unknown.
    """
    part = parts[source]
    people = np.flatnonzero(~np.isnan(person))
    fewest = min((person == value).sum() for value in (0.0, 1.0))
    folds = StratifiedKFold(int(min(N_FOLDS, fewest)), shuffle=True, random_state=seed)
    usable = np.isin(part.subject, people) & (rank_within(part.subject) < MAX_BEATS)
    scores = {on: np.full(len(part.subject), np.nan) for on in tested_on}
    for train, test in folds.split(people, person[people]):
        of_train = usable & np.isin(part.subject, people[train])
        of_test = usable & np.isin(part.subject, people[test])
        fitted = fit(what, estimator, part.X[of_train], person[part.subject[of_train]].astype(int))
        for on in tested_on:
            log_odds = log_proba(fitted, parts[on].X[of_test])
            scores[on][of_test] = log_odds[:, 1] - log_odds[:, 0]
    outcome = {"n_subjects": len(people), "tested": {}}
    for on, of_beats in scores.items():
        scored = ~np.isnan(of_beats)
        owner = part.subject[scored]
        outcome["tested"][on] = {"truth": person[owner].astype(int), "scores": of_beats[scored], "people": owner}
    return outcome


def measure_trait(outcome, settings, *, name, kind, meaning, source):
    """Measure how well a trait was read; each person is scored by the mean of their beats."""
    return [
        {
            "name": name,
            "kind": kind,
            "meaning": meaning,
            "trained_on": source,
            "tested_on": on,
            **auroc_of_people(scored["truth"], scored["scores"], scored["people"], settings),
            "n_subjects": outcome["n_subjects"],
        }
        for on, scored in outcome["tested"].items()
    ]


def auroc_of_people(truth, scores, people, settings):
    """Area under the ROC curve over people with its interval, and the 95th percentile where people are shuffled."""
    result = metrics.attribute_auroc(truth, scores, people, **settings.resampling)
    null = metrics.attribute_null(truth, scores, people, n_permutations=_N_PERMUTATIONS, random_state=settings.seed)
    return {**with_interval("auroc", result.auroc, result.interval), "control": float(np.quantile(null, 0.95))}
