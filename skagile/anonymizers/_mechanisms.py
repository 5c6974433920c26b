"""How much noise makes a number private, and how private a noise makes it: calibration by closed forms."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr


def gaussian_noise(epsilon, delta):
    """Return the least standard deviation that makes a sum of sensitivity 1 private: the analytic Gaussian mechanism.

    Parameters
    ----------
    epsilon : float
        Above 0.
    delta : float
        Between 0 and 1.

    Returns
    -------
    noise : float

    References
    ----------
    .. [1] Balle, Wang. "Improving the Gaussian mechanism for differential privacy: analytical calibration and optimal
       denoising", ICML 2018, theorem 8.
    """
    return float(np.exp(brentq(lambda log_noise: _delta(epsilon, np.exp(log_noise)) - delta, -20.0, 20.0, xtol=1e-12)))


def gaussian_epsilon(noise, delta):
    """Return the least epsilon that Gaussian noise of a standard deviation gives at `delta`, at a sensitivity of 1.

    Parameters
    ----------
    noise : float
        Above 0.
    delta : float
        Between 0 and 1.

    Returns
    -------
    epsilon : float
        0 where `delta` alone covers it.
    """
    if _delta(0.0, noise) <= delta:
        return 0.0
    # By concentrated differential privacy (Bun, Steinke 2016): enough, and not the least.
    enough = 0.5 / noise**2 + np.sqrt(2 * np.log(1 / delta)) / noise
    return float(brentq(lambda epsilon: _delta(epsilon, noise) - delta, 0.0, enough, rtol=1e-12))


def _delta(epsilon, noise):
    """Delta of Gaussian noise at a sensitivity of 1."""
    half, ratio = 0.5 / noise, epsilon * noise
    return ndtr(half - ratio) - np.exp(min(epsilon + log_ndtr(-half - ratio), 0.0))
