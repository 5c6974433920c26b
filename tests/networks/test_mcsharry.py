"""McSharry's equation in torch, against scipy's solver and numpy, and waves fitted to beats."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from skagile.networks import McSharryResidual, mcsharry_slope

PLACES = np.array([-1.1, -0.3, 0.05, 0.3, 1.6])
WIDTHS = np.array([0.25, 0.15, 0.12, 0.14, 0.4])
HEIGHTS = np.array([1.2, -5.0, 30.0, -7.5, 0.9])
BASELINE = 0.2


def numpy_slope(z, angle):
    """The same equation, written for one voltage, wave after wave."""
    total = -(z - BASELINE)
    for place, width, height in zip(PLACES, WIDTHS, HEIGHTS, strict=True):
        away = (angle - place + np.pi) % (2 * np.pi) - np.pi
        total -= height * away * np.exp(-(away**2) / (2 * width**2))
    return total


def solved(n_samples):
    """A beat of one cycle that starts at -pi, as scipy solves the equation."""
    time = np.arange(n_samples) / n_samples
    answer = solve_ivp(
        lambda t, z: numpy_slope(z, 2 * np.pi * t - np.pi),
        (0, 1),
        [0.1],
        t_eval=time,
        rtol=1e-10,
        atol=1e-12,
        max_step=1e-3,
    )
    return torch.from_numpy(answer.y)[None]


def residual_of(n_samples, n_conditions=1):
    """The equation with the waves above in the last condition."""
    equation = McSharryResidual(n_samples, n_conditions=n_conditions, r_sample=n_samples // 2).double()
    with torch.no_grad():
        for parameter, values in (
            (equation.height, HEIGHTS),
            (equation.log_width, np.log(WIDTHS)),
            (equation.place, PLACES),
            (equation.baseline, [BASELINE]),
        ):
            parameter[-1, 0] = torch.tensor(values)
    # In single precision, the angle itself would be the error that is looked for.
    equation.angle = (torch.arange(n_samples, dtype=torch.float64) - n_samples // 2) * (2 * math.pi / n_samples)
    return equation


def test_slope_is_numpys():
    rng = np.random.default_rng(0)
    z, angle = rng.normal(size=50), rng.uniform(-9, 9, size=50)
    waves = (torch.tensor(values) for values in (HEIGHTS, WIDTHS, PLACES))
    got = mcsharry_slope(torch.tensor(z), torch.tensor(angle), *waves, BASELINE)
    np.testing.assert_allclose(got.numpy(), [numpy_slope(*pair) for pair in zip(z, angle, strict=True)], atol=1e-12)


def test_the_short_way_round():
    wave = torch.ones(1)
    near, far = (
        mcsharry_slope(torch.zeros(1), torch.tensor([a]), wave, wave, torch.tensor([3.1])) for a in (3.0, -3.1)
    )
    # -3.1 is just beyond 3.1, and not 6.2 before it.
    assert near > 0.09
    assert far < -0.08


def test_slope_is_differentiable():
    torch.manual_seed(0)
    z, angle = torch.randn(2, 7, dtype=torch.float64), torch.rand(2, 7, dtype=torch.float64)
    waves = [torch.rand(2, 3, dtype=torch.float64) + 0.5 for _ in range(3)]
    parts = [part.requires_grad_() for part in (z, angle, *waves)]
    assert torch.autograd.gradcheck(mcsharry_slope, parts)


def test_residual_of_what_scipy_solves_vanishes_with_the_square_of_the_step():
    size = {n: float(residual_of(n)(solved(n), torch.tensor([0])).detach().abs().max()) for n in (250, 500, 1000)}
    slope = np.abs(np.diff(solved(1000).numpy())).max() * 1000
    assert size[1000] < 2e-3 * slope
    assert 3.5 < size[250] / size[500] < 4.5
    assert 3.5 < size[500] / size[1000] < 4.5


@pytest.mark.parametrize("other", ["flat", "late", "scaled", "turned"])
def test_residual_of_another_waveform_does_not(other):
    beat = solved(500)
    made = {
        "flat": torch.zeros_like(beat),
        "late": torch.roll(beat, 10, dims=-1),
        "scaled": 1.5 * beat,
        "turned": beat.flip(-1),
    }[other]
    equation, zero = residual_of(500), torch.tensor([0])
    right, wrong = (float(equation(wave, zero).detach().square().mean()) for wave in (beat, made))
    assert wrong > 1000 * right


def test_each_condition_has_its_waves():
    equation, beat = residual_of(500, n_conditions=2), solved(500)
    of_table, own = (float(equation(beat, torch.tensor([code])).detach().abs().max()) for code in (0, 1))
    assert own < 0.05 * of_table


def test_a_gradient_on_the_residual_leads_to_the_solution():
    """As a regulariser uses it: descent on the residual alone turns a flat line into the solution's shape."""
    beat, equation = solved(100), residual_of(100).requires_grad_(False)
    made = torch.zeros_like(beat).requires_grad_()
    optimizer = torch.optim.LBFGS([made], max_iter=300, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = equation(made, torch.tensor([0])).square().mean()
        value.backward()
        return value

    optimizer.step(loss)
    correlation = np.corrcoef(made.detach().numpy()[0, 0, 2:-2], beat.numpy()[0, 0, 2:-2])[0, 1]
    # Even and odd samples hang together loosely, through the term of the voltage itself.
    assert correlation > 0.9


def test_fitted_waves_solve_beats_of_two_conditions_and_leads():
    time = np.arange(126) / 126

    def beat(places, sizes):
        return sum(
            h * np.exp(-(((time - t) / w) ** 2) / 2) for t, h, w in zip(places, sizes, (0.03, 0.012, 0.06), strict=True)
        )

    beats = np.array(
        [
            [beat([0.2, 0.36, 0.7], [0.2, 1, 0.3]), beat([0.2, 0.36, 0.7], [0.1, -1, -0.3])],
            [beat([0.25, 0.36, 0.65], [0, 1, -0.4])] * 2,
        ]
    )
    z = torch.from_numpy(beats).float()
    equation, codes = McSharryResidual(126, n_conditions=2, n_leads=2, r_sample=45), torch.tensor([0, 1])
    slope = ((z[..., 2:] - z[..., :-2]) * 63).square().mean()

    def share(codes):
        with torch.no_grad():
            return float(equation(z, codes).square().mean() / slope)

    before = share(codes)
    equation.fit_waves(beats)
    assert before > 0.5
    assert share(codes) < 0.05
    assert share(codes.flip(0)) > 0.3  # the other's waves do not do
