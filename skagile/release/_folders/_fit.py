"""A folder of recordings to a model file."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skagile._seeds import own_random_state
from skagile._workers import in_parallel, on_cluster
from skagile.release._folders._input import check_people, look_into
from skagile.release._folders._model_file import write_recording_model
from skagile.release._recordings import Collected, Collector, FitNotes, NoBeatsError, Part, fit_model


def fit_recordings(
    data: str | os.PathLike,
    model: str | os.PathLike,
    *,
    anonymizer: Any = None,
    k: int = 10,
    subjects: str | os.PathLike | Callable[[str], str] = "auto",
    labels: str = "auto",
    leads: Sequence[str] | None = None,
    window: tuple[float, float] = (0.3, 0.5),
    band: tuple[float, float] = (0.5, 40.0),
    sampling_rate: float = 250.0,
    max_beats: int = 200,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
    dask: str | None = None,
    progress: Callable[[int, int, str], object] | None = None,
) -> FitNotes:
    """Fit an anonymizer to the recordings under a folder, and save it.

    Parameters
    ----------
    data : path-like
        Folder of recordings, subfolders included, as of :func:`anonymize_recordings`.
    model : path-like
        File to write: statistics, networks and settings, for the owner alone; no beat, and nobody's name.
    anonymizer : estimator, default=None
        What anonymizes beats, unfitted. None: ``KSameAnonymizer(k)``. Its ``lead_names``, ``sampling_rate`` and
        ``random_state`` are set where they are None, its ``window`` always.
    k : int, default=10
        People that each is hidden among, at least. With fewer people nothing is fitted. Leads of fewer people are not
        released, and diagnoses of fewer people are taken together.
    subjects : {"auto", "folder", "record"}, path-like, str or callable, default="auto"
        Whose a record is, as of :func:`read_release_pair`. A table may have a column diagnosis.
    labels : {"auto", "aami", "diagnosis", "none"}, default="auto"
        Diagnosis of a beat: classes of annotated beats, the record's diagnosis in the table or the header, or none.
        "auto" takes the first that every record has: the table's, annotated beats, the header's, none.
    leads : sequence of str, default=None
        Leads to fit. None: all that at least `k` people have.
    window : tuple of float, default=(0.3, 0.5)
        Seconds of a beat before and after its R peak.
    band : tuple of float, default=(0.5, 40.0)
        Pass band in Hz of what beats are cut from.
    sampling_rate : float, default=250.0
        Of beats, in Hz. Records keep theirs.
    max_beats : int, default=200
        Of a person, drawn at random.
    random_state : int, RandomState instance or None, default=None
        Seed of everything random.
    n_jobs : int, default=None
        Records read at the same time, as of joblib. The model does not depend on it.
    dask : str, default=None
        Address of a Dask scheduler, such as ``tcp://10.0.0.1:8786``, whose workers read the records; they see `data`
        under the same path. Needs the extra ``skagile[dask]``.
    progress : callable, default=None
        Gets (done, total, what).

    Returns
    -------
    notes : FitNotes
        What was used, and what was left out, with the reasons.

    Raises
    ------
    ValueError
        For arguments that cannot be used, less than `k` people, no lead that `k` people have, or labels that records
        lack.

    See Also
    --------
    anonymize_recordings : Releases recordings with the model.

    Notes
    -----
    **What this does not guarantee.** The model holds statistics of the cohort. Who has it can tell more of who was in
    the cohort than who has a release: keep it as you keep the key.
    """
    folder = look_into(data, subjects, "data")
    random_state = own_random_state(random_state)
    collector = Collector(tuple(window), tuple(band), float(sampling_rate), max_beats, random_state.randint(2**31 - 1))
    parts, left_out, total = [], [], len(folder.names)
    calls = ((collector, record, number) for number, record in enumerate(folder.records().values()))
    with on_cluster(dask):
        for done, (name, part) in enumerate(in_parallel(_collect, calls, -1 if dask else n_jobs, total), 1):
            parts += [part] if isinstance(part, Part) else []
            left_out += [(name, part)] if isinstance(part, str) else []
            if progress is not None:
                progress(done, total, "reading records")
    check_people(subjects, [(part.subject, part.sex, part.age) for part in parts])
    if progress is not None:
        progress(total, total, "fitting")
    collected = Collected(collector, parts, left_out)
    fitted = fit_model(collected, anonymizer, k=k, labels=labels, leads=leads, random_state=random_state)
    write_recording_model(Path(model).expanduser(), fitted)
    return collected.notes


def _collect(collector, record, number):
    """Part of a record, or why it gives none."""
    try:
        return record.name, collector.collect(record.read(), number, record.person.get("diagnosis", ""))
    except (NoBeatsError, ValueError, OSError) as error:
        return record.name, str(error)
