"""Whose row is it: attackers who enrol people on some of their beats and name them from the others."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skagile import metrics
from skagile._validation import LEAST_SPREAD
from skagile.attackers import FRONT_ENDS
from skagile.audit._measurement import Job, Measurement, Row, Sources, in_words
from skagile.audit._settings import fit, log_proba
from skagile.audit._with_leads import with_leads
from skagile.audit.threats._recognition import Recognised, measure_attack, recognise


class Question(NamedTuple):
    """What a trained attacker is tested on, and as what it counts."""

    source: str
    knowledge: str
    suffix: str = ""  # to the attacker's name


@dataclass(frozen=True, eq=False)
class IdentityRow(Row):
    """A row with the answers that it was made of: the headline corrects for picking the worst of them."""

    recognised: Recognised


class Identity(Measurement):
    """Every attacker with every knowledge."""

    name = "identity"

    def __init__(self, inputs, front_ends):
        self.inputs, self.front_ends = inputs, front_ends
        folds = _folds(inputs.parts["beats"]["released"], inputs.settings.seed)
        self._planned = [
            planned for name, attacker in inputs.attackers.items() for planned in self._jobs_of(name, attacker, folds)
        ]

    def jobs(self):
        return [job for job, _, _ in self._planned]

    def rows(self, results):
        """Rows by knowledge, then by attacker, in the order asked for; the halves of an open-set attack as one."""
        by_name, halves = [], {}
        for (_, name, fold), result in zip(self._planned, results, strict=True):
            if fold is None:
                by_name += [(name, Recognised(**entry)) for entry in result]
            else:
                halves.setdefault(name, []).append((fold, result))
        for name, of_name in halves.items():
            answer = _join(of_name, self.inputs.parts["beats"]["released"])
            by_name.append((name, recognise(name, "open_set", answer, self.inputs.settings)))
        order = [(known, name) for known in self.inputs.knowledge for name in self.inputs.attackers]
        by_name.sort(key=lambda pair: order.index((pair[1].row["knowledge"], pair[0])))
        return [_row(recognised) for _, recognised in by_name]

    def _jobs_of(self, name, attacker, folds):
        """Jobs of one attacker, each with the attacker's name and, of the open set, the people to be recognised."""
        inputs, estimator = self.inputs, attacker.estimator
        parts = inputs.parts[attacker.known.kind]
        for source, questions in self._questions(attacker).items():
            if questions:
                needed = dict.fromkeys([source, *(question.source for question in questions)])
                given = {
                    "estimator": estimator,
                    "parts": Sources(parts, tuple(needed)),
                    "source": source,
                    "questions": questions,
                    "counts": attacker.known.counts,
                    "sampling_rate": inputs.settings.sampling_rate,
                    "window": inputs.settings.window,
                }
                names = [(name + question.suffix, question.knowledge) for question in questions]
                yield Job(f"{name} trained on {source}", attack, given, measure_attack, {"names": names}), name, None
        if attacker.known.kind != "beats" or not attacker.known.embeds or not hasattr(estimator, "transform"):
            return
        given = {"estimator": estimator, "parts": Sources(parts, ("released",)), "source": "released"}
        if "open_set" in inputs.knowledge:
            for number, fold in enumerate(folds):
                what = f"{name} on strangers {number + 1}"
                yield Job(what, attack_strangers, {**given, "strangers": fold}), name, fold
        if "cross_database" in inputs.knowledge:
            about = {"names": [(name, "cross_database")]}
            given = {**given, "external": inputs.external}
            yield Job(f"{name} from another database", attack_from_outside, given, measure_attack, about), name, None

    def _questions(self, attacker):
        """Give what an attacker is tested on, by what it is trained on."""
        kind, knowledge = attacker.known.kind, self.inputs.knowledge
        questions = {"original": [], "released": [], "auxiliary": []}
        if "original" in self.inputs.parts[kind]:
            if "clean" in knowledge:
                questions["original"].append(Question("original", "clean"))
            if "static" in knowledge:
                questions["original"].append(Question("released", "static"))
        if "adaptive" in knowledge:
            questions["released"].append(Question("released", "adaptive"))
        if kind == "beats" and "auxiliary" in knowledge:
            questions["auxiliary"].append(Question("released", "auxiliary"))
        if attacker.known.cleans:
            for front_end in self.front_ends:
                cleaned = Question(front_end, "adaptive+denoise", f" + {front_end}")
                questions["original"].append(cleaned._replace(suffix=f" (originals) + {front_end}"))
                questions[front_end] = [cleaned]
        return questions


def _folds(part, seed):
    """Two masks over subjects that share them out."""
    people = np.random.RandomState(seed).permutation(part.subject.max() + 1)
    first = np.zeros(len(people), dtype=bool)
    first[people[: len(people) // 2]] = True
    return first, ~first


def _join(halves, part):
    """One answer of the two halves of an open-set attack."""
    templates = halves[0][1]["templates"]
    scores = np.empty((len(part.probe), len(templates)))
    for fold, half in halves:
        scores[fold[part.probed]] = half["cosines"]
    return {"scores": None, "classes": None, "cosines": scores, "templates": templates, "probed": part.probed}


def _row(recognised):
    row = recognised.row
    value, low, high, null = (row[key] for key in ("rank1", "rank1_low", "rank1_high", "null_rank1"))
    sentence = (
        f"{row['attacker']} ({row['knowledge']}) named the right person from one beat in {in_words(value, low, high)} "
        f"of {row['n_probe']} beats; with people shuffled it is {in_words(null, None, None)} at most, 19 times of 20."
    )
    return IdentityRow(f"rank1 {row['attacker']} {row['knowledge']}", value, low, high, null, sentence, row, recognised)


# What goes to other processes.


def attack(what, *, estimator, parts, source, questions, counts, sampling_rate, window):
    """Train an attacker on one source and give its answers to every question that this training serves."""
    part = parts[source]
    X = part.X[part.enrolment]
    params = {}
    if counts and part.label is not None:
        params["diagnoses"] = part.label[part.enrolment]
    fitted = fit(what, estimator, X, part.enrolled, **params)
    embedded = fitted.transform(X) if hasattr(fitted, "transform") else None
    answers = []
    for question in questions:
        tested = parts[question.source]
        probe = tested.X[tested.probe]
        answer = {
            "scores": log_proba(fitted, probe),
            "classes": fitted.classes_,
            "cosines": None,
            "probed": tested.probed,
        }
        if embedded is not None:
            answer |= _compare(embedded, part.enrolled, fitted.transform(probe), tested.probed)
        if hasattr(fitted, "attention") and question.knowledge in ("clean", "adaptive"):
            answer["attention"] = _attention(fitted, probe, sampling_rate, window)
        answers.append(answer)
    return answers


def attack_strangers(what, *, estimator, parts, source, strangers):
    """Train the embedding on some people of the release, and compare the others' probes with everybody's templates.

    `strangers` is a mask over subjects: those to be recognised, of whom the embedding has seen nothing.
    """
    part = parts[source]
    unseen = strangers[part.enrolled]
    fitted = fit(what, estimator, part.X[part.enrolment][~unseen], part.enrolled[~unseen])
    embedded = fitted.transform(part.X[part.enrolment])
    index = part.probe[strangers[part.probed]]
    return _compare(embedded, part.enrolled, fitted.transform(part.X[index]), part.subject[index])


def attack_from_outside(what, *, estimator, parts, source, external):
    """Train the embedding on another database, enrol and probe in the release."""
    part = parts[source]
    fitted = fit(what, estimator, *external)
    compared = _compare(
        fitted.transform(part.X[part.enrolment]), part.enrolled, fitted.transform(part.X[part.probe]), part.probed
    )
    return [{"scores": None, "classes": None, "probed": part.probed, **compared}]


def _compare(embedded, enrolled, probe, probed):
    verification = metrics.verification_scores(embedded, enrolled, probe, probed)
    return {"cosines": verification.scores, "templates": verification.templates}


def _attention(fitted, probe, sampling_rate, window):
    """Mean attention on each sample, and its share on each wave."""
    attention = {"samples": fitted.attention(probe).mean(axis=0).tolist(), "waves": {}}
    if sampling_rate is not None:
        shares = fitted.wave_attention(probe, sampling_rate, window=window)
        attention["waves"] = {wave: float(share) for wave, share in shares["share"].items()}
    return attention


def denoise_jobs(inputs):
    """Jobs that clean the release, by front end; none where nobody stands to gain from it."""
    cleans = any(attacker.known.cleans for attacker in inputs.attackers.values())
    if "adaptive+denoise" not in inputs.knowledge or not cleans:
        return {}
    release, settings = inputs.release, inputs.settings
    given = {
        "original": release.beats["original"],
        "released": release.beats["released"],
        "enrolment": release.enrolment,
        "n_leads": release.n_leads,
        "sampling_rate": settings.sampling_rate,
        "seed": settings.seed,
    }
    return {
        # Never kept: what a learned denoiser makes of a release is nearly the originals again.
        front_end: Job(f"denoiser {front_end}", denoise, {"front_end": front_end, **given}, is_kept=False)
        for front_end in FRONT_ENDS
        if front_end == "learned" or settings.sampling_rate is not None
    }


def denoise(what, *, front_end, original, released, enrolment, sampling_rate, seed, n_leads=1):
    """Clean the release: by a band-pass, or by what the enrolled pairs of original and released beat teach."""
    del what
    # Here and not on top: it loads torch.
    from skagile.attackers import BeatDenoiser

    denoiser = BeatDenoiser(method=front_end, sampling_rate=sampling_rate, random_state=seed)
    given, clean = with_leads(released, n_leads), with_leads(original[enrolment], n_leads)
    denoiser.fit(given[enrolment], clean=clean if front_end == "learned" else None)
    cleaned = np.nan_to_num(denoiser.transform(given)).reshape(len(released) * n_leads, -1)
    # What is flat once it is clean holds nothing to attack; estimators refuse it.
    flat = np.ptp(cleaned, axis=1) < LEAST_SPREAD
    cleaned[flat] = released.reshape(cleaned.shape)[flat]
    return cleaned.reshape(released.shape)
