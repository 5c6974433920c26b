"""With what a report was made: versions, settings, hashes."""

import hashlib
import platform
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from skagile.attackers import ATTACKERS

_REAUDIT_AFTER = timedelta(days=365)


def describe(estimator):
    """Class and parameters on one line."""
    return " ".join(repr(estimator).split())


def versions():
    """Versions of Python and of the packages that figures depend on."""
    numbers = {"python": platform.python_version()}
    for name in ("skagile", "numpy", "scipy", "scikit-learn", "pandas", "torch", "skorch"):
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            numbers[name] = None
    return numbers


def digest(values):
    """SHA-256 of dtype, shape and bytes in C order, little-endian; of text as UTF-8 with a NUL after each entry."""
    values = np.asarray(values)
    if values.dtype.kind in "fiub":
        values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        head, body = values.dtype.str, values.data
    else:
        head, body = "text", "".join(f"{value}\0" for value in values.ravel().tolist()).encode()
    digest = hashlib.sha256(f"{head} {values.shape}\n".encode())
    digest.update(body)
    return digest.hexdigest()


def describe_protocol(inputs):
    """Sizes and settings, as the report has them."""
    release, settings, size = inputs.release, inputs.settings, inputs.size
    label, original = release.label, release.beats["original"]
    counts = [] if label is None else np.bincount(label).tolist()
    return {
        "layout": list(inputs.shape),
        "n_beats": len(release.row),
        "n_samples": inputs.shape[-1],
        "sampling_rate": settings.sampling_rate,
        "window": list(settings.window),
        "split": inputs.split,
        "n_subjects": inputs.n_subjects,
        "n_subjects_probed": len(np.unique(release.subject[release.probe])),
        "n_enrolment_beats": len(release.enrolment),
        "n_probe_beats": len(release.probe),
        "max_enrolment_beats": size.max_enrolment_beats,
        "max_probe_beats": size.max_probe_beats,
        "n_unchanged_beats": int((original == release.beats["released"]).all(axis=1).sum()),
        "classes": {} if label is None else dict(zip(map(str, release.labels), counts, strict=True)),
        "knowledge": list(inputs.knowledge),
        "attackers": {name: describe(attacker.estimator) for name, attacker in inputs.attackers.items()},
        "attackers_left_out": sorted(set(ATTACKERS) - set(inputs.attackers)),
        "not_run": inputs.not_run,
        "diagnostic_estimator": None if inputs.diagnostician is None else describe(inputs.diagnostician),
        "fusion": list(settings.fusion),
        "confidence": settings.confidence,
        "n_resamples": settings.n_resamples,
        "seed": settings.seed,
    }


def describe_provenance(inputs, start):
    """Dates, versions and digests, as the report has them."""
    return {
        "date": start.isoformat(timespec="seconds"),
        "reaudit_date": (start + _REAUDIT_AFTER).date().isoformat(),
        "versions": versions(),
        "sha256": inputs.sha256,
    }
