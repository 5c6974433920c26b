"""The fits of an audit, and what each is asked."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from skagile.attackers import FRONT_ENDS
from skagile.audit.threats._identity import Question, attack, attack_from_outside, attack_strangers, denoise


class Job(NamedTuple):
    """A fit with the questions it answers. Strings among the arguments name no array; parts are bound late."""

    function: Callable
    what: str
    arguments: tuple
    task: str | None = None
    name: str | None = None
    kind: str | None = None  # whose parts are put in the place of PARTS

    def bind(self, parts):
        """Put the parts that this job needs in their place."""
        if self.kind is None:
            return self
        wanted = [self.arguments[SOURCE]]
        if self.function is attack:
            wanted += [question.source for question in self.arguments[SOURCE + 1]]
        arguments = list(self.arguments)
        arguments[PARTS] = only(parts[self.kind], dict.fromkeys(wanted))
        return self._replace(arguments=tuple(arguments))


PARTS, SOURCE = 2, 3  # places among the arguments of the functions that attack


def only(parts, sources):
    return {source: parts[source] for source in sources}


def denoise_jobs(release, settings, knowledge, attackers):
    """Jobs that clean the release, by front end."""
    if "adaptive+denoise" not in knowledge or not any(attacker.known.cleans for attacker in attackers.values()):
        return {}
    front_ends = [name for name in FRONT_ENDS if name == "learned" or settings.sampling_rate is not None]
    return {
        name: Job(
            denoise,
            f"denoiser {name}",
            (name, release.beats["original"], release.beats["released"], release.enrolment),
        )
        for name in front_ends
    }


def attack_jobs(attackers, parts, knowledge, front_ends, external, settings):
    """Every fit of an attacker, with what it is asked."""
    jobs = []
    for name, attacker in attackers.items():
        kind = attacker.known.kind
        there = parts[kind]
        questions = {"original": [], "released": [], "auxiliary": []}
        if "original" in there and "clean" in knowledge:
            questions["original"].append(Question("original", "clean"))
        if "original" in there and "static" in knowledge:
            questions["original"].append(Question("released", "static"))
        if "adaptive" in knowledge:
            questions["released"].append(Question("released", "adaptive"))
        if kind == "beats" and "auxiliary" in knowledge:
            questions["auxiliary"].append(Question("released", "auxiliary"))
        if attacker.known.cleans:
            for front_end in front_ends:
                cleaned = Question(front_end, "adaptive+denoise", f" + {front_end}")
                questions["original"].append(cleaned._replace(suffix=f" (originals) + {front_end}"))
                questions[front_end] = [cleaned]
        for source, asked in questions.items():
            if asked:
                what = f"{name} trained on {source}"
                jobs.append(Job(attack, what, (name, attacker, None, source, asked), None, name, kind))
        if kind != "beats" or not attacker.known.embeds or not hasattr(attacker.estimator, "transform"):
            continue
        if "open_set" in knowledge:
            for number, fold in enumerate(_folds(there["released"], settings.seed)):
                what = f"{name} on strangers {number + 1}"
                arguments = (name, attacker, None, "released", fold)
                jobs.append(Job(attack_strangers, what, arguments, None, name, kind))
        if "cross_database" in knowledge:
            arguments = (name, attacker, None, "released", external)
            jobs.append(Job(attack_from_outside, f"{name} from another database", arguments, None, name, kind))
    return jobs


def _folds(part, seed):
    """Two masks over subjects that share them out."""
    people = np.random.RandomState(seed).permutation(part.subject.max() + 1)
    first = np.zeros(len(people), dtype=bool)
    first[people[: len(people) // 2]] = True
    return first, ~first
