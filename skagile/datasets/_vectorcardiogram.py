"""Twelve leads of a synthetic heart: a dipole in three dimensions, seen by nine electrodes."""

from dataclasses import dataclass

import numpy as np

from skagile.leads import STANDARD, derive_leads, independent_leads

# Dower's matrix: what each lead sees of a dipole X to the left, Y to the feet, Z to the back.
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],  # V2
        [0.882, 0.098, -1.277],  # V3
        [1.213, 0.127, -0.601],  # V4
        [1.125, 0.127, -0.086],  # V5
        [0.831, 0.076, 0.230],  # V6
    ]
)
_II = DOWER[1]
_SEEN = independent_leads(STANDARD)
# Mean dipoles of P Q R S T in mV: atria from right to left; septum forwards and to the right; the left ventricle; its
# base backwards and up; T along R, but forwards. Lead II sees about .13 -.1 1.1 -.25 .3 mV of them.
_DIPOLE = np.array(
    [
        [0.09, -0.12, 0.95, -0.15, 0.28],
        [0.10, -0.09, 0.85, -0.13, 0.19],
        [-0.02, -0.22, 0.15, 0.60, -0.22],
    ]
)
# Scatter: of a dipole, as a part of its length; degrees; of the matrix, as a part of each number, and beside it.
_DIPOLE_SD, _TURN_SD, _TORSO_SD, _PLACE_SD = 0.20, 10.0, 0.12, 0.05
_FOCUS = np.array([0.2, 0.1]), 0.6  # X and Z of the ventricular beat, lead II seeing 1


@dataclass
class Torso:
    """How a person's heart lies, and how their leads see it.

    Attributes
    ----------
    dipole : ndarray of shape (3, n_waves)
        Direction of each wave, as long as makes it 1 in lead II.
    view : ndarray of shape (8, 3)
        The person's own matrix; lead II is Dower's.
    """

    dipole: np.ndarray
    view: np.ndarray


def draw_torso(rng: np.random.RandomState, variability: float) -> Torso:
    """Draw a person's directions of the five sinus and five ventricular waves, and their matrix.

    Whatever is drawn, lead II sees the same: a cohort of twelve leads is one of lead II, with eleven more.
    """
    sinus = _scattered(rng, _DIPOLE / (_II @ _DIPOLE), variability)
    (x, z), spread = _FOCUS
    x, z = x + spread * rng.standard_normal(), z + spread * rng.standard_normal()
    focus = np.array([x, (1 - _II[0] * x - _II[2] * z) / _II[1], z])
    dipole = np.hstack([sinus, _scattered(rng, np.tile(focus[:, None], 5), 1.0)])
    view = DOWER * (1 + variability * _TORSO_SD * rng.standard_normal(DOWER.shape))
    view += variability * _PLACE_SD * rng.standard_normal(DOWER.shape)
    view[1] = _II
    return Torso(_turned(rng, dipole, variability), view)


def on_one_day(rng: np.random.RandomState, torso: Torso, drift: float) -> Torso:
    """Torso of a session: the heart is turned a little by posture, and the chest electrodes were placed anew."""
    view = torso.view.copy()
    view[2:] *= 1 + drift * _TORSO_SD * rng.standard_normal((6, 3))
    view[2:] += drift * _PLACE_SD * rng.standard_normal((6, 3))
    return Torso(_turned(rng, torso.dipole, drift), view)


def spread_out(
    rng: np.random.RandomState, torso: Torso, axes: np.ndarray, breath: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Leads of what the heart, breathing and the electrodes do.

    Noise and breathing are of electrodes, not of leads: right arm, left arm, left leg and six on the chest. That is why
    no lead contradicts another.

    Parameters
    ----------
    rng : RandomState
        Draws how breathing moves the electrodes.
    torso : Torso
        Of the session.
    axes : ndarray of shape (3, n_times)
        Dipole in mV.
    breath : ndarray of shape (n_times,)
        What breathing does to lead II, in mV.
    noise : ndarray of shape (9, n_times)
        Noise in mV: first that of lead II, then others of the same power.

    Returns
    -------
    ndarray of float32 of shape (12, n_times)
        In mV, in the usual order; limb leads obey Einthoven and Goldberger to rounding.
    """
    # Right arm, left arm, left leg, chest. Of each the power is half of lead II's, none is correlated with another, and
    # between leg and right arm is the noise of lead II.
    electrodes = noise / np.sqrt(2)
    electrodes[0], electrodes[2] = (noise[2] - noise[0]) / 2, (noise[2] + noise[0]) / 2
    sway = 0.5 * rng.standard_normal(9)
    sway[2] = sway[0] + 1
    electrodes += sway[:, None] * breath
    right, left, leg = electrodes[:3]
    seen = torso.view @ axes
    seen += np.vstack([left - right, leg - right, electrodes[3:] - (right + left + leg) / 3])
    leads = np.zeros((12, axes.shape[1]), dtype=np.float32)
    leads[[STANDARD.index(name) for name in _SEEN]] = seen
    return derive_leads(leads, STANDARD)


def _scattered(rng, dipole, scale):
    """Directions about these, the part along lead II as it was."""
    off = scale * _DIPOLE_SD * np.linalg.norm(dipole, axis=0) * rng.standard_normal(dipole.shape)
    return dipole + off - np.outer(_II, _II @ off) / (_II @ _II)


def _turned(rng, dipole, scale):
    """Directions after a small turn about lead II, by Rodrigues' formula."""
    angle = np.deg2rad(scale * _TURN_SD * rng.standard_normal())
    axis = _II / np.linalg.norm(_II)
    across = np.cross(axis, dipole, axisa=0, axisb=0, axisc=0)
    return dipole * np.cos(angle) + across * np.sin(angle) + np.outer(axis, axis @ dipole) * (1 - np.cos(angle))
