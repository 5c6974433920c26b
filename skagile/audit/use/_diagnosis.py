"""What a classifier of diagnoses, or of another task, reads off a release, and off new patients."""

import numpy as np

from skagile import metrics
from skagile.attackers import check_choice
from skagile.audit._measurement import Job, Measurement, Row, Sources, in_words
from skagile.audit._settings import fit, with_interval
from skagile.audit.use import SOURCES

NEW_PATIENTS = "new patients"


class Diagnosis(Measurement):
    """What is read of the diagnosis (task None) and of other tasks, trained and tested on both sides.

    Where there are new patients, the diagnosis is read of them too, who are in neither side: this is the use of a
    release. What a network trained on the release reads of the same people's other beats is *recall of the cohort*: it
    rewards a release for remembering people.
    """

    name = "diagnosis"

    def __init__(self, inputs):
        self.inputs = inputs
        chosen = inputs.estimators.diagnostic_training
        self._training = check_choice(chosen, SOURCES, name="diagnostic_training")
        for task, (code, _, known) in inputs.tasks.items():
            check_labels_both_sides(code, known, inputs.release, "y" if task is None else f"tasks[{task!r}]")

    def jobs(self):
        new = self.inputs.new_patients
        return [
            Job(
                f"{'diagnosis' if task is None else f'task {task}'} trained on {source}",
                diagnose,
                {
                    "estimator": self.inputs.diagnostician,
                    "parts": Sources(self.inputs.parts["beats"], SOURCES),
                    "source": source,
                    "label": code,
                    "known": known,
                    "new": None if task is not None or new is None else new.X,
                },
                measure_diagnosis,
                {"task": task, "source": source, "names": names, "new": new if task is None else None},
            )
            for task, (code, names, known) in self.inputs.tasks.items()
            for source in self._training
        ]

    def rows(self, results):
        """Give a row for each task, what was trained on and what was tested on."""
        return [_row(detail) for result in results for detail in result]


def _row(detail):
    task = detail.get("task", "diagnosis")
    name = f"{task}, trained on {detail['trained_on']}, tested on {detail['tested_on']}"
    value, low, high = (detail[key] for key in ("accuracy", "accuracy_low", "accuracy_high"))
    guess = max(detail["support"].values()) / max(detail["n_probe"], 1)
    over = "" if detail["interval_over"] == "people" else ", over beats"
    sentence = (
        f"{name[0].upper()}{name[1:]}: right for {in_words(value, low, high)} of {detail['n_probe']} beats{over}; the "
        f"commonest answer is right for {in_words(guess, None, None)}."
    )
    return Row(name, value, low, high, guess, sentence, detail)


def diagnose(what, *, estimator, parts, source, label, known, new):
    """Train a classifier of `label` on one source and test it on both, and on the beats `new`, where there are any.

    `known` is a mask of the beats that have a label.
    """
    part = parts[source]
    enrolment, probe = part.enrolment[known[part.enrolment]], part.probe[known[part.probe]]
    fitted = fit(what, estimator, part.X[enrolment], label[enrolment])
    predicted = {on: np.asarray(fitted.predict(parts[on].X[probe])) for on in SOURCES}
    if new is not None:
        predicted[NEW_PATIENTS] = np.asarray(fitted.predict(new))
    return {"truth": label[probe], "person": part.subject[probe], "predicted": predicted}


def measure_diagnosis(outcome, settings, *, task, source, names, new):
    """Measure what was read right, over people."""
    predicted = outcome["predicted"]
    agreement = float(np.mean(predicted["original"] == predicted["released"]))
    results = []
    for on, said in predicted.items():
        truth, person, known = (outcome["truth"], outcome["person"], True) if on in SOURCES else new[1:]
        utility = metrics.diagnostic_utility(truth, said, subjects=person, **settings.resampling)
        classes = [str(names[code]) for code in utility.labels]
        results.append(
            {
                **({} if task is None else {"task": task}),
                "trained_on": source,
                "tested_on": on,
                **with_interval("accuracy", utility.accuracy, utility.accuracy_interval),
                **with_interval("macro_f1", utility.macro_f1, utility.macro_f1_interval),
                "interval_over": "people" if known else "beats",
                "agreement": agreement if on in SOURCES else None,
                "sensitivity": dict(zip(classes, utility.sensitivity.tolist(), strict=True)),
                "predictivity": dict(zip(classes, utility.predictivity.tolist(), strict=True)),
                "support": dict(zip(classes, utility.support.tolist(), strict=True)),
                "n_subjects": len(np.unique(person)) if known else None,
                "n_probe": len(truth),
            }
        )
    return results


def check_labels_both_sides(label, known, release, name):
    """Raise ValueError where there is nothing to train or to test on."""
    for side, index in (("enrol", release.enrolment), ("are probed", release.probe)):
        index = index[known[index]]
        if len(np.unique(label[index])) < 2 and side == "enrol":
            raise ValueError(
                f"{name} holds one class among the beats that enrol; a diagnosis needs at least 2. Give sessions=None, "
                "or diagnostic_estimator=None to leave utility out."
            )
        if len(np.unique(release.subject[index])) < 2:
            raise ValueError(f"{name} is known of fewer than 2 people among the beats that {side}.")
