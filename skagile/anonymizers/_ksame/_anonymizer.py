"""k-same: released beats depend on their source through a declared key only."""

from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skagile._seeds import own_random_state
from skagile._state import Field, Stateful
from skagile._training import draw_seed
from skagile.anonymizers._base import BaseAnonymizer
from skagile.anonymizers._ksame._checks import (
    check_class_mix,
    check_diagnoses,
    check_enough,
    check_recordings,
    check_rhythm,
    check_settings,
    fill_lacking,
    units_of,
)
from skagile.anonymizers._ksame._facts import Facts
from skagile.anonymizers._ksame._fields import fields_of
from skagile.anonymizers._ksame._form import describe_privacy, form_model, form_rhythm
from skagile.anonymizers._ksame._keys import Keys
from skagile.anonymizers._ksame._remembered import RememberedDiagnoses
from skagile.anonymizers._ksame._rhythm import check_times


class KSameAnonymizer(Stateful, BaseAnonymizer):
    """Replace every beat by one of a pseudo-person, drawn from a law of at least `k` people: nobody's heartbeat.

    A released beat depends on its source only through its *key*, which is the diagnosis of the beat, the facts in
    `keep` and the group of the subject, and on fresh random numbers. A law on two levels is fitted: what differs
    between people, and what differs within one. A new person is drawn from it, then their beats. Whoever retrains on
    the release learns the law and the keys, and nothing more; ``expected_leakage_`` says before the release what the
    keys give away. The fitted law is made of sums over people, each of whom counts the same; no beat is kept.

    Parameters
    ----------
    k : int, default=10
        Least number of subjects in a group. Nobody has a larger share than ``1 / k`` in any statistic of the law.
    keep : sequence of str, or mapping of str to bounds or None, default=()
        Facts that a released beat shares with its source, in bins. Measured ones: ``"qrs_duration"``,
        ``"qt_interval"``, ``"pr_interval"`` (ms), ``"st_level"``, ``"t_amplitude"`` (mV), ``"p_present"``, and over
        leads ``"global_qrs_duration"``, ``"global_qt_interval"``, ``"qrs_axis"`` (degrees, from `lead_names`); they
        need `sampling_rate` and `window`. A mapping gives bounds between bins, None the usual ones. Other names are
        columns of `facts` in ``fit`` and ``transform``. Each fact makes keys smaller and gives more away.
    coherence : {"beat", "record", "subject"}, default=None
        What has one pseudo-person throughout: every beat its own, a record, or all beats of a subject in one call. A
        record of one looks like one heart. With "subject", one released row of a person finds their others. None: a
        record, where rows are records or `records` are given, else a beat.
    max_draws : int, default=8
        How often a beat is drawn until the law and the networks read it as the key's diagnosis, and the measured facts
        of `keep` are the key's; the last draw is released. Only key and output are looked at. 1 takes the first draw.
    grouping : {"one", "diverse", "class_mix", "morphology", "both"}, default="one"
        How subjects are grouped; each group has a law of its own. "one": no groups. "diverse": groups of at least `k`,
        each with as mixed diagnoses as can be. "class_mix", "morphology", "both": groups of at least `k` who are alike
        in their shares of the diagnoses, their median beats, or both; beats then tell the group, and a group of one
        diagnosis tells that (``expected_leakage_["disclosure"]``).
    on_small_key : {"borrow", "suppress", "raise"}, default="borrow"
        What to do with a key that less than `k` subjects have. "borrow": what is its own in the law is shrunk towards
        the law of others, by as much as people are lacking. "suppress": release NaN in place of its beats. "raise":
        refuse to fit.
    prior : tuple (X, y, subjects) or (X, y), default=None
        Beats of *other* people, such as a public database's, cut alike. They count as `k` people in every statistic,
        and are what rare keys are shrunk to. Without subjects each beat is another person's.
    epsilon : float, default=None
        Makes the law differentially private, at the level of people: the sums are clipped for each person and get
        noise once. It needs `prior`, whose beats give axes and scales. None: no noise.
    delta : float, default=None
        Of the guarantee. None: one over the number of subjects to the power 1.1.
    class_mix : {"keep", "resample"}, default="keep"
        "resample", for records of beats (3-D) only: the diagnosis of every beat of a record is drawn from the mix of
        its group, so that members of a group share that, too. Counts and order of a record's diagnoses are then the
        group's and no longer the patient's.
    rhythm : {"keep", "resample"}, default="keep"
        What ``resample_times`` does to times of beats. "keep": nothing; R-R intervals tell people apart, and are no
        part of ``expected_leakage_``. "resample": they are drawn from those of the group, by `times` in ``fit``.
    sampling_rate : float, default=None
        Of the beats, in Hz. Needed by measured facts.
    window : tuple of 2 floats, default=(0.25, 0.45)
        Seconds before and after the R peak that the beats were cut with.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D `X`. With them the independent leads are drawn, and the other limb leads follow, see
        :func:`~skagile.leads.derive_leads`. None: all are drawn.
    max_epochs : int, default=12
        Passes over the beats, of each network that reads the diagnosis of new beats.
    lr : float, default=0.004
        Largest learning rate.
    batch_size : int, default=128
        Beats per training step, at most; fewer where an epoch would else have less than 16 steps.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    warm_start : bool, default=False
        With True a further ``fit`` keeps the ``nets_`` of the last one, where diagnoses and samples per beat are the
        same, and forms groups and laws anew: for trying settings on the same beats.
    random_state : int, RandomState instance or None, default=None
        Seed. None, for releases: each ``transform`` draws anew, from the operating system. An int or an instance, for
        tests and studies: equal calls have equal results, other calls the same random numbers. Global seeds are unused.

    Attributes
    ----------
    classes_, subjects_ : ndarray
        Diagnoses and subjects.
    groups_ : ndarray of int of shape (n_subjects,)
        Group of each of ``subjects_``.
    expected_leakage_ : dict of str to float
        What the best attacker gets who sees the keys and nothing else, from the fitted beats, one half of each
        subject's against the other: ``"single"``, rank-1 from single beats; ``"fused"``, from all beats of a person
        (absent where subjects have a single row); ``"chance"``, one over the number of subjects. ``"disclosure"``:
        the share of people whose commonest diagnosis is guessed right by who knows their group, less the share without.
    summary_ : dict
        ``"group_sizes"``; ``"n_keys"``; ``"small_keys"``, a list of keys with less than `k` subjects, each a dict of
        the key, its number of subjects and beats, and what was ``"done"``: ``"borrowed"`` or ``"suppressed"``;
        ``"small_key_share"``, of fitted beats; ``"accepted_first"`` and ``"accepted"``, shares of drawn beats that
        convinced at once and at last; with `epsilon`, ``"privacy"``, the guarantee and what it covers; with
        ``rhythm="resample"``, ``"small_rhythms"``, groups in which less than `k` subjects have R-R intervals, or those
        of a ``"diagnosis"``, with their number and what was done (``"borrowed"`` from all, or ``"suppressed"``).
    nets_ : list of skorch.NeuralNet
        They read the diagnosis of beats that were not in ``fit``; drawn beats must agree. None of one diagnosis.
    n_features_in_ : int
        Samples per beat.

    See Also
    --------
    AgileAnonymizer : Keeps each beat's own shape, and does not survive retraining.
    skagile.audit_release, skagile.model_selection.canary_disclosure : Measure what a release gives away.

    Notes
    -----
    From k-Same [1]_ to pseudo-people. A beat, by its standardized samples, the logarithm of its standard deviation and
    its mean, is a sum: the mean of everybody, what its labels change, what is the person's, what a diagnosis changes in
    this person and not in the next, and what is the beat's. All but the first two are normal; the amount of the last
    differs from person to person, log-normally. It is the model of probabilistic linear discriminant analysis [2]_.

    What a label changes is estimated from people who have beats of several labels, as contrasts within them. What
    people of one label differ by from everybody is kept only as far as it is more than chance does with as many people
    at random (19 times of 20). So a label that no heart shows, a coin, leaves no trace. Nor does one that stands beside
    the diagnosis, as in ``"V, site 1"``: where nobody has labels of two such sets, those that do not differ by more
    than they do when people are shuffled are drawn from one law. Where less than `k` people have a label, what it
    changes is shrunk as if `k` had it and the others showed nothing.

    A draw that the law itself, or one of ``nets_``, reads as another diagnosis is drawn again (``max_draws``). Networks
    learn a label by heart, person by person, even one that no heart shows. So they are listened to only between
    diagnoses that networks trained on one half of the people tell apart on the other half (Welch's test at .01).

    ``transform`` is given no diagnosis. Of a beat that was fitted it is the one it was fitted with, so that a released
    beat has the diagnosis that `y` says beside it; of any other the two perceptrons of ``nets_`` read it.

    With `subjects` given to ``transform``, all beats of a subject are in one group: the fitted one, or for a new
    subject the nearest. Without, each row is a new subject. ``transform`` leaves times alone: see ``resample_times``.

    With `epsilon` the law is private as a whole [3]_, whatever it is used for afterwards, and the networks are trained
    on its draws. The number of subjects, ``classes_``, ``summary_``, ``expected_leakage_``, the keyed hashes of fitted
    beats and the labels beside a release's beats are not covered. Who knows `random_state` can take the noise away.

    **What this does not guarantee.** The key itself is given away: diagnosis, group and kept facts, and with many beats
    of a person the mix of diagnoses, see ``expected_leakage_``. A law of few people is near to them: whether someone
    was in the cohort can be told a little better than by chance without `epsilon`. The fitted one is personal data: it
    has names and a keyed hash of every beat, which `skagile.save` leaves out. Two releases of the same people by
    different partitions can be intersected: fit once. Diagnoses that were not in `y` are lost. How many beats a person
    has stays, and is a heart rate to who knows the time they took. Who knows `random_state` and has the fitted one
    draws all again: 100 % of 9,100 shuffled rows of MIT-BIH were put back in order, by which all are named; None: 0 %.

    References
    ----------
    .. [1] Newton, Sweeney, Malin. "Preserving privacy by de-identifying face images", IEEE TKDE 2005.
    .. [2] Prince, Elder. "Probabilistic linear discriminant analysis for inferences about identity", ICCV 2007.
    .. [3] Balle, Wang. "Improving the Gaussian mechanism for differential privacy", ICML 2018.

    Examples
    --------
    >>> from skagile import KSameAnonymizer
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(6, 1, duration=20.0, random_state=0))
    >>> ksame = KSameAnonymizer(k=3, max_epochs=2, random_state=0)
    >>> released = ksame.fit_transform(beats.X, beats.y, subjects=beats.subjects)
    >>> released.shape == beats.X.shape
    True
    """

    # Asked for by default, so that a Pipeline or a search routes them without a set_..._request.
    __metadata_request__fit = {"subjects": True, "facts": True, "times": True, "records": True}
    __metadata_request__transform = {"subjects": True, "facts": True, "records": True}

    _parameter_constraints: dict = {
        "k": [Interval(Integral, 2, None, closed="left")],
        "keep": ["array-like", dict],
        "coherence": [StrOptions({"beat", "record", "subject"}), None],
        "max_draws": [Interval(Integral, 1, None, closed="left")],
        "grouping": [StrOptions({"one", "diverse", "class_mix", "morphology", "both"})],
        "on_small_key": [StrOptions({"borrow", "suppress", "raise"})],
        "prior": [tuple, list, None],
        "epsilon": [Interval(Real, 0, None, closed="neither"), None],
        "delta": [Interval(Real, 0, 1, closed="neither"), None],
        "class_mix": [StrOptions({"keep", "resample"})],
        "rhythm": [StrOptions({"keep", "resample"})],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "window": [tuple, list],
        "lead_names": ["array-like", None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "device": [str],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        k: int = 10,
        keep: Sequence[str] | Mapping[str, Sequence[float] | None] = (),
        *,
        coherence: str | None = None,
        max_draws: int = 8,
        grouping: str = "one",
        on_small_key: str = "borrow",
        prior: tuple | None = None,
        epsilon: float | None = None,
        delta: float | None = None,
        class_mix: str = "keep",
        rhythm: str = "keep",
        sampling_rate: float | None = None,
        window: tuple[float, float] = (0.25, 0.45),
        lead_names: Sequence[str] | None = None,
        max_epochs: int = 12,
        lr: float = 0.004,
        batch_size: int = 128,
        device: str = "auto",
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.k = k
        self.keep = keep
        self.coherence = coherence
        self.max_draws = max_draws
        self.grouping = grouping
        self.on_small_key = on_small_key
        self.prior = prior
        self.epsilon = epsilon
        self.delta = delta
        self.class_mix = class_mix
        self.rhythm = rhythm
        self.sampling_rate = sampling_rate
        self.window = window
        self.lead_names = lead_names
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.device = device
        self.warm_start = warm_start
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        subjects: ArrayLike | None = None,
        facts: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        records: ArrayLike | None = None,
    ) -> "KSameAnonymizer":
        """Form groups and their laws, and train the networks that read diagnoses.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            Beats, or records of beats with missing ones NaN, in millivolts. A lead may be missing, too.
        y : array-like of shape (n_rows,), or of (n_rows, n_beats) for records
            Diagnosis of each row, or of each beat of each record (whatever for missing ones).
        subjects : array-like of shape (n_rows,), default=None
            Subject of each row. None makes every row its own subject.
        facts : DataFrame or mapping of columns, of n_rows rows, default=None
            Values of the facts of `keep` that are not measured, such as the sex.
        times : array-like of shape (n_rows,), or of (n_rows, n_beats) for records, default=None
            Time of each beat in seconds, rising within a recording, NaN where missing; all beats of a recording should
            be among them. Needed by ``rhythm="resample"``.
        records : array-like of shape (n_rows,), default=None
            Recording of each row, where a subject has several (2-D `X`) or a recording goes over several rows (3-D).
            None: for 2-D `X` all rows of a subject are one recording, for 3-D each row is.

        Returns
        -------
        self : object
            The fitted anonymizer.

        Raises
        ------
        ValueError
            For a wrong shape, NaN outside padding, infinite or flat beats, beats in another unit, labels, subjects or
            facts of another length, less than `k` subjects, or, with ``on_small_key="raise"``, a key of less than `k`;
            for times of another shape, infinite or not rising ones, or, with ``rhythm="resample"``, none, or R-R
            intervals of less than `k` subjects.
        """
        earlier = dict(vars(self)) if self.warm_start else {}
        beats, y_codes, s_codes = self._check_fit(X, y, subjects)
        check_settings(self, beats.values)
        check_class_mix(self, beats)
        recordings, names = check_recordings(self, times, beats, subjects, records)
        check_enough(self.k, len(self.subjects_), beats.shape[0])
        random_state = own_random_state(self.random_state)
        kept = Facts.of(self)
        fact_codes = kept.fit(beats.values, facts, beats.row, beats.shape[0])
        keys = Keys(self.classes_, kept, RememberedDiagnoses(beats.values, y_codes))
        codes = fill_lacking(beats, y_codes), y_codes, s_codes, fact_codes
        self._model, key, told = form_model(self, keys, codes, random_state, earlier)
        self.nets_ = self._model.nets
        self.groups_ = self._model.partition.groups
        # None draws anew at each transform.
        self._seed = None if self.random_state is None else draw_seed(random_state)
        self._rhythm = None
        if self.rhythm == "resample":
            self._rhythm = form_rhythm(self, recordings, names, beats.on_grid(y_codes, -1))
            self._rhythm_seed = None if self.random_state is None else draw_seed(random_state)
        self.expected_leakage_ = self._model.expect_leakage(beats.values, key, s_codes, self)
        self.summary_ = self._model.summarize(key, told, np.random.SeedSequence(self._seed), beats.values.dtype, self)
        if self.epsilon is not None:
            self.summary_["privacy"] = describe_privacy(self, len(self.subjects_))
        if self._rhythm is not None:
            self.summary_["small_rhythms"] = self._rhythm.small
        return self

    def fit_transform(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        subjects: ArrayLike | None = None,
        facts: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        records: ArrayLike | None = None,
    ) -> np.ndarray:
        """Fit, and release the beats themselves.

        Parameters
        ----------
        X, y, subjects, facts, times, records
            As of ``fit``.

        Returns
        -------
        X_anonymized : ndarray of the shape and float dtype of `X`
            As from ``transform(X, subjects=subjects, facts=facts, records=records)``.
        """
        fitted = self.fit(X, y, subjects=subjects, facts=facts, times=times, records=records)
        return fitted.transform(X, subjects=subjects, facts=facts, records=records)

    def transform(
        self,
        X: ArrayLike,
        *,
        subjects: ArrayLike | None = None,
        facts: Mapping[str, ArrayLike] | None = None,
        records: ArrayLike | None = None,
    ) -> np.ndarray:
        """Anonymize beats.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples), (n_rows, n_beats, n_samples) or with leads before samples
            As of ``fit``. No label is used: the diagnosis is predicted.
        subjects : array-like of shape (n_rows,), default=None
            Subject of each row; one that was fitted is in their group, a new one goes to the nearest. None takes every
            row for a new subject of its own.
        facts : DataFrame or mapping of columns, of n_rows rows, default=None
            As of ``fit``.
        records : array-like of shape (n_rows,), default=None
            Recording of each row, which gets one pseudo-person (see `coherence`).

        Returns
        -------
        X_anonymized : ndarray of the shape and float dtype of `X`
            Beats of pseudo-people, in millivolts, NaN where missing or, with ``on_small_key="suppress"``, suppressed.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            As of ``fit``; also for another number of samples or leads than there.
        """
        beats, key, random = self._find_key(X, subjects, facts)
        unit = units_of(self, beats, subjects, records)
        return beats.restore_beats(self._model.release(key, unit, random, beats.values.dtype, self))

    def resample_times(
        self,
        times: ArrayLike,
        *,
        subjects: ArrayLike | None = None,
        records: ArrayLike | None = None,
        X: ArrayLike | None = None,
    ) -> np.ndarray:
        """Return times of beats to release: as they are, or with the group's rhythm, as `rhythm` says.

        Parameters
        ----------
        times : array-like of shape (n_rows,) or (n_rows, n_beats)
            As of ``fit``: one of each row of beats, or of each beat of each record.
        subjects : array-like of shape (n_rows,), default=None
            As of ``transform``. None, for records of beats only, takes every row for a new subject of its own.
        records : array-like of shape (n_rows,), default=None
            As of ``fit``.
        X : array-like, default=None
            Beats, the rows that ``transform`` got: intervals fit the diagnoses that it released. None: they follow
            none, and all subjects must be fitted ones.

        Returns
        -------
        times : ndarray of the shape and float dtype of `times`
            New times in seconds; missing ones stay missing, and with ``on_small_key="suppress"`` more are.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            For times of another shape, infinite or not rising, or subjects, records or beats of another length; for new
            subjects without `X`; with ``rhythm="resample"``, for single beats without subjects, where ``fit`` had no
            such rhythm, and for `X` with ``class_mix="resample", random_state=None``: nobody knows what was drawn.

        Notes
        -----
        With ``rhythm="resample"`` a recording is a stationary bootstrap [1]_ of its group: runs of successive R-R
        intervals, 20 on average, of members of the group, each with the same chance, the source included, from any
        place on. It begins at 0 s, with the first beat one interval later, and has nothing of the source's times.

        With `X` only the slow rhythm, medians of 16 intervals, is always the run's. An interval's ratio to it is one
        between the same two diagnoses: the run's own, else another of the same member, else of one who has such. The
        two count where `k` of the group have intervals of them, or with ``on_small_key="borrow"`` of everybody; else
        the later one alone, likewise; else none. "suppress" gives a beat no time whose diagnosis alone less than `k` of
        the group have. So premature beats come early, and pauses follow, as they do in the group.

        An int as `random_state` gives row i of any call the same random numbers: release all recordings in one call.

        What stays is how many beats a recording has, and which are missing. Recordings get longer or shorter: cut all
        to one length, for the number of beats in a known time is a heart rate. Times go to
        :meth:`~skagile.segmentation.BeatSegmenter.restore`, with a flat record and room before the first beat.

        **What this does not guarantee.** Runs are real intervals of cohort members, so who knows somebody's rhythm may
        find that they were in the cohort. With `X`, times tell the order of diagnoses, as beats do: on MIT-BIH with
        ``k=10, grouping="class_mix"`` they name 32 % of people (floor of the keys: 36 %) in place of 6 %, and with
        ``class_mix="resample"`` 4 %. Without `X` a premature beat need not be early.

        References
        ----------
        .. [1] Politis, Romano. "The stationary bootstrap", Journal of the American Statistical Association 1994.
        """
        check_is_fitted(self)
        times = check_times(times)
        if self.rhythm == "keep":
            return times.copy()
        recordings = check_rhythm(self._rhythm, times, subjects, records)
        group, codes = self._model.find_keys_of_times(X, subjects, times.shape, self)
        return self._rhythm.draw(recordings, group, np.random.default_rng(self._rhythm_seed), codes)

    def assign(
        self, X: ArrayLike, *, subjects: ArrayLike | None = None, facts: Mapping[str, ArrayLike] | None = None
    ) -> np.ndarray:
        """Return the key of each beat, which is all that a release tells of it.

        Parameters
        ----------
        X, subjects, facts
            As of ``transform``.

        Returns
        -------
        keys : ndarray of int of shape (n_rows,) or (n_rows, n_beats)
            Equal for beats whose released counterparts follow the same law; negative for those that are suppressed, and
            -1 for missing beats. Give them to
            :func:`~skagile.metrics.label_only_floor` for the floor of a release.
        """
        beats, key, _ = self._find_key(X, subjects, facts)
        laws = self._model.numbers(key)
        if beats.present is None:
            return laws
        out = np.full(beats.present.shape, -1, dtype=laws.dtype)
        out[beats.present] = laws
        return out

    def _state_fields(self) -> Iterator[Field]:
        return fields_of(self)

    def _check_diagnoses(self, y, beats):
        return check_diagnoses(y, beats)

    def _find_key(self, X, subjects, facts):
        """Beats, their keys, and the source of random numbers."""
        check_is_fitted(self)
        beats = self._check_beats(X, reset=False)
        random = np.random.SeedSequence(self._seed)
        return beats, self._model.find_key(beats, subjects, facts, random, self), random
