"""Fields of the fitted state of `KSameAnonymizer`."""

from collections.abc import Iterator

import numpy as np

from skagile._state import Choice, Field, Labels, Number, Optional, Piece, beats_in, blank, check
from skagile._state_reports import Entries, Report, Scalar
from skagile.anonymizers._ksame._model import Model
from skagile.anonymizers._ksame._nets import nets_field
from skagile.anonymizers._ksame._rhythm import GroupRhythm


def fields_of(ksame) -> Iterator[Field]:
    """Fields of a `KSameAnonymizer`, of its pieces' states and of what it tells."""
    yield Labels("classes_", least=1)
    yield Labels("subjects_")
    yield from beats_in(ksame)
    yield Optional("_seed", Number("_seed", low=0))
    names = ("chance", "disclosure", "single", "fused")
    yield Report("expected_leakage_", tuple(_share(name) for name in names), ("fused",))
    yield _summary(list(ksame.keep))
    yield nets_field(ksame)
    yield Piece("_model", lambda: Model.blank(ksame))
    n_samples = ksame._model.basis.n_samples
    check(n_samples == ksame._n_made, "KSameAnonymizer._model", f"makes beats of {n_samples} samples")
    ksame.groups_ = ksame._model.partition.groups
    sizes, n_keys = np.bincount(ksame.groups_).tolist(), len(ksame._model.small_keys.numbers)
    right = ksame.summary_["group_sizes"] == sizes and ksame.summary_["n_keys"] == n_keys
    check(right, "KSameAnonymizer.summary_", f"does not tell of groups of {sizes} subjects and {n_keys} keys")
    small = ksame.summary_.get("small_rhythms")
    yield Optional("_rhythm", Piece("_rhythm", lambda: blank(GroupRhythm, small=small)))
    check((ksame._rhythm is None) == (small is None), "KSameAnonymizer.summary_", "does not tell of the rhythm")
    if ksame._rhythm is not None:
        right = ksame._rhythm.shape == (len(ksame.subjects_), len(sizes), len(ksame.classes_))
        check(right, "KSameAnonymizer._rhythm", f"is of {ksame._rhythm.shape} subjects, groups and diagnoses")
        yield Optional("_rhythm_seed", Number("_rhythm_seed", low=0))


def _summary(facts):
    """Field of the ``summary_`` with these facts."""
    # A dict as in `Keys.describe`: a fact may have the name of another entry, and is then told in its place.
    small_key = {
        "group": Number("group", low=0),
        "diagnosis": Scalar("diagnosis"),
        **{name: Scalar(name) for name in facts},
        "n_subjects": Number("n_subjects", low=1),
        "n_beats": Number("n_beats", low=1),
        "done": _DONE,
    }
    small_rhythm = (Number("group", low=0), Scalar("diagnosis"), Number("n_subjects", low=0), _DONE)
    return Report(
        "summary_",
        (
            Entries("group_sizes", Number("size", low=1)),
            Number("n_keys", low=1),
            Entries("small_keys", Report("small_key", tuple(small_key.values()))),
            _share("small_key_share"),
            _share("accepted_first"),
            _share("accepted"),
            Entries("small_rhythms", Report("small_rhythm", small_rhythm, ("diagnosis",))),
            Report("privacy", (_above_zero("epsilon"), _share("delta"), Scalar("covers"))),
        ),
        ("accepted_first", "accepted", "small_rhythms", "privacy"),
    )


_DONE = Choice("done", ("borrowed", "suppressed"))


def _above_zero(name):
    return Number(name, float, low=0)


def _share(name):
    return Number(name, float, low=0, high=1)
