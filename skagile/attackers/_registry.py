"""Attackers and knowledge the audit knows by name."""

from collections.abc import Collection, Iterable
from importlib import import_module
from typing import NamedTuple

from sklearn.base import BaseEstimator

# Where each public name is defined. Imported on first use: the networks load torch, and an audit by other attackers
# does without.
HOME_OF = {
    "BeatDenoiser": "_denoiser",
    "DeepECGIdentifier": "_deep_ecg",
    "FiducialIdentifier": "_fiducial",
    "LabelCountingIdentifier": "_label_counting",
    "LowOrderIdentifier": "_low_order",
    "RRIdentifier": "_rr",
    "RowOrderIdentifier": "_row_order",
    "SVDIdentifier": "_svd",
    "SiameseIdentifier": "_siamese",
    "TransECGIdentifier": "_transecg",
    "row_positions": "_row_order",
}


class Known(NamedTuple):
    """An attacker the audit knows by name."""

    class_name: str
    settings: dict = {}
    kind: str = "beats"  # what it looks at: "beats", "intervals" (RR), "order" (of rows) or "order_within" (a part)
    needs: tuple = ()  # settings of the audit it is made with
    counts: bool = False  # fitted with the diagnoses
    embeds: bool = False  # its embedding tells people apart who were not in its training
    cleans: bool = False  # stands to gain from a denoised release


ATTACKERS = {
    "svd": Known("SVDIdentifier", embeds=True, cleans=True),
    # The last to be misled by noise that was made against networks.
    "nearest_neighbour": Known("SVDIdentifier", {"classifier": "neighbour"}, cleans=True),
    "deep_ecg": Known("DeepECGIdentifier", embeds=True, cleans=True),
    "siamese": Known("SiameseIdentifier", embeds=True, cleans=True),
    "transecg": Known("TransECGIdentifier", embeds=True, cleans=True),
    "fiducial": Known("FiducialIdentifier", needs=("sampling_rate", "window")),
    "low_order": Known("LowOrderIdentifier"),
    "label_counting": Known("LabelCountingIdentifier", counts=True),
    "rr": Known("RRIdentifier", kind="intervals"),
    "row_order": Known("RowOrderIdentifier", kind="order"),
    "row_order_within": Known("RowOrderIdentifier", kind="order_within"),
}


class Attacker(NamedTuple):
    """An attacker of this audit."""

    estimator: object
    known: Known


# What the attacker learns from, and what they are tested on.
KNOWLEDGE = (
    "clean",
    "static",
    "adaptive",
    "adaptive+denoise",
    "open_set",
    "cross_database",
    "auxiliary",
)
# Those that fit in seconds, and the strongest network.
QUICK = ("svd", "nearest_neighbour", "deep_ecg", "fiducial", "low_order", "label_counting")
FRONT_ENDS = ("band_pass", "learned")


def check_choice(chosen: str | Iterable[str], known: Collection[str], *, name: str) -> tuple[str, ...]:
    """`chosen` as a tuple in the order of `known`."""
    chosen = (chosen,) if isinstance(chosen, str) else tuple(chosen)
    unknown = [choice for choice in chosen if choice not in known]
    if unknown or not chosen:
        problem = f"holds {unknown[0]!r}" if unknown else "is empty"
        raise ValueError(f"{name} {problem}; choose from {', '.join(map(repr, known))}.")
    return tuple(choice for choice in known if choice in chosen)


def check_attackers(
    attackers: str | Iterable[str | BaseEstimator] | dict[str, str | BaseEstimator], given: dict[str, object]
) -> tuple[dict[str, Attacker], list[list[str]]]:
    """Give a dict from name to unfitted :class:`Attacker`, and a list of (name, why) of those that cannot be run.

    Parameters
    ----------
    attackers : "all", "quick", str, list or dict
        As :func:`~skagile.audit.audit_release` takes them.
    given : dict
        Settings of the audit by name; None where not given.
    """
    everything = isinstance(attackers, str) and attackers in ("all", "quick")
    if everything:
        attackers = list(ATTACKERS if attackers == "all" else QUICK)
    elif isinstance(attackers, str):
        attackers = [attackers]
    if not attackers:
        raise ValueError(f"attackers is empty; choose from {', '.join(map(repr, ATTACKERS))}, or give classifiers.")
    named = attackers.items() if isinstance(attackers, dict) else ((None, attacker) for attacker in attackers)
    chosen, not_run = {}, []
    for name, attacker in named:
        known = Known("", embeds=True, cleans=True)
        if isinstance(attacker, str):
            if attacker not in ATTACKERS:
                raise ValueError(
                    f"attackers holds {attacker!r}, which is unknown; choose from {', '.join(map(repr, ATTACKERS))}, "
                    "or give a classifier."
                )
            name = attacker if name is None else str(name)
            known = ATTACKERS[attacker]
            lacks = _lacks(known, given)
            if lacks and everything:
                not_run.append([f"attacker {name}", lacks])
                continue
            if lacks:
                raise ValueError(f"attackers holds {attacker!r}, which cannot be run: {lacks}.")
            attacker = _make(known, given)
        elif not hasattr(attacker, "fit") or not hasattr(attacker, "predict_proba"):
            raise ValueError(
                f"attackers holds {attacker!r}, which lacks fit or predict_proba; an attacker is a classifier of "
                "subjects that gives probabilities. Wrap it in CalibratedClassifierCV, for one."
            )
        name = type(attacker).__name__ if name is None else str(name)
        chosen[free_name(name, chosen)] = Attacker(attacker, known)
    return chosen, not_run


def free_name(name, taken):
    """Give `name`, with a number behind it where it is taken."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _lacks(known, given):
    """Say what an attacker lacks that the caller did not give."""
    if "sampling_rate" in known.needs and given["sampling_rate"] is None:
        return "it measures intervals, and no sampling_rate was given"
    if known.kind == "intervals" and given["times"] is None:
        return "it reads beat times, and none were given (times, released_times)"
    if known.kind.startswith("order") and given["release_order"] is None:
        return "it reads the order of the released rows, and none was given (release_order)"
    return None


def _make(known, given):
    # Here and not on top: attackers load torch, which an audit by other attackers does without.
    home = import_module(f"skagile.attackers.{HOME_OF[known.class_name]}")
    settings = {name: given[name] for name in known.needs}
    return getattr(home, known.class_name)(**settings, **known.settings)


def known_estimator(name: str) -> BaseEstimator:
    """Unfitted estimator of a name that needs nothing."""
    return _make(ATTACKERS[name], {})


def default_estimator(estimator: str | BaseEstimator, name: str) -> BaseEstimator:
    """Classifier of diagnoses or traits: the attackers' network by default."""
    if isinstance(estimator, str) and estimator in ("default", "svd", "deep_ecg"):
        return known_estimator("deep_ecg" if estimator == "default" else estimator)
    if not hasattr(estimator, "fit") or not hasattr(estimator, "predict"):
        raise ValueError(f"{name} is {estimator!r}; expected a classifier, 'default', 'svd' or None.")
    return estimator
