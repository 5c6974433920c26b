"""Who attacks what: from original and released beats to an audit report."""

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval as Range
from sklearn.utils._param_validation import validate_params

from skagile.audit._groups import Estimators, Evidence, Size
from skagile.audit._inputs import check_inputs
from skagile.audit._leads import audit_leads
from skagile.audit._plan import make_plan, run_plan
from skagile.audit._runner import Runner
from skagile.audit._write_up import write_up
from skagile.audit.report import AuditReport


@validate_params(
    {
        "original": ["array-like"],
        "released": ["array-like"],
        "y": ["array-like", None],
        "subjects": ["array-like"],
        "sessions": ["array-like", None],
        "attackers": [str, list, tuple, dict],
        "knowledge": [str, list, tuple],
        "attributes": [dict, None],
        "members": ["array-like", None],
        "tasks": [dict, None],
        "new_patients": [tuple, list, None],
        "sampling_rate": [Range(Real, 0, None, closed="neither"), None],
        "window": [tuple, list],
        "lead_names": ["array-like", None],
        "model": [str, os.PathLike, None],
        "evidence": [Evidence, None],
        "estimators": [Estimators, None],
        "size": [Size, None],
        "n_jobs": [Integral, None],
        "cache": [str, os.PathLike, None],
        "progress": [callable, "boolean", None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def audit_release(
    original: ArrayLike,
    released: ArrayLike,
    y: ArrayLike | None = None,
    *,
    subjects: ArrayLike,
    sessions: ArrayLike | None = None,
    attackers: str | Sequence | dict = "all",
    knowledge: str | Sequence[str] = "all",
    attributes: dict[str, ArrayLike] | None = None,
    members: ArrayLike | None = None,
    tasks: dict[str, ArrayLike] | None = None,
    new_patients: tuple | None = None,
    sampling_rate: float | None = None,
    window: Sequence[float] = (0.25, 0.45),
    lead_names: Sequence[str] | None = None,
    model: str | os.PathLike | None = None,
    evidence: Evidence | None = None,
    estimators: Estimators | None = None,
    size: Size | None = None,
    n_jobs: int | None = None,
    cache: str | os.PathLike | None = None,
    progress: Callable | bool | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> AuditReport:
    """Attack a release, and measure what it is still good for.

    The audit takes data and no anonymizer, so it can judge the output of any tool. Each attacker enrols people from
    one part of their beats and is asked who the rest are from: on the originals (the ceiling), trained on originals
    and tested on the release, **retrained on the release**, and in the other ways that `knowledge` lists. Every risk
    comes with an interval over people, beside what guessing gives.

    Parameters
    ----------
    original : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
        Beats before the release, in millivolts. In records of beats, one that is NaN throughout is missing, and so is a
        lead of a beat. 4-D beats are attacked with all leads together and one lead at a time, and the verdict is the
        worst.
    released : array-like of the same shape
        The same beats after it, row by row.
    y : array-like of shape (n_rows,), default=None
        Diagnosis of each row. None: no utility and no label-only floor.
    subjects : array-like of shape (n_rows,)
        The person of each row.
    sessions : array-like of shape (n_rows,), default=None
        Number, date or name of the recording of each row: 2, "31.12.2019", "2019-12-31T08:00", "visit 9". Texts are
        read, not sorted by their letters; with dots, the day comes first. Dates that can be read in two ways which
        give another order ("01/02/2019") are an error. The earliest session of a person enrols, the others are probed;
        a person with one session is enrolled and not probed. None: the first half of each person's rows, in the order
        given, enrols and the second half is probed (beats, for a person with a single 3-D row).
    attackers : "all", "quick", str, list or dict, default="all"
        Names, or classifiers with ``predict_proba``, whose ``transform``, if they have one, embeds beats; or a dict
        from a name to either. The names are ``"svd"``, ``"nearest_neighbour"`` (among SVD projections),
        ``"deep_ecg"``, ``"siamese"``, ``"transecg"``, ``"fiducial"`` (needs `sampling_rate`), ``"low_order"`` (last
        digits), ``"label_counting"``, ``"rr"`` (needs `evidence` with ``times`` and ``released_times``),
        ``"row_order"`` and ``"row_order_within"`` (need ``release_order`` in it; the latter looks at the order within
        the enrolled part and within the probed part). "all" leaves out those whose needs are not met, and says so; so
        does "quick", which takes those that fit in seconds and ``"deep_ecg"``.
    knowledge : "all", str or list of str, default="all"
        What the attackers know.

        - ``"clean"``: train and probe on originals, the ceiling;
        - ``"static"``: train on originals, probe the release;
        - ``"adaptive"``: train and probe on the release;
        - ``"adaptive+denoise"``: the same behind a band-pass and behind a denoiser learned from the enrolled pairs of
          original and released beat; and trained on originals, probing the denoised release;
        - ``"open_set"``: the embedding is trained on half of the people of the release and compares the probes of the
          other half with everybody's templates, and the other way round;
        - ``"cross_database"``: the embedding is trained on the `evidence`'s ``external`` people;
        - ``"auxiliary"``: trained on its ``auxiliary`` release, probing the release.

        "all" leaves out those that lack their data, and says so.
    attributes : dict from str to array-like of shape (n_rows,), default=None
        Traits of people that the release should not tell, such as sex and age: two words, or numbers, which are split
        at their median. Empty or NaN: unknown.
    members : array-like of bool of shape (n_rows,), default=None
        Whether the person of this row is in the release: the anonymizer was fitted on them, and their rows that enrol
        are published. The others are outside, and attackers may hold them as a reference population. None: presence
        and disclosure are not tested, and the verdict cannot be green.
    tasks : dict from str to array-like of shape (n_rows,), default=None
        Labels of tasks that the anonymizer has not seen, judged as `y` is. Empty or NaN: unknown. With `members` they,
        facts that the anonymizer kept and `y` are what may be disclosed.
    new_patients : tuple (X, y) or (X, y, subjects), default=None
        Original beats of people who are in neither side, cut as the original is, their diagnoses, and who they are. The
        diagnostic classifier, trained on the release and on the originals, is tested on them: the use of a release.
        Without subjects the intervals are over beats, too narrow, and the report says so. None: not tested.
    sampling_rate : float, default=None
        In Hz, for intervals, filters and the time axis of the pictures. None: what needs it is left out, and the
        report says so.
    window : tuple of two floats, default=(0.25, 0.45)
        Seconds before and after the R peak that the beats were cut with.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D beats, in order. With them the report names leads, and says by how much limb leads
        contradict each other. None: leads are numbered from 0.
    model : path-like, default=None
        File of the fitted anonymizer, whose SHA-256 goes into the report.
    evidence : Evidence, default=None
        What attackers hold besides beats: beat times, the order of rows, a release of their own, another database.
        None: nothing.
    estimators : Estimators, default=None
        Which classifiers judge the diagnosis and the traits, and what they are trained on. None: the defaults.
    size : Size, default=None
        How much is measured, and how finely: beats of a person, numbers of beats fused, galleries, resamples,
        confidence. None: the defaults.
    n_jobs : int, default=None
        Attackers fitted in parallel, through joblib. The figures do not depend on it.
    cache : path-like, default=None
        Folder for the results of finished fits, by content: an audit that was interrupted goes on where it stopped,
        and a change of `size` that leaves the beats alone fits nothing anew. Another version of a package, other code
        of skagile or of an attacker's module, or other data is another fit. It holds scores of people (whom each
        attacker took each beat for, what was read off it, how near people are) and no beats. Its owner alone may enter
        it: a folder that others can write to is refused, one that they can read is closed. Keep it where the originals
        are kept. An entry that is damaged is made anew, with a word in the log.
    progress : callable or bool, default=None
        True: a progress bar on a terminal. A callable gets (done, total, what).
    random_state : int, RandomState instance or None, default=0
        Seed of everything random: draws, resamples, and estimators whose ``random_state`` is None.

    Returns
    -------
    AuditReport
        With ``summary()``, ``utility()``, ``fidelity()``, ``to_json(path)`` and ``to_html(path)``.

    Raises
    ------
    ValueError
        For arrays of different shapes, labels of another length, one subject, one diagnosis, NaN, infinite values or
        flat beats, unknown names, an attacker or knowledge asked for by name without its data, or fewer than two
        people who can be probed.

    See Also
    --------
    Evidence, Estimators, Size : Arguments that belong together.
    skagile.metrics.bootstrap_interval : How the intervals are made.
    skagile.metrics.worst_interval : The interval of the headline, corrected for picking the worst.

    Notes
    -----
    **What this does not guarantee.** A risk is measured for the attackers named, on the people of this release. That
    an attacker fails does not mean that none can succeed. The report lists what was not tested.

    **The verdict** is the worst of four threats: whose row it is (sources), who is in the release (presence), whether
    released beats are somebody's own (copies), and what the release says about a person whose other recordings
    somebody holds (disclosure). A threat is red where the lower end of its interval, corrected for picking the worst
    attack, is above what there is without a leak: the floor of guessing for sources, an area of .5 for presence, 5 %
    for copies, a difference of 0 for disclosure. One that is not red is inconclusive where that proves nothing: too few
    people, or rows of the release that are not those of the original (:meth:`AuditReport.threats` says when). The
    verdict is red where one threat is; inconclusive where one is and none is red; amber where all that were tested are
    green and one was not tested; green otherwise.

    All intervals come from the same resamples of people, and an estimator is given the same seed whatever it is
    trained on: a release equal to the original gives equal columns.

    Examples
    --------
    >>> from skagile.audit import audit_release
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(6, 2, duration=20.0, random_state=0), sessions="date")
    >>> report = audit_release(
    ...     beats.X, beats.X, subjects=beats.subjects, sessions=beats.sessions, attackers=["svd"],
    ...     knowledge=["clean", "static", "adaptive"],
    ... )
    >>> report.summary()[["attacker", "knowledge", "n_subjects"]]
      attacker knowledge  n_subjects
    0      svd     clean           6
    1      svd    static           6
    2      svd  adaptive           6
    """
    arguments = {
        "original": original,
        "released": released,
        "y": y,
        "subjects": subjects,
        "sessions": sessions,
        "attackers": attackers,
        "knowledge": knowledge,
        "attributes": attributes,
        "members": members,
        "tasks": tasks,
        "new_patients": new_patients,
        "sampling_rate": sampling_rate,
        "window": window,
        "lead_names": lead_names,
        "model": model,
        "evidence": evidence,
        "estimators": estimators,
        "size": size,
    }
    if np.ndim(original) == 4:
        work = {"n_jobs": n_jobs, "cache": cache, "progress": progress, "random_state": random_state}
        return audit_leads(arguments, **work)
    inputs = check_inputs(**arguments, random_state=random_state)
    runner = Runner(cache, n_jobs, progress, inputs.settings)
    return write_up(inputs, run_plan(make_plan(inputs), inputs, runner), runner.start)
