"""The generator that a setting of k-same asks for."""

import numpy as np

from skagile._state import blank
from skagile._training import draw_seed, resolve_device
from skagile.anonymizers._generators import (
    AlignedMixtureGenerator,
    MixtureGenerator,
    PPCAGenerator,
    VAEGenerator,
    rising,
)
from skagile.anonymizers._ksame._donors import Donors
from skagile.segmentation import measure_beats

_GENERATORS = {
    "mixture": MixtureGenerator,
    "aligned_mixture": AlignedMixtureGenerator,
    "ppca": PPCAGenerator,
    "vae": VAEGenerator,
}
_N_COMPONENTS = {"ppca": 40, "vae": 12}
# What an aligned mixture lays upon one another, beside the R peak.
_LANDMARKS = ["p_peak", "qrs_onset", "qrs_offset", "t_peak", "t_end"]


def make_generator(settings, donors, y, random_state):
    """Fit a generator to the stored beats.

    Parameters
    ----------
    settings : KSameAnonymizer
        Whose `generator`, and its parameters, are meant.
    donors : Donors
        The stored beats and their pools.
    y : ndarray of int of shape (n_donors,)
        Codes of their diagnoses.
    random_state : RandomState
        Source of the generator's seed.

    Returns
    -------
    generator : MixtureGenerator, AlignedMixtureGenerator, PPCAGenerator or VAEGenerator
    """
    if settings.generator in _N_COMPONENTS:
        n_components = settings.n_components or _N_COMPONENTS[settings.generator]
    if settings.generator == "ppca":
        return PPCAGenerator(donors, n_components=n_components)
    if settings.generator == "vae":
        seed, device = draw_seed(random_state), resolve_device(settings.device)
        return VAEGenerator(donors, n_components=n_components, device=device, seed=seed)
    params = {
        "n_donors": settings.n_donors,
        "concentration": settings.concentration,
        "max_weight": settings.max_weight,
        "random_state": np.random.default_rng(draw_seed(random_state)),
    }
    if settings.generator == "mixture":
        return MixtureGenerator(donors, **params)
    return AlignedMixtureGenerator(donors, find_landmarks(donors.beats, y, settings), **params)


def blank_generator(settings):
    """Make an unfitted generator that takes a state."""
    if settings.generator in _N_COMPONENTS:
        return blank(_GENERATORS[settings.generator], device=resolve_device(settings.device))
    return blank(_GENERATORS[settings.generator], donors=blank(Donors))


def find_landmarks(X, y, settings):
    """Find P, QRS and T, in samples; an absent wave is put where those of the same diagnosis usually are."""
    measured = measure_beats(X, settings.sampling_rate, window=settings.window)
    r_peak = round(settings.window[0] * settings.sampling_rate)
    landmarks = np.stack([measured[name] for name in _LANDMARKS], axis=1) * settings.sampling_rate / 1000 + r_peak
    landmarks = np.insert(landmarks, _LANDMARKS.index("qrs_offset"), r_peak, axis=1)
    usual = np.empty_like(landmarks)
    anywhere = _median(landmarks, np.linspace(0, X.shape[1] - 1, landmarks.shape[1] + 2)[1:-1])
    for code in np.unique(y):
        usual[y == code] = _median(landmarks[y == code], anywhere)
    return rising(landmarks, X.shape[1], usual)


def _median(values, otherwise):
    """Median down the columns, where there is one."""
    known = ~np.isnan(values).all(axis=0)
    out = np.array(otherwise, dtype=np.float64)
    out[known] = np.nanmedian(values[:, known], axis=0)
    return out
