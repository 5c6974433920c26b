"""The equation of McSharry et al. for an electrocardiogram, and how far a beat is from solving it."""

import math

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import nn

# Of the paper's table: places in radians from R, heights and widths of P, Q, R, S and T.
_PLACES = (-math.pi / 3, -math.pi / 12, 0.0, math.pi / 12, math.pi / 2)
_HEIGHTS = (1.2, -5.0, 30.0, -7.5, 0.75)
_WIDTHS = (0.25, 0.1, 0.1, 0.1, 0.4)
_ROUND = 2 * math.pi
# How far a place (rad) and the logarithm of a width may move from there; and how a fit is held.
_MOST_MOVED = (1.0, 1.5)
_MOST_STEPS, _RIDGE = 200, 1e-3


def mcsharry_slope(
    z: torch.Tensor,
    angle: torch.Tensor,
    height: torch.Tensor,
    width: torch.Tensor,
    place: torch.Tensor,
    baseline: torch.Tensor | float = 0.0,
) -> torch.Tensor:
    """Return dz/dt by the third of McSharry's equations.

    ``-sum_i height_i d_i exp(-d_i^2 / (2 width_i^2)) - (z - baseline)``, where ``d_i`` is how far `angle` is from
    ``place_i``, the short way round.

    Parameters
    ----------
    z, angle : torch.Tensor of shape (..., n_samples)
        Voltage, and the place in the cycle, in radians.
    height, width, place : torch.Tensor of shape (..., n_waves)
        Of each wave; leading axes as of `z`.
    baseline : torch.Tensor of shape (..., 1) or float, default=0
        Where z comes to rest.

    Returns
    -------
    slope : torch.Tensor of shape (..., n_samples)
        Change of z in a unit of time.

    References
    ----------
    .. [1] McSharry, Clifford, Tarassenko, Smith. "A dynamical model for generating synthetic electrocardiogram
       signals", IEEE Transactions on Biomedical Engineering 50(3), 2003.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import mcsharry_slope
    >>> angle, wave = torch.zeros(1), torch.ones(1)
    >>> mcsharry_slope(torch.tensor([0.25]), angle, wave, wave, torch.zeros(1))
    tensor([-0.2500])
    """
    away = angle[..., None, :] - place[..., :, None]
    away = torch.remainder(away + math.pi, _ROUND) - math.pi
    waves = height[..., None] * away * torch.exp(-(away**2) / (2 * width[..., None] ** 2))
    return -waves.sum(dim=-2) - (z - baseline)


class McSharryResidual(nn.Module):
    """How far beats are from solving McSharry's equation, whose waves are those of their condition.

    A beat's window is one cycle and one unit of time. Slopes are differences of the neighbours of a sample, so the
    first and the last one have none.

    Parameters
    ----------
    n_samples : int
        Samples of a beat, at least 3.
    n_conditions : int, default=1
        Number of conditions, such as diagnoses. Each has its own waves.
    n_leads : int, default=1
        Leads of a beat. Each has its own waves.
    r_sample : int, default=0
        Where R stands at first: the waves start as in the paper's table, about it.

    Attributes
    ----------
    height, log_width, place : torch.nn.Parameter of shape (n_conditions, n_leads, 5)
        Of the waves P, Q, R, S and T.
    baseline : torch.nn.Parameter of shape (n_conditions, n_leads, 1)
        Where a beat comes to rest.

    References
    ----------
    .. [1] McSharry, Clifford, Tarassenko, Smith. "A dynamical model for generating synthetic electrocardiogram
       signals", IEEE Transactions on Biomedical Engineering 50(3), 2003.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import McSharryResidual
    >>> McSharryResidual(126)(torch.zeros(2, 1, 126), torch.tensor([0, 0])).shape
    torch.Size([2, 1, 124])
    """

    def __init__(self, n_samples: int, *, n_conditions: int = 1, n_leads: int = 1, r_sample: int = 0):
        super().__init__()
        shape = (n_conditions, n_leads, 1)
        self.height = nn.Parameter(torch.tensor(_HEIGHTS).repeat(shape))
        self.log_width = nn.Parameter(torch.tensor(_WIDTHS).log().repeat(shape))
        self.place = nn.Parameter(torch.tensor(_PLACES).repeat(shape))
        self.baseline = nn.Parameter(torch.zeros(shape))
        self.register_buffer("angle", (torch.arange(n_samples) - r_sample) * (_ROUND / n_samples), persistent=False)

    def forward(self, beats: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return slope less what the equation says, for all but the first and the last sample.

        Parameters
        ----------
        beats : torch.Tensor of shape (batch, n_leads, n_samples)
            Beats.
        condition : torch.Tensor of int of shape (batch,)
            Of each.

        Returns
        -------
        residual : torch.Tensor of shape (batch, n_leads, n_samples - 2)
            Zero where the equation holds, but for the differences' own error.
        """
        # A beat's window is one unit of time.
        slope = slopes(beats)
        waves = self.height[condition], self.log_width[condition].exp(), self.place[condition]
        angle = self.angle[1:-1].expand_as(slope)
        return slope - mcsharry_slope(beats[..., 1:-1], angle, *waves, self.baseline[condition])

    def fit_waves(self, beats: np.ndarray) -> None:
        """Fit the waves of each condition and lead to one beat of it, by least squares of the residual.

        Places and widths are sought from where they are; heights and baseline, in which the residual is linear, are
        solved for.

        Parameters
        ----------
        beats : ndarray of shape (n_conditions, n_leads, n_samples)
            Such as the mean beat of each condition.
        """
        angle = self.angle[1:-1].double().cpu().numpy()
        with torch.no_grad():
            for condition, lead in np.ndindex(beats.shape[:2]):
                where = condition, lead
                start = torch.cat([self.place[where], self.log_width[where]]).double().cpu().numpy()
                fitted = _fit(np.asarray(beats[where], dtype=np.float64), angle, start)
                for name, values in fitted.items():
                    getattr(self, name)[where] = torch.from_numpy(values).to(self.place)


def _fit(beat, angle, start):
    """Waves of one beat, as a dict; `start` holds places and logarithms of widths."""
    slope = (beat[2:] - beat[:-2]) * (len(beat) / 2)
    target = slope + beat[1:-1]
    n_waves = len(start) // 2

    def solve(shape):
        away = np.remainder(angle[:, None] - shape[:n_waves] + np.pi, _ROUND) - np.pi
        columns = -away * np.exp(-(away**2) / (2 * np.exp(2 * shape[n_waves:])))
        columns = np.column_stack([columns, np.ones(len(angle))])
        # A little weight on the heights keeps two waves at one place from growing against each other.
        ridge = _RIDGE * np.sqrt(len(angle)) * np.eye(n_waves, n_waves + 1)
        solution = np.linalg.lstsq(np.vstack([columns, ridge]), np.append(target, np.zeros(n_waves)), rcond=None)[0]
        return solution, np.append(columns @ solution - target, ridge @ solution)

    low, high = start - np.repeat(_MOST_MOVED, n_waves), start + np.repeat(_MOST_MOVED, n_waves)
    shape = least_squares(lambda shape: solve(shape)[1], start, bounds=(low, high), max_nfev=_MOST_STEPS).x
    solution = solve(shape)[0]
    return {
        "place": shape[:n_waves],
        "log_width": shape[n_waves:],
        "height": solution[:n_waves],
        "baseline": solution[n_waves:],
    }


def slopes(beats):
    """Slope of beats at all but the first and the last sample, a window being one unit of time."""
    return (beats[..., 2:] - beats[..., :-2]) * (beats.shape[-1] / 2)
