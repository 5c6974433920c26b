"""A synthetic cohort by the dynamical model of McSharry, Clifford, Tarassenko and Smith (2003)."""

import copy
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy.signal import butter, lfilter, sosfilt
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skagile.datasets._vectorcardiogram import draw_torso, on_one_day, spread_out
from skagile.leads import STANDARD

_WAVES = ("P", "Q", "R", "S", "T")
_CLASSES = ("N", "S", "V", "F")
_RUN_UP = 3.0  # s of every record that are thrown away: z forgets its start with a time constant of 1 s
_SYMBOL = dict(zip(_CLASSES, "NAVF", strict=True))  # the symbols of MIT-BIH
_FIRST = ("II", "V5", "I", "V1", "III", "aVR", "aVL", "aVF", "V2", "V3", "V4", "V6")  # of fewer leads than twelve

# Population means in lead II at a heart rate of 60/min, waves P Q R S T. The angles and widths of the paper's table 1
# (-70 -15 0 15 100 degrees; .25 .1 .1 .1 .4 rad) as seconds, with T a little earlier; amplitudes in mV.
_TIME = np.array([-0.170, -0.040, 0.0, 0.038, 0.265])
_WIDTH = np.array([0.024, 0.010, 0.012, 0.012, 0.052])
_AMPLITUDE = np.array([0.13, -0.10, 1.10, -0.25, 0.30])
# Scatter between subjects: seconds, logarithms, logarithms.
_TIME_SD = np.array([0.014, 0.004, 0.0, 0.004, 0.020])
_WIDTH_SD = np.array([0.20, 0.20, 0.15, 0.20, 0.16])
_AMPLITUDE_SD = np.array([0.40, 0.60, 0.25, 0.60, 0.45])
# The ectopic ventricular beat: no P; a wide QRS whose sign and shape belong to the subject's focus; T against it.
_V_TIME = np.array([0.0, -0.055, 0.0, 0.075, 0.330])
_V_WIDTH = np.array([0.02, 0.022, 0.030, 0.034, 0.062])
_V_AMPLITUDE = np.array([0.0, -0.15, 1.30, -0.50, -0.40])


@dataclass
class Waves:
    """Waves of every beat: centres in s from the R peak, widths in s, amplitudes in mV by lead.

    Attributes
    ----------
    time, width : ndarray of shape (n_beats, n_waves)
        Centre and standard deviation of each wave.
    amplitude : ndarray of shape (n_leads, n_beats, n_waves)
        Height of each wave; 0 where the beat has no such wave.
    """

    time: np.ndarray
    width: np.ndarray
    amplitude: np.ndarray


def integrate_ecg(r_times: np.ndarray, waves: Waves, baseline: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Solve the z equation of the model for given R times.

    On the limit cycle of the model's (x, y) the phase theta obeys d theta / dt = 2 pi / RR(t), so with the R peaks at
    multiples of 2 pi it is known in closed form, and z obeys a linear equation,

        dz/dt = -sum_i a_i D_i exp(-D_i^2 / (2 b_i^2)) - (z - z_0(t)),   D_i = theta - theta_i,

    which a first-order recursion solves exactly for a right-hand side that is linear between samples. theta_i = 2 pi
    time_i / RR and b_i = 2 pi width_i / RR, and a_i is such that the wave is `amplitude` high. A sample hears the beats
    before and after it.

    Parameters
    ----------
    r_times : ndarray of shape (n_beats,)
        Times of the R peaks in s, at least one before 0 and one after the last sample.
    waves : Waves
        Waves of each beat.
    baseline : ndarray of shape (n_times,) or (n_leads, n_times)
        z_0 in mV.
    sampling_rate : float
        In Hz.

    Returns
    -------
    ndarray of shape (n_leads, n_times)
        z in mV, beginning at z_0; it forgets that with a time constant of 1 s.
    """
    t = np.arange(baseline.shape[-1]) / sampling_rate
    last = np.searchsorted(r_times, t, side="right") - 1
    rr = np.diff(r_times)[last]
    omega = 2 * np.pi / rr
    phase = omega * (t - r_times[last])
    drive = np.broadcast_to(baseline, (len(waves.amplitude), len(t))).copy()
    for beat, theta in ((last, phase), (last + 1, phase - 2 * np.pi)):
        for wave in range(waves.time.shape[1]):
            width = omega * waves.width[beat, wave]
            distance = theta - omega * waves.time[beat, wave]
            pulse = distance * np.exp(-0.5 * (distance / width) ** 2)
            # a = amplitude * omega / b^2 makes the wave that high: its slope in time is omega times that in phase.
            drive -= waves.amplitude[:, beat, wave] * (omega / width**2 * pulse)
    step = 1 / sampling_rate
    decay = np.exp(-step)
    new = 1 - (1 - decay) / step
    old = (1 - decay) / step - decay
    begin = baseline[..., :1] - new * drive[:, :1]  # z(0) = z_0(0)
    return lfilter([new, old], [1, -decay], drive, axis=1, zi=begin)[0]


def rr_series(
    rng: np.random.RandomState, duration: float, mean: float, sd: float, lf_hf: float, *, rate: float = 4.0
) -> np.ndarray:
    """RR intervals in s at `rate` per second: a spectrum with a Mayer (0.1 Hz) and a respiratory (0.25 Hz) peak.

    The amplitudes are the square root of the two-peaked spectrum of the paper, the phases random; power between the
    low- and the high-frequency peak is `lf_hf` to 1.
    """
    n = 1 << int(np.ceil(np.log2(max(duration * rate, 256))))
    f = np.fft.rfftfreq(n, 1 / rate)
    peaks = lf_hf * np.exp(-0.5 * ((f - 0.1) / 0.01) ** 2) + np.exp(-0.5 * ((f - 0.25) / 0.01) ** 2)
    spectrum = np.sqrt(peaks) * np.exp(2j * np.pi * rng.random_sample(len(f)))
    spectrum[0] = 0
    series = np.fft.irfft(spectrum, n)
    return mean + sd / series.std() * series


def _r_times(rng, subject, duration):
    """R times of sinus rhythm, from before 0 to after the end: the phase is the integral of 2 pi / RR(t)."""
    rate, lead_in = 4.0, _RUN_UP + 2.0
    rr = rr_series(rng, duration + 4 * lead_in, subject.rr_mean, subject.rr_sd, subject.lf_hf, rate=rate)
    rr = np.clip(rr, 0.35, 2.0)
    t = np.arange(len(rr)) / rate - lead_in
    cycles = np.concatenate([[0], np.cumsum(0.5 * (1 / rr[1:] + 1 / rr[:-1]) / rate)])
    return np.interp(np.arange(1, np.floor(cycles[-1])), cycles, t)


def _ectopic(rng, r_times, mix):
    """Draw the class of each beat, ectopic ones never in a row, and move the R times as their prematurity asks."""
    n = len(r_times)
    label = np.zeros(n, dtype=int)
    n_ectopic = min(rng.binomial(n, 1 - mix[0]), (n - 4) // 2) if n > 4 else 0
    if n_ectopic:
        # Sorted draws without repetition, spread by their rank, are never neighbours.
        slots = np.sort(rng.choice(n - 3 - n_ectopic, n_ectopic, replace=False)) + np.arange(n_ectopic) + 2
        label[slots] = rng.choice([1, 2, 3], n_ectopic, p=mix[1:] / mix[1:].sum())
    rr = np.diff(r_times)
    before = np.maximum(np.arange(n) - 1, 0)
    early = rr[before] * np.choose(
        label, [0, rng.uniform(0.12, 0.35, n), rng.uniform(0.15, 0.4, n), rng.uniform(0.02, 0.12, n)]
    )
    rr[before] -= early
    # After V and F the sinus node keeps its beat (a full compensatory pause); S resets it.
    after = np.flatnonzero(label[:-1] >= 2)
    rr[after] += early[after]
    return r_times[0] + np.concatenate([[0], np.cumsum(rr)]), label


@dataclass
class _Subject:
    sex: str
    age: float
    rr_mean: float
    rr_sd: float
    lf_hf: float
    time: np.ndarray
    width: np.ndarray
    amplitude: np.ndarray
    v_time: np.ndarray
    v_width: np.ndarray
    v_amplitude: np.ndarray
    p_shift: float
    p_scale: float
    breath: float
    mix: np.ndarray


def _draw_subject(rng, variability, mix, concentration):
    """Draw a person: shape of the beats in lead II, rhythm, sex and age, and how often which ectopic beat comes."""
    sex = "F" if rng.random_sample() < 0.5 else "M"
    age = float(np.round(rng.uniform(20, 85)))
    decades = (age - 50) / 10
    # Weak effects, within the scatter: women have smaller QRS and longer QT, the old smaller T and slower conduction.
    amplitude = _AMPLITUDE * np.exp(variability * _AMPLITUDE_SD * rng.standard_normal(5))
    amplitude[1:4] *= 0.90 if sex == "F" else 1.0
    amplitude[4] *= np.exp(-0.06 * decades)
    time = _TIME + variability * _TIME_SD * rng.standard_normal(5)
    time[4] += (0.008 if sex == "F" else 0.0) + 0.002 * decades
    time[0] -= 0.002 * decades
    width = _WIDTH * np.exp(variability * _WIDTH_SD * rng.standard_normal(5) + [0.02 * decades, 0, 0, 0, 0])
    rng.standard_normal(5)  # once of other leads: cohorts stay what they were
    polarity = 1 if rng.random_sample() < 0.75 else -1
    return _Subject(
        sex=sex,
        age=age,
        rr_mean=60 / np.clip(rng.normal(72 if sex == "M" else 75, 8), 50, 100),
        rr_sd=0.035 * np.exp(0.3 * rng.standard_normal() - 0.12 * decades),
        lf_hf=np.exp(0.4 * rng.standard_normal() - 0.5),
        time=time,
        width=width,
        amplitude=amplitude[None],
        v_time=_V_TIME + 0.010 * rng.standard_normal(5) * [0, 1, 0, 1, 2],
        v_width=_V_WIDTH * np.exp(0.12 * rng.standard_normal(5)),
        v_amplitude=(polarity * _V_AMPLITUDE * np.exp(0.25 * rng.standard_normal(5)))[None],
        p_shift=rng.uniform(0.010, 0.035),
        p_scale=rng.choice([-0.5, 0.5, 1.3]),
        breath=rng.uniform(0.2, 0.3),
        mix=_personal_mix(rng, mix, concentration),
    )


def _personal_mix(rng, mix, concentration):
    """Draw how often each class comes in one person, about the cohort's mix; classes of share 0 never come."""
    drawn = np.array([rng.gamma(concentration * share) if share > 0 else 0.0 for share in mix])
    return drawn / drawn.sum()


def _drifted(rng, subject, drift):
    """Shape of a subject's beats on one day: electrodes, posture and the heart itself are never quite the same."""
    time = subject.time + drift * _TIME_SD * rng.standard_normal(5)
    width = subject.width * np.exp(drift * _WIDTH_SD * rng.standard_normal(5))
    amplitude = subject.amplitude * np.exp(drift * _AMPLITUDE_SD * rng.standard_normal(subject.amplitude.shape))
    return time, width, amplitude


def _beat_waves(rng, subject, shape, label, rr, jitter):
    """Waves of every beat: five of the sinus beat and five of the ventricular one, mixed by the beat's class."""
    time, width, amplitude = shape
    n = len(label)
    stretch = np.sqrt(np.concatenate([rr[:1], rr]))  # Bazett: P and T keep to the root of the RR interval before
    conducted = np.repeat(time[None], n, axis=0)
    conducted[:, 4] *= stretch
    conducted[:, 0] *= stretch**0.5
    conducted += jitter * _TIME_SD * rng.standard_normal((n, 5))
    ventricular = np.repeat(subject.v_time[None], n, axis=0)
    ventricular[:, 4] *= stretch**0.5
    early = label == 1
    conducted[early, 0] += subject.p_shift
    weight = np.choose(label, [1.0, 1.0, 0.0, rng.uniform(0.15, 0.85, n)])
    wobble = np.exp(jitter * np.concatenate([_AMPLITUDE_SD, np.full(5, 0.4)]) * rng.standard_normal((n, 10)))
    heights = np.concatenate(
        [amplitude[:, None] * weight[:, None], subject.v_amplitude[:, None] * (1 - weight[:, None])], axis=2
    )
    heights *= wobble
    heights[:, early, 0] *= subject.p_scale
    return Waves(
        time=np.concatenate([conducted, ventricular], axis=1),
        width=np.tile(np.concatenate([width, subject.v_width]), (n, 1)),
        amplitude=heights,
    )


def _noise(rng, shape, sampling_rate, sd):
    """Muscle noise (white, less below 5 Hz) and slow electrode wander, `sd` mV in all."""
    high = sosfilt(butter(1, 5 / (sampling_rate / 2), "highpass", output="sos"), rng.standard_normal(shape), axis=-1)
    low = sosfilt(butter(1, 0.5 / (sampling_rate / 2), output="sos"), rng.standard_normal(shape), axis=-1)
    noise = high / high.std(axis=-1, keepdims=True) + 0.5 * low / low.std(axis=-1, keepdims=True)
    return sd / np.sqrt(1.25) * noise


@dataclass
class _Record:
    """What one record is made of, the run-up included."""

    r_times: np.ndarray
    waves: Waves
    breath: np.ndarray
    sampling_rate: float
    n_run_up: int

    def integrated(self, amplitude, baseline):
        """Leads without noise and without the run-up."""
        waves = Waves(self.waves.time, self.waves.width, amplitude)
        start = self.n_run_up / self.sampling_rate
        return integrate_ecg(self.r_times + start, waves, baseline, self.sampling_rate)[:, self.n_run_up :]


def _lead_ii(rng, record, snr):
    """Lead II without noise, and its noise, (1, n_times) each."""
    clean = record.integrated(record.waves.amplitude, record.breath)
    sd = np.std(clean, axis=1, keepdims=True) * 10 ** (-snr / 20)
    return clean, _noise(rng, clean.shape, record.sampling_rate, sd), sd


def _twelve_leads(rng, record, torso, noise, sd):
    """Twelve leads of a record: the waves of lead II as a dipole, and what breathing does without them."""
    height = record.waves.amplitude
    still = np.zeros_like(record.breath)
    axes = record.integrated(height * torso.dipole[:, None], still)
    [breath] = record.integrated(np.zeros_like(height), record.breath)
    others = _noise(rng, (8, noise.shape[1]), record.sampling_rate, sd)
    return spread_out(rng, torso, axes, breath, np.concatenate([noise, others]))


@validate_params(
    {
        "n_subjects": [Interval(Integral, 1, None, closed="left")],
        "n_sessions": [Interval(Integral, 1, None, closed="left")],
        "duration": [Interval(Real, 5, None, closed="left")],
        "sampling_rate": [Interval(Real, 100, None, closed="left")],
        "n_leads": [Interval(Integral, 1, 12, closed="both")],
        "snr": [Interval(Real, None, None, closed="neither")],
        "drift": [Interval(Real, 0, None, closed="left")],
        "variability": [Interval(Real, 0, None, closed="left")],
        "class_mix": [dict, None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_cohort(
    n_subjects: int = 20,
    n_sessions: int = 2,
    *,
    duration: float = 60.0,
    sampling_rate: float = 250.0,
    n_leads: int = 1,
    snr: float = 18.0,
    drift: float = 0.35,
    variability: float = 1.0,
    class_mix: Mapping[str, float] | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Make synthetic electrocardiograms of a cohort whose every R peak, beat class and identity is known.

    Each record solves the dynamical model of McSharry et al. [1]_: an RR series with a Mayer and a respiratory peak
    drives a phase, and five Gaussian waves P, Q, R, S, T along the phase drive a linear equation for the voltage.
    Subjects differ in the places, widths and heights of the waves, in rate and in rhythm; each session shifts them a
    little. Beats are normal (N), premature supraventricular (S: early, another P wave), ventricular (V: early, wide
    QRS without P, T against it, compensatory pause) and fusion beats (F: between N and V). The defaults are hard enough
    that who knows the first session recognises a person by a single beat of the second often but not always.

    Parameters
    ----------
    n_subjects : int, default=20
        Number of people.
    n_sessions : int, default=2
        Records of each, on different dates.
    duration : float, default=60.0
        Seconds of each record, at least 5.
    sampling_rate : float, default=250.0
        In Hz, at least 100.
    n_leads : int, default=1
        Number of leads. 12 are the usual ones in the usual order, "I" to "V6"; fewer begin with II and V5. The people,
        their beats and their lead II are the same, however many leads there are.
    snr : float, default=18.0
        Power of lead II over that of its muscle noise and electrode wander, in dB. Every electrode has as much noise.
    drift : float, default=0.35
        Scatter of a subject's waves between sessions, as a part of the scatter between subjects.
    variability : float, default=1.0
        Scale of the scatter between subjects; 0 makes everybody alike but for sex, age, rhythm and ectopic beats.
    class_mix : dict, default=None
        Share of each class in the cohort, by "N", "S", "V", "F". None is 80, 7, 9 and 4 %. Each subject's own mix
        scatters about it. N must have a share, and ectopic beats, which never follow each other, come to half at most.
    random_state : int, RandomState instance or None, default=None
        Draws everything; an int gives the same cohort each time.

    Returns
    -------
    records : :class:`~sklearn.utils.Bunch`
        The fields of :func:`fetch_mitdb`: subjects "cohort-001", ..., one record per subject and session, sorted by
        both; sessions their dates; annotations the true R peaks (phase zero) with symbols "N", "A" (S), "V" and "F".

    Raises
    ------
    ValueError
        If `class_mix` has an unknown class, a negative share or no N.

    See Also
    --------
    beats_from_records : Cuts the records into beats.

    Notes
    -----
    Departures from the paper: the phase is integrated along the limit cycle, where the model lives after its start-up,
    instead of with x and y; z is solved by a recursion that is exact for a forcing linear between samples, instead of
    Runge-Kutta; the waves are given by time, width and height in s and mV, and only P and T, not QRS, stretch with
    the RR interval; ectopic beats are our addition.

    References
    ----------
    .. [1] P. E. McSharry, G. D. Clifford, L. Tarassenko and L. A. Smith, "A dynamical model for generating synthetic
       electrocardiogram signals", IEEE Transactions on Biomedical Engineering 50(3), 289-294, 2003.
    .. [2] G. E. Dower, H. B. Machado and J. A. Osborne, "On deriving the electrocardiogram from vectorcardiographic
       leads", Clinical Cardiology 3(2), 87-95, 1980.
    .. [3] L. Edenbrandt and O. Pahlm, "Vectorcardiogram synthesized from a 12-lead ECG: superiority of the inverse
       Dower matrix", Journal of Electrocardiology 21(4), 361-367, 1988.

    Examples
    --------
    >>> from skagile.datasets import make_cohort
    >>> records = make_cohort(n_subjects=2, n_sessions=2, duration=10.0, random_state=0)
    >>> records.record_names
    ['cohort-001-s0', 'cohort-001-s1', 'cohort-002-s0', 'cohort-002-s1']
    >>> records.signals[0].shape, records.leads[0]
    ((1, 2500), ['II'])
    >>> make_cohort(n_subjects=1, n_sessions=1, duration=10.0, n_leads=12, random_state=0).leads[0][:6]
    ['I', 'II', 'III', 'aVR', 'aVL', 'aVF']
    """
    mix = _check_mix({"N": 0.80, "S": 0.07, "V": 0.09, "F": 0.04} if class_mix is None else class_mix)
    rng = check_random_state(random_state)
    # Of the other leads by themselves: the people and their beats are the same, however many leads are asked for.
    beside = np.random.RandomState(copy.deepcopy(rng).randint(2**31 - 1))
    leads = ["II"] if n_leads == 1 else list(STANDARD if n_leads == 12 else _FIRST[:n_leads])
    rows = [STANDARD.index(name) for name in leads]
    n_times, n_run_up = round(duration * sampling_rate), round(_RUN_UP * sampling_rate)
    signals, names, subjects, dates, ages, sexes, annotations, diagnoses = ([] for _ in range(8))
    for number in range(1, n_subjects + 1):
        subject = _draw_subject(rng, variability, mix, concentration=30.0)
        torso = draw_torso(beside, variability)
        date = datetime.date(2024, 1, 1) + datetime.timedelta(days=int(rng.randint(180)))
        for session in range(n_sessions):
            r_times, label = _ectopic(rng, _r_times(rng, subject, duration), subject.mix)
            shape = _drifted(rng, subject, drift)
            waves = _beat_waves(rng, subject, shape, label, np.diff(r_times), jitter=0.15)
            t = np.arange(n_times + n_run_up) / sampling_rate
            breath = 0.12 * np.sin(2 * np.pi * (subject.breath * t + rng.random_sample()))
            record = _Record(r_times, waves, breath, sampling_rate, n_run_up)
            clean, noise, sd = _lead_ii(rng, record, snr)
            if n_leads == 1:
                signals.append((clean + noise).astype(np.float32))
            else:
                signals.append(_twelve_leads(beside, record, on_one_day(beside, torso, drift), noise, sd)[rows])
            sample = np.rint(r_times * sampling_rate).astype(np.int64)
            inside = (sample >= 0) & (sample < n_times)
            symbol = np.array([_SYMBOL[_CLASSES[k]] for k in label[inside].tolist()], dtype="<U1")
            names.append(f"cohort-{number:03d}-s{session}")
            subjects.append(f"cohort-{number:03d}")
            dates.append(date.isoformat())
            ages.append(subject.age)
            sexes.append(subject.sex)
            annotations.append(Bunch(sample=sample[inside], symbol=symbol, aux_note=[""] * len(symbol)))
            diagnoses.append(["Sinus rhythm"])
            date += datetime.timedelta(days=int(rng.randint(7, 180)))
    return Bunch(
        signals=signals,
        sampling_rate=float(sampling_rate),
        leads=[list(leads) for _ in signals],
        record_names=names,
        subjects=np.array(subjects, dtype=str),
        sessions=np.array(dates, dtype=str),
        age=np.array(ages, dtype=float),
        sex=np.array(sexes, dtype="<U1"),
        annotations=annotations,
        diagnoses=diagnoses,
        database="cohort",
        DESCR=(
            f"Synthetic cohort after McSharry et al. 2003: {n_subjects} subject(s), {n_sessions} session(s) of "
            f"{duration:g} s, {n_leads} lead(s) at {sampling_rate:g} Hz, SNR {snr:g} dB, drift {drift:g}."
        ),
    )


def _check_mix(class_mix):
    """Shares of N, S, V, F, summing to 1."""
    unknown = sorted(set(class_mix) - set(_CLASSES))
    share = np.array([class_mix.get(name, 0.0) for name in _CLASSES], dtype=float)
    if unknown or not np.isfinite(share).all() or (share < 0).any() or share[0] <= 0:
        raise ValueError(
            f"class_mix={dict(class_mix)!r}; expected shares of at least 0 for classes among {_CLASSES}, N above 0."
        )
    return share / share.sum()
