"""k-same: released beats depend on their source through a declared key only."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skagile._arrays import rank_within, standardize
from skagile._training import draw_seed, resolve_device
from skagile._validation import check_beats, check_labels
from skagile.anonymizers._base import BaseAnonymizer
from skagile.anonymizers._generators._aligned_mixture import AlignedMixtureGenerator, rising
from skagile.anonymizers._generators._mixture import MixtureGenerator
from skagile.anonymizers._generators._ppca import PPCAGenerator
from skagile.anonymizers._generators._vae import VAEGenerator
from skagile.anonymizers._ksame._borrow import borrow
from skagile.anonymizers._ksame._donors import Donors, spread_evenly
from skagile.anonymizers._ksame._facts import Facts
from skagile.anonymizers._ksame._microaggregation import mdav
from skagile.anonymizers._ksame._readers import N_READERS, critic_encoders, fit_reader, read, reader_encoders
from skagile.anonymizers._ksame._remembered import RememberedDiagnoses
from skagile.anonymizers._ksame._rhythm import GroupRhythm, Recordings, check_times
from skagile.metrics import label_only_floor
from skagile.segmentation import measure_beats

# Beats of `fit` that are released to see how many convince the critics.
_SUMMARY_BEATS = 512
_N_COMPONENTS = {"ppca": 40, "vae": 12}
# What an aligned mixture lays upon one another, beside the R peak.
_LANDMARKS = ["p_peak", "qrs_onset", "qrs_offset", "t_peak", "t_end"]


class KSameAnonymizer(BaseAnonymizer):
    """Replace every beat by one that is made of at least `k` people's, so that retraining on the release does not help.

    Subjects are partitioned once into groups of at least `k`. A released beat depends on its source only through its
    *key*, which is the group of the subject, the diagnosis of the beat and the facts in `keep`, and on fresh random
    numbers: it is drawn from a generator that was fitted to beats of all members of the key. Given the key, it does
    not depend on whose beat it replaces. So an attacker, however trained, learns the key and nothing more;
    ``expected_leakage_`` says before the release how many people the key itself gives away.

    Parameters
    ----------
    k : int, default=10
        Least number of subjects in a group, and of donors' subjects behind a key.
    keep : sequence of str, or mapping of str to bounds or None, default=()
        Facts that a released beat shares with its source, in bins. Measured ones: ``"qrs_duration"``,
        ``"qt_interval"``, ``"pr_interval"`` (ms), ``"st_level"``, ``"t_amplitude"`` (mV), ``"p_present"``; they need
        `sampling_rate` and `window`. A mapping gives the bounds between the bins, None taking the usual ones. Any
        other name is a column of `facts` in ``fit`` and ``transform``. Each fact makes keys smaller and gives more
        away.
    generator : {"mixture", "aligned_mixture", "ppca", "vae"}, default="mixture"
        How beats are drawn. "mixture": a random convex mixture of beats of `n_donors` subjects. "aligned_mixture": the
        same with P, QRS and T laid upon one another before. "ppca": probabilistic principal components of the key's
        beats. "vae": a variational autoencoder of all fitted beats that is told the key.
    n_donors : int, default=2
        Subjects whose beats are mixed. More of them, of like weights, hide better who was in the cohort (membership),
        and cost diagnosis; "ppca" hides it better and costs less.
    concentration : float, default=0.01
        Of the Dirichlet law of the mixture's weights. Small ones give nearly all of the weight to one donor, which
        looks more like a real beat: a network trained on the release then reads originals well.
    max_weight : float, default=0.95
        Largest weight of one donor, so that no donor's beat is released as it is.
    n_components : int, default=None
        Components of "ppca", latent variables of "vae". None: 40 and 12.
    max_draws : int, default=8
        How often a beat is drawn until networks trained on originals all read it as the key's diagnosis, and the
        measured facts of `keep` are the key's; the last draw is released. Only key and output are looked at, so the
        bound holds. 1 takes the first draw, without the networks.
    grouping : {"class_mix", "morphology", "both"}, default="class_mix"
        What makes subjects alike: their shares of the diagnoses, their median beats, or both. Members of like class
        mix are what lowers ``expected_leakage_``.
    on_small_key : {"borrow", "suppress", "raise"}, default="borrow"
        What to do with a key that less than `k` subjects have. "borrow": small keys of the same diagnosis and facts,
        of all groups, share one pool, to which the subjects whose features are nearest to theirs are added until there
        are `k`; where all who have that diagnosis and those facts are less than `k`, the pool is all who have the
        diagnosis, be they less than `k` (see ``summary_``; kept facts may then be lost). "suppress": release NaN in
        place of its beats. "raise": refuse to fit. A diagnosis that one subject alone has is always suppressed.
    class_mix : {"keep", "resample"}, default="keep"
        "resample", for records of beats (3-D) only: the diagnosis of every beat of a record is drawn from the mix of
        its group, so that members of a group share that, too. Counts and order of a record's diagnoses are then the
        group's and no longer the patient's.
    rhythm : {"keep", "resample"}, default="keep"
        What ``resample_times`` does to the times of beats. "keep": nothing; R-R intervals tell people apart, and are no
        part of ``expected_leakage_``. "resample": intervals are drawn anew from those of the group, which needs
        `times` in ``fit``.
    sampling_rate : float, default=None
        Of the beats, in Hz. Needed by measured facts and by "aligned_mixture".
    window : tuple of 2 floats, default=(0.25, 0.45)
        Seconds before and after the R peak that the beats were cut with.
    max_epochs : int, default=12
        Passes over the beats, of each network.
    lr : float, default=0.004
        Largest learning rate.
    batch_size : int, default=128
        Beats per training step, at most; fewer where an epoch would else have less than 16 steps.
    transform_batch_size : int, default=4096
        Beats made at once; bounds the memory and does not change the result.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed. With None every call of ``transform`` draws anew. With an int or an instance equal calls have equal
        results, and calls with other beats use the same random numbers: release a cohort in one call. The global seeds
        are neither used nor changed.

    Attributes
    ----------
    classes_, subjects_ : ndarray
        Diagnoses and subjects.
    groups_ : ndarray of int of shape (n_subjects,)
        Group of each of ``subjects_``.
    expected_leakage_ : dict of str to float
        What the best attacker gets who sees the keys and nothing else, from the fitted beats, one half of each
        subject's against the other: ``"single"``, rank-1 from single beats; ``"fused"``, from all beats of a person
        (absent where subjects have a single row); ``"chance"``, one over the number of subjects.
    summary_ : dict
        ``"group_sizes"``; ``"n_keys"``; ``"small_keys"``, a list of keys with less than `k` subjects, each a dict of
        the key, its number of subjects and beats, and what was done (``"borrowed"`` and from how many subjects,
        or ``"suppressed"``); ``"small_key_share"``, of fitted beats; ``"accepted_first"`` and ``"accepted"``, shares
        of drawn beats that convinced the networks at once and at last; with ``rhythm="resample"``,
        ``"small_rhythms"``, groups in which less than `k` subjects have R-R intervals, each with their number and
        what was done (``"borrowed"`` from all groups, or ``"suppressed"``).
    nets_ : list of skorch.NeuralNet
        Those that predict the diagnosis, and those that a beat must convince beside them.
    n_features_in_ : int
        Samples per beat.

    See Also
    --------
    AgileAnonymizer : Keeps each beat's own shape, and does not survive retraining.
    skagile.audit_release : Measures what a release gives away.

    Notes
    -----
    After k-Same [1]_ and k-Same-Select [2]_, from images to beats. Conditions of the bound, each of which is tested:
    k distinct subjects, not beats; one partition for all diagnoses; the same law of donors for every member, the
    source included; no donor is chosen by nearness to the source; nothing else of the beat is released: gain and
    offset are the donors'. Groups come from maximum distance to average vector (MDAV) [3]_.

    ``transform`` is given no diagnosis. Of a beat that was fitted it is the one it was fitted with, so that a released
    beat has the diagnosis that `y` says beside it; of any other the two perceptrons of ``nets_`` read it. Two
    convolutional networks and the first perceptron must agree with it on the drawn beat (``max_draws``).

    The first donor, who gets the largest weight, is any beat of the key, each with the same chance; each further one
    any of the subjects not drawn yet. In one call every donor of a key comes first equally often, so that what was rare
    in the cohort is as frequent in its release; the order in which they come is random. In records (3-D) the number of
    beats and, with ``class_mix="keep"``, the order of their diagnoses stay as they are.

    With `subjects` given to ``transform``, all beats of a subject are in one group: the fitted one, or for a new
    subject the nearest in the features that the groups were made of. Without, each row is taken for a new subject of
    its own: groups then follow the beat, the beats of one person may be in several, and their counts become a trait
    of the person. Give them whenever they are known.

    ``transform`` leaves the times of beats alone: they are no part of `X`. To release a rhythm pass its times through
    ``resample_times``; with ``rhythm="resample"`` they depend on their source through its group alone.

    **What this does not guarantee.** The key itself is given away: diagnosis, group and kept facts, and with many beats
    of a person the mix of diagnoses, see ``expected_leakage_``. That someone was in the cohort can be told from a
    release (membership), the better the fewer the donors. The fitted anonymizer stores beats of the cohort and names
    in ``subjects_``: it is personal data. Two releases of the same people by different partitions can be intersected:
    fit once. Diagnoses that were not in `y` are lost. How many beats a person has stays, and is a heart rate to who
    knows the time they took.

    References
    ----------
    .. [1] Newton, Sweeney, Malin. "Preserving privacy by de-identifying face images", IEEE TKDE 2005.
    .. [2] Gross, Airoldi, Malin, Sweeney. "Integrating utility into face de-identification", PET 2005.
    .. [3] Domingo-Ferrer, Torra. "Ordinal, continuous and heterogeneous k-anonymity through microaggregation", Data
       Mining and Knowledge Discovery 2005.

    Examples
    --------
    >>> from skagile import KSameAnonymizer
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> beats = beats_from_records(make_cohort(6, 1, duration=20.0, random_state=0))
    >>> ksame = KSameAnonymizer(k=3, max_epochs=2, random_state=0)
    >>> released = ksame.fit_transform(beats.X, beats.y, subjects=beats.subjects)
    >>> released.shape == beats.X.shape
    True
    >>> ksame.summary_["group_sizes"]
    [3, 3]
    """

    # Asked for by default, so that a Pipeline or a search routes them without a set_..._request.
    __metadata_request__fit = {"subjects": True, "facts": True, "times": True, "records": True}
    __metadata_request__transform = {"subjects": True, "facts": True}

    _parameter_constraints: dict = {
        "k": [Interval(Integral, 2, None, closed="left")],
        "keep": ["array-like", dict],
        "generator": [StrOptions({"mixture", "aligned_mixture", "ppca", "vae"})],
        "n_donors": [Interval(Integral, 2, None, closed="left")],
        "concentration": [Interval(Real, 0, None, closed="neither")],
        "max_weight": [Interval(Real, 0, 1, closed="right")],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "max_draws": [Interval(Integral, 1, None, closed="left")],
        "grouping": [StrOptions({"class_mix", "morphology", "both"})],
        "on_small_key": [StrOptions({"borrow", "suppress", "raise"})],
        "class_mix": [StrOptions({"keep", "resample"})],
        "rhythm": [StrOptions({"keep", "resample"})],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "window": [tuple, list],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "transform_batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        k=10,
        keep=(),
        *,
        generator="mixture",
        n_donors=2,
        concentration=0.01,
        max_weight=0.95,
        n_components=None,
        max_draws=8,
        grouping="class_mix",
        on_small_key="borrow",
        class_mix="keep",
        rhythm="keep",
        sampling_rate=None,
        window=(0.25, 0.45),
        max_epochs=12,
        lr=0.004,
        batch_size=128,
        transform_batch_size=4096,
        device="auto",
        random_state=None,
    ):
        self.k = k
        self.keep = keep
        self.generator = generator
        self.n_donors = n_donors
        self.concentration = concentration
        self.max_weight = max_weight
        self.n_components = n_components
        self.max_draws = max_draws
        self.grouping = grouping
        self.on_small_key = on_small_key
        self.class_mix = class_mix
        self.rhythm = rhythm
        self.sampling_rate = sampling_rate
        self.window = window
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.transform_batch_size = transform_batch_size
        self.device = device
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, subjects=None, facts=None, times=None, records=None):
        """Form groups and pools of donors, and train the networks that read diagnoses.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples) or (n_rows, n_beats, n_samples)
            Beats, or records of beats with missing ones NaN, in millivolts.
        y : array-like of shape (n_rows,), or of (n_rows, n_beats) for 3-D `X`
            Diagnosis of each row, or of each beat of each record (whatever for missing ones).
        subjects : array-like of shape (n_rows,), default=None
            Subject of each row. None makes every row its own subject.
        facts : DataFrame or mapping of columns, of n_rows rows, default=None
            Values of the facts of `keep` that are not measured, such as the sex.
        times : array-like of shape (n_rows,), or of (n_rows, n_beats) for 3-D `X`, default=None
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
            For a wrong shape, NaN outside padding, infinite or flat beats, labels, subjects or facts of another
            length, one class, less than `k` subjects, or, with ``on_small_key="raise"``, a key of less than `k`; for
            times of another shape, infinite or not rising ones, or, with ``rhythm="resample"``, none, or R-R intervals
            of less than `k` subjects.
        """
        beats, y_codes, s_codes = self._check_fit(X, y, subjects)
        self._check_settings(beats)
        recordings, owner = self._check_times(times, beats, subjects, records)
        if len(self.subjects_) < self.k:
            raise ValueError(
                f"k={self.k}, but X has beats of {len(self.subjects_)} subjects (n_samples = {beats.shape[0]} rows): "
                "a group needs at least k of them. Use a smaller k, or more people."
            )
        random_state = check_random_state(self.random_state)
        device = resolve_device(self.device)
        self._facts = Facts(self.keep, self.sampling_rate, self.window)
        fact_codes = self._facts.fit(beats.values, facts, beats.row, beats.shape[0])
        Z = standardize(beats.values)
        encoders = [*reader_encoders(Z.shape[1]), *(critic_encoders() if self.max_draws > 1 else [])]
        self.nets_ = [
            fit_reader(
                encoder,
                Z,
                y_codes,
                len(self.classes_),
                max_epochs=self.max_epochs,
                lr=self.lr,
                batch_size=self.batch_size,
                device=device,
                seed=draw_seed(random_state),
            )
            for encoder in encoders
        ]
        self._remembered = RememberedDiagnoses(beats.values, y_codes)
        mix, template = _describe_subjects(Z, y_codes, s_codes, len(self.classes_), len(self.subjects_))
        features = self._fit_groups(mix, template)
        self._fit_pools(beats.values, y_codes, s_codes, fact_codes, features, random_state)
        self._mix = np.array([mix[self.groups_ == group].mean(axis=0) for group in range(self.groups_.max() + 1)])
        # None draws anew at each transform.
        self._seed = None if self.random_state is None else draw_seed(random_state)
        self._rhythm = None
        if self.rhythm == "resample":
            intervals, row = recordings.intervals()
            row, intervals = row[owner[row] >= 0], intervals[owner[row] >= 0]
            self._rhythm = GroupRhythm(intervals, owner[row], self.groups_, self.k, self.on_small_key)
            self._rhythm_seed = None if self.random_state is None else draw_seed(random_state)
            self.summary_["small_rhythms"] = self._rhythm.small
        self._measure_leakage(beats.values, s_codes, fact_codes)
        self._measure_acceptance(beats.values, y_codes, s_codes, fact_codes)
        return self

    def fit_transform(self, X, y, *, subjects=None, facts=None, times=None, records=None):
        """Fit, and release the beats themselves.

        Parameters
        ----------
        X, y, subjects, facts, times, records
            As of ``fit``.

        Returns
        -------
        X_anonymized : ndarray of the shape and float dtype of `X`
            As from ``transform(X, subjects=subjects, facts=facts)``.
        """
        fitted = self.fit(X, y, subjects=subjects, facts=facts, times=times, records=records)
        return fitted.transform(X, subjects=subjects, facts=facts)

    def transform(self, X, *, subjects=None, facts=None):
        """Anonymize beats.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_samples) or (n_rows, n_beats, n_samples)
            Beats, or records of beats with missing ones NaN, in millivolts. No label is used: the diagnosis is
            predicted.
        subjects : array-like of shape (n_rows,), default=None
            Subject of each row; one that was fitted is in his group, a new one goes to the nearest. None takes every
            row for a new subject of its own.
        facts : DataFrame or mapping of columns, of n_rows rows, default=None
            As of ``fit``.

        Returns
        -------
        X_anonymized : ndarray of the shape and float dtype of `X`
            Beats made of donors', in millivolts; missing beats stay missing, and with ``on_small_key="suppress"`` more
            are.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            For a wrong shape, NaN outside padding, infinite or flat beats, another number of samples than in ``fit``,
            or subjects or facts of another length.
        """
        beats, code, random = self._keyed(X, subjects, facts)
        return beats.restore(self._release(*code, random, beats.values.dtype))

    def resample_times(self, times, *, subjects=None, records=None, X=None):
        """Return times of beats to release: as they are, or with the rhythm of the group, as `rhythm` says.

        Parameters
        ----------
        times : array-like of shape (n_rows,) or (n_rows, n_beats)
            As of ``fit``: one of each row of beats, or of each beat of each record.
        subjects : array-like of shape (n_rows,), default=None
            As of ``transform``. None takes every row for a new subject of its own, which makes no sense of single
            beats.
        records : array-like of shape (n_rows,), default=None
            As of ``fit``.
        X : array-like of shape (n_rows, n_samples) or (n_rows, n_beats, n_samples), default=None
            The beats, as of ``transform``; needed for the groups of new subjects only.

        Returns
        -------
        times : ndarray of the shape and float dtype of `times`
            New times in seconds; missing ones stay missing, and with ``on_small_key="suppress"`` more are.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            For times of another shape, infinite or not rising ones, or subjects or records of another length; for
            subjects that were not in ``fit`` without `X`, or with an `X` of other beats; with ``rhythm="resample"``,
            for single beats without subjects, and where ``fit`` had no such rhythm.

        Notes
        -----
        With ``rhythm="resample"`` a recording is a stationary bootstrap [1]_ of its group: runs of successive R-R
        intervals, 20 on average, each of any member of the group, the source included, every member with the same
        chance, and of any place in his intervals. The new recording begins at 0 s, and its first beat comes one drawn
        interval later: it has nothing of the source's times.

        As in ``transform``, an int as `random_state` gives row i of any call the same random numbers: give all
        recordings of a release in one call, or those of two calls are alike.

        What stays is how many beats a recording has, and which are missing. Intervals are the group's, so the recording
        gets longer or shorter: who writes it must cut or pad it, and best cuts all to one length, for the number of
        beats that somebody had in a known time is his heart rate. Times go to :meth:`BeatSegmenter.restore
        <skagile.segmentation.BeatSegmenter.restore>` with a flat record in place of the source's, and with room for
        the window before the first beat.

        **What this does not guarantee.** Runs are real intervals of cohort members, so who knows somebody's rhythm may
        find that he was in the cohort. Intervals do not follow the diagnoses: a released premature beat need not be
        early, nor followed by a pause.

        References
        ----------
        .. [1] Politis, Romano. "The stationary bootstrap", Journal of the American Statistical Association 1994.
        """
        check_is_fitted(self)
        times = check_times(times)
        if self.rhythm == "keep":
            return times.copy()
        if self._rhythm is None:
            raise ValueError('rhythm was set to "resample" after fit, which kept no intervals. Fit again, with times.')
        if subjects is None and times.ndim == 1:
            raise ValueError(
                "times of single beats, shape (n_rows,), with subjects=None: each beat would be a recording of its "
                "own, without an interval. Give subjects."
            )
        names, owner = self._owners(subjects, len(times))
        recordings = Recordings(times, owner, records)
        group = (np.full(len(names), -1) if subjects is None else self._known_groups(names))[owner]
        if (group < 0).any():
            if X is None:
                new = "subjects=None makes every row a new subject" if subjects is None else "subjects holds new ones"
                raise ValueError(
                    f"{new}, the first in row {np.flatnonzero(group < 0)[0]}, and X=None: groups of new subjects go by "
                    "their beats. Give X, as to transform."
                )
            group = self._groups_of_rows(X, subjects, times.shape, owner, group)
        return self._rhythm.draw(recordings, group, np.random.default_rng(self._rhythm_seed))

    def assign(self, X, *, subjects=None, facts=None):
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
        beats, (group, diagnosis, fact_codes), _ = self._keyed(X, subjects, facts)
        keys = self._law(group, diagnosis, fact_codes)
        if beats.present is None:
            return keys
        out = np.full(beats.present.shape, -1, dtype=keys.dtype)
        out[beats.present] = keys
        return out

    def _check_diagnoses(self, y, beats):
        if beats.present is None or np.ndim(y) != 2 or np.shape(y) != beats.present.shape:
            return super()._check_diagnoses(y, beats)
        labels = np.asarray(y)[beats.present]
        return check_labels(labels, len(labels), name="y")

    def _check_settings(self, beats):
        if self.class_mix == "resample" and beats.present is None:
            raise ValueError(
                'class_mix="resample" needs records of beats, X of shape (n_rows, n_beats, n_samples); got X of shape '
                f'{beats.shape}, whose rows stand beside a y of their own. Use class_mix="keep".'
            )
        if self.generator == "aligned_mixture" and self.sampling_rate is None:
            raise ValueError(
                'generator="aligned_mixture" with sampling_rate=None: waves are found in time. Give sampling_rate in '
                "Hz, and the window that the beats were cut with."
            )
        if self.max_weight * self.n_donors < 1:
            raise ValueError(
                f"max_weight={self.max_weight} and n_donors={self.n_donors}: weights of at most max_weight do not add "
                f"up to 1. Use max_weight of at least {1 / self.n_donors:.3g}, or more donors."
            )

    def _check_times(self, times, beats, subjects, records):
        """Return the recordings, and the code of each row's subject; -1 where no beat of him is in X."""
        if times is None:
            if self.rhythm == "resample":
                raise ValueError(
                    'rhythm="resample" with times=None: intervals are drawn from those of the group. Give the time of '
                    'each beat in seconds as times, or use rhythm="keep".'
                )
            return None, None
        names, owner = self._owners(subjects, beats.shape[0])
        return Recordings(check_times(times, beats.shape[:-1]), owner, records), self._known(names)[owner]

    def _owners(self, subjects, n_rows):
        if subjects is None:
            return np.arange(n_rows), np.arange(n_rows)
        return check_labels(subjects, n_rows, name="subjects", kind="subjects", minimum=1)

    def _groups_of_rows(self, X, subjects, shape, owner, group):
        """Return the group of each row; of new subjects as ``transform`` finds it."""
        beats = check_beats(self, X, reset=False)
        if beats.shape[:-1] != shape:
            raise ValueError(f"X has shape {beats.shape}, times {shape}. Give one time per beat of X.")
        diagnosis = self._diagnose(beats.values)
        of_owner = np.full(owner.max() + 1, -1)
        of_owner[owner] = group
        of_owner[owner[beats.row]] = self._group_of(beats, diagnosis, subjects)
        # A new subject without a beat has no group, and no times.
        return of_owner[owner]

    def _fit_groups(self, mix, template):
        # Each kind of feature counts by its spread over the subjects.
        self._spread = [max(np.sqrt(np.var(part, axis=0).sum()), 1e-12) for part in (mix, template)]
        features = self._features(mix, template)
        self.groups_ = mdav(features, self.k)
        self._centres = np.array([features[self.groups_ == g].mean(axis=0) for g in range(self.groups_.max() + 1)])
        return features

    def _features(self, mix, template):
        parts = {"class_mix": [0], "morphology": [1], "both": [0, 1]}[self.grouping]
        return np.hstack([(mix, template)[i] / self._spread[i] for i in parts])

    def _fit_pools(self, X, y, s, facts, features, random_state):
        group = self.groups_[s]
        self._keys, first, of_key = np.unique(self._code(group, y, facts), return_index=True, return_inverse=True)
        pools = [np.flatnonzero(of_key == i) for i in range(len(self._keys))]
        n_subjects = [len(np.unique(s[pool])) for pool in pools]
        is_small = np.array(n_subjects) < self.k
        same_facts = self._code(np.zeros_like(group), y, facts)
        small, shared, self._suppressed = [], {}, np.zeros(len(pools), dtype=bool)
        for i in np.flatnonzero(is_small):
            entry = {
                "group": int(group[first[i]]),
                "diagnosis": self.classes_[[y[first[i]]]].tolist()[0],
                **self._facts.describe(facts[first[i]]),
                "n_subjects": n_subjects[i],
                "n_beats": np.count_nonzero(of_key == i),
            }
            if self.on_small_key == "raise":
                raise ValueError(
                    f"{n_subjects[i]} subjects have the key {entry}, less than k={self.k}. Use a smaller k, fewer "
                    'facts or coarser diagnoses, or on_small_key="borrow" or "suppress".'
                )
            of_like = same_facts[first[i]]
            if of_like not in shared:  # one pool for small keys of all groups
                like = same_facts == of_like
                own, of_diagnosis = np.flatnonzero(like & is_small[of_key]), np.flatnonzero(y == y[first[i]])
                shared[of_like] = borrow(own, np.flatnonzero(like), of_diagnosis, s, features, self.k)
            pools[i] = shared[of_like]
            n_donors = len(np.unique(s[pools[i]]))
            # A mixture of one subject would be that subject.
            self._suppressed[i] = self.on_small_key == "suppress" or n_donors < 2
            if self._suppressed[i]:
                entry["done"] = "suppressed"
            else:
                entry.update(done="borrowed", borrowed_subjects=n_donors)
            small.append(entry)
        # A key that nobody had in fit is served by all beats of its diagnosis.
        for i in range(len(self.classes_)):
            pools.append(np.flatnonzero(y == i))
        of_class = np.array([len(np.unique(s[pool])) < 2 for pool in pools[len(self._keys) :]])
        self._suppressed = np.concatenate([self._suppressed, of_class | (self.on_small_key == "suppress")])
        # Keys that borrow the same donors are one and the same, as far as the release tells.
        number = {}
        self._pool_index = np.array([number.setdefault(pool.tobytes(), len(number)) for pool in pools], dtype=np.intp)
        pools = [pools[i] for i in np.unique(self._pool_index, return_index=True)[1]]
        # A copy: the caller may go on to change his X.
        self._generator = self._make_generator(Donors(X.copy(), s, pools), y, random_state)
        n_small = sum(entry["n_beats"] for entry in small)
        self.summary_ = {
            "group_sizes": np.bincount(self.groups_).tolist(),
            "n_keys": len(self._keys),
            "small_keys": small,
            "small_key_share": n_small / len(X),
        }

    def _make_generator(self, donors, y, random_state):
        if self.generator == "ppca":
            return PPCAGenerator(donors, n_components=self.n_components or _N_COMPONENTS["ppca"])
        if self.generator == "vae":
            seed, device = draw_seed(random_state), resolve_device(self.device)
            n_components = self.n_components or _N_COMPONENTS["vae"]
            return VAEGenerator(donors, n_components=n_components, device=device, seed=seed)
        params = {
            "n_donors": self.n_donors,
            "concentration": self.concentration,
            "max_weight": self.max_weight,
            "random_state": np.random.default_rng(draw_seed(random_state)),
        }
        if self.generator == "mixture":
            return MixtureGenerator(donors, **params)
        return AlignedMixtureGenerator(donors, self._find_landmarks(donors.beats, y), **params)

    def _find_landmarks(self, X, y):
        """Find P, QRS and T, in samples; an absent wave is put where those of the same diagnosis usually are."""
        measured = measure_beats(X, self.sampling_rate, window=self.window)
        r_peak = round(self.window[0] * self.sampling_rate)
        found = np.stack([measured[name] for name in _LANDMARKS], axis=1) * self.sampling_rate / 1000 + r_peak
        found = np.insert(found, _LANDMARKS.index("qrs_offset"), r_peak, axis=1)
        fallback = np.empty_like(found)
        anywhere = _median(found, np.linspace(0, X.shape[1] - 1, found.shape[1] + 2)[1:-1])
        for code in np.unique(y):
            fallback[y == code] = _median(found[y == code], anywhere)
        return rising(found, X.shape[1], fallback)

    def _code(self, group, diagnosis, facts):
        """Return the number of a key."""
        return self._with_facts(group * len(self.classes_) + diagnosis, facts)

    def _with_facts(self, code, facts):
        for i, n_values in enumerate(self._facts.n_values):
            code = code * n_values + facts[:, i]
        return code

    def _keyed(self, X, subjects, facts):
        """Beats, their group, diagnosis and facts, and the source of random numbers."""
        check_is_fitted(self)
        beats = check_beats(self, X, reset=False)
        if self.class_mix == "resample" and beats.present is None:
            self._check_settings(beats)
        diagnosis = self._diagnose(beats.values)
        fact_codes = self._facts.encode(beats.values, facts, beats.row, beats.shape[0])
        group = self._group_of(beats, diagnosis, subjects)
        random = np.random.SeedSequence(self._seed)
        if self.class_mix == "resample":
            uniforms = np.random.Generator(np.random.PCG64(random.spawn(1)[0])).random(len(diagnosis))
            diagnosis = (uniforms[:, None] > np.cumsum(self._mix, axis=1)[group, :-1]).sum(axis=1)
        return beats, (group, diagnosis, fact_codes), random

    def _diagnose(self, X):
        """Return codes of diagnoses: of a fitted beat that which it was fitted with, of others what the readers say."""
        codes = self._remembered.find(X)
        new = codes < 0
        if new.any():
            codes[new] = read(self.nets_[:N_READERS], X[new], resolve_device(self.device))
        return codes

    def _group_of(self, beats, diagnosis, subjects):
        if subjects is None:
            owner, names = np.arange(beats.shape[0])[beats.row], None
        else:
            names, owner = check_labels(
                subjects, beats.shape[0], name="subjects", kind="subjects", minimum=1, row=beats.row
            )
        if names is not None:
            group = self._known_groups(names)
        else:
            # Rows without a beat have no owner's number.
            owner = np.unique(owner, return_inverse=True)[1]
            group = np.full(owner.max() + 1, -1)
        new = group < 0
        if new.any():
            rows = np.flatnonzero(new[owner])
            rows = rows[np.argsort(owner[rows], kind="stable")]
            person, begin = np.unique(owner[rows], return_index=True)
            # Some whole people at a time bound the memory.
            cuts = np.searchsorted(begin, np.arange(0, len(rows), self.transform_batch_size))
            for some in np.split(np.arange(len(person)), np.unique(cuts)[1:]):
                if len(some):
                    end = begin[some[-1] + 1] if some[-1] + 1 < len(begin) else len(rows)
                    part = rows[begin[some[0]] : end]
                    of = np.searchsorted(person[some], owner[part])
                    Z = standardize(beats.values[part])
                    features = self._features(
                        *_describe_subjects(Z, diagnosis[part], of, len(self.classes_), len(some))
                    )
                    distance = (self._centres**2).sum(axis=1) - 2 * features @ self._centres.T
                    group[person[some]] = distance.argmin(axis=1)
        return group[owner]

    def _known_groups(self, names):
        known = self._known(names)
        return np.where(known < 0, -1, self.groups_[known])

    def _known(self, names):
        """Return the code of each name that was fitted, and -1 for others."""
        if (names.dtype.kind in "biuf") != (self.subjects_.dtype.kind in "biuf"):
            asked, known = names[:1].tolist()[0], self.subjects_[:1].tolist()[0]
            raise ValueError(
                f"subjects holds {asked!r}, fit was given {known!r}: names of another type are nobody's. "
                "Give the subjects as in fit."
            )
        known = np.searchsorted(self.subjects_, names)
        known = np.minimum(known, len(self.subjects_) - 1)
        is_known = np.array(self.subjects_[known] == names, dtype=bool).reshape(-1)
        return np.where(is_known, known, -1)

    def _pool_of(self, group, diagnosis, facts):
        """Pool of each key, and whether it is suppressed."""
        code = self._code(group, diagnosis, facts)
        key = np.minimum(np.searchsorted(self._keys, code), len(self._keys) - 1)
        key = np.where(self._keys[key] == code, key, len(self._keys) + diagnosis)
        return self._pool_index[key], self._suppressed[key]

    def _law(self, group, diagnosis, facts):
        """Return numbers that are equal where released beats follow the same law."""
        pool, suppressed = self._pool_of(group, diagnosis, facts)
        # Kept facts play a part even where the donors are the same: a drawn beat must have them.
        return self._with_facts(np.where(suppressed, -1, pool), np.where(suppressed[:, None], 0, facts))

    def _release(self, group, diagnosis, facts, random, dtype, counts=None):
        """Beats of keys: a function of them and of random numbers alone."""
        device = resolve_device(self.device)
        pool, suppressed = self._pool_of(group, diagnosis, facts)
        n_rows, n_uniforms = len(pool), self._generator.n_uniforms
        first, *seeds = random.spawn(self.max_draws + 2)[1:]
        spread = spread_evenly(pool, np.random.default_rng(first))
        released = np.empty((n_rows, self.n_features_in_), dtype=dtype)
        # Critics are of other kinds than the readers that predict, and one of these: the quickest, and so first.
        critics = [self.nets_[0], *self.nets_[N_READERS:]]
        for start in range(0, n_rows, self.transform_batch_size):
            rows = np.arange(start, min(start + self.transform_batch_size, n_rows))
            for i in range(self.max_draws):
                # Each round has a stream of its own, in which row i has the same place whatever the batches are.
                stream = np.random.PCG64(seeds[i])
                stream.advance(int(rows[0]) * n_uniforms)
                uniforms = np.random.Generator(stream).random((rows[-1] - rows[0] + 1, n_uniforms))[rows - rows[0]]
                if not i:
                    uniforms[:, 0] = spread[rows]
                released[rows] = self._generator.generate(pool[rows], uniforms)
                if i + 1 == self.max_draws and counts is None:
                    break  # released whatever the critics say
                doubted = []
                for critic in critics:
                    # A beat that one does not believe need not be shown to the others.
                    believed = read([critic], released[rows], device) == diagnosis[rows]
                    doubted.append(rows[~believed])
                    rows = rows[believed]
                kept = self._facts.agree(released[rows], facts[rows])
                rows = np.sort(np.concatenate([*doubted, rows[~kept]]))
                if counts is not None:
                    counts[i] += len(rows)
                if not len(rows):
                    break
        released[suppressed] = np.nan
        return released

    def _measure_leakage(self, X, s, facts):
        diagnosis = self._diagnose(X)
        # Resampled diagnoses tell nothing but the group's mix.
        keys = self.groups_[s] if self.class_mix == "resample" else self._law(self.groups_[s], diagnosis, facts)
        count = np.bincount(s)
        late = rank_within(s) >= count[s] // 2
        self.expected_leakage_ = {"chance": 1 / len(self.subjects_)}
        if count.min() < 2:
            self.expected_leakage_["single"] = label_only_floor(keys, s, keys, s)
            return
        for name, fused in (("single", False), ("fused", True)):
            floors = [
                label_only_floor(keys[seen], s[seen], keys[~seen], s[~seen], fused=fused) for seen in (late, ~late)
            ]
            self.expected_leakage_[name] = float(np.mean(floors))

    def _measure_acceptance(self, X, y, s, facts):
        if self.max_draws == 1:
            return
        rows = np.unique(np.linspace(0, len(X) - 1, _SUMMARY_BEATS).astype(int))
        counts = np.zeros(self.max_draws, dtype=np.intp)
        self._release(self.groups_[s[rows]], y[rows], facts[rows], np.random.SeedSequence(self._seed), X.dtype, counts)
        self.summary_["accepted_first"] = float(1 - counts[0] / len(rows))
        self.summary_["accepted"] = float(1 - counts[-1] / len(rows))


def _describe_subjects(Z, y, s, n_classes, n_subjects):
    """Share of each diagnosis, and mean of the standardized beats, of each subject."""
    count = np.bincount(s, minlength=n_subjects)[:, None]
    mix = np.bincount(s * n_classes + y, minlength=n_subjects * n_classes).reshape(n_subjects, n_classes) / count
    order = np.argsort(s, kind="stable")
    template = np.add.reduceat(Z[order], np.cumsum(count[:, 0]) - count[:, 0], axis=0) / count
    return mix, template


def _median(values, otherwise):
    """Median down the columns, where there is one."""
    known = ~np.isnan(values).all(axis=0)
    out = np.array(otherwise, dtype=np.float64)
    out[known] = np.nanmedian(values[:, known], axis=0)
    return out
