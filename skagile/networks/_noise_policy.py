"""A policy that picks how much noise each segment of a beat gets."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.distributions import Normal

from skagile.networks._cnn import CNNEncoder

# Where one segment ends and the next begins, in seconds from the R peak.
_BORDERS = (-0.1, -0.045, 0.055, 0.15)
_FIRST_DEVIATION = -0.7  # log: a factor of 1.6 either way


class SegmentNoisePolicy(nn.Module):
    """A convolutional encoder, and a log-normal law of the noise scale of each of five segments (after [1]_).

    Segments (P, PR, QRS, ST, T) are fixed shares of the beat's window. What is before the P wave goes with it, and what
    is after the T wave with that.

    Parameters
    ----------
    n_samples : int
        Samples of a lead.
    window : tuple of float, default=(0.25, 0.45)
        Seconds of a beat before and after its R peak.
    scales : tuple of float, default=(0.02, 2.0)
        Least and largest standard deviation of the noise, in those of the beat. An untrained policy is in the middle
        of their logarithms.
    n_leads : int, default=1
        Leads of a beat; they share one law.
    explore : bool, default=False
        ``forward`` draws the scales from the law; else it takes their median.

    Attributes
    ----------
    n_segments : int
        Five.
    n_noise : int
        Standard normal numbers that ``forward`` wants for a beat: one a sample, and one a segment for its scale.

    References
    ----------
    .. [1] Datta et al. "REACT: reinforcement learning-based adaptive ECG anonymization and privacy threat mitigation",
       COINS 2025. Of the paper we know the abstract; the network is our own.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import SegmentNoisePolicy
    >>> policy = SegmentNoisePolicy(126)
    >>> policy(torch.zeros(2, 1, 126), torch.zeros(2, policy.n_noise)).shape
    torch.Size([2, 1, 126])
    """

    n_segments = len(_BORDERS) + 1

    def __init__(
        self,
        n_samples: int,
        *,
        window: Sequence[float] = (0.25, 0.45),
        scales: Sequence[float] = (0.02, 2.0),
        n_leads: int = 1,
        explore: bool = False,
    ):
        super().__init__()
        self.explore = explore
        self.n_noise = n_leads * n_samples + self.n_segments
        self.encoder = CNNEncoder(channels=(8, 16), embedding_size=16, n_leads=n_leads)
        self.head = nn.Linear(self.encoder.n_features_out, self.n_segments)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.log_deviation = nn.Parameter(torch.full((self.n_segments,), _FIRST_DEVIATION))
        before, after = window
        time = torch.arange(n_samples) * (before + after) / n_samples - before
        segment = torch.bucketize(time, torch.tensor(_BORDERS), right=True)
        shares = nn.functional.one_hot(segment, self.n_segments).T.float()
        self.register_buffer("segments", shares, persistent=False)
        self.register_buffer("log_scales", torch.tensor([float(scale) for scale in scales]).log(), persistent=False)

    def law(self, x: torch.Tensor) -> Normal:
        """Return the law of the logarithm of each segment's scale, (n_beats, 5), of (n_beats, n_leads, n_samples)."""
        return self.law_at(self.place(x))

    def place(self, x: torch.Tensor) -> torch.Tensor:
        """Say where the medians lie between least (minus infinity) and largest scale; 0 is the middle."""
        return self.head(self.encoder(x))

    def law_at(self, place: torch.Tensor) -> Normal:
        """Return the law whose medians lie at a `place`."""
        low, high = self.log_scales
        mean = low + (high - low) * torch.sigmoid(place)
        return Normal(mean, self.log_deviation.exp().expand_as(mean))

    def add(self, x: torch.Tensor, log_scale: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return beats with standard normal `noise`, of the shape of `x`, at these scales; missing leads stay zero."""
        low, high = self.log_scales
        scale = log_scale.clamp(low, high).exp() @ self.segments
        there = (x != 0).any(dim=-1, keepdim=True)
        return x + there * scale[..., None, :] * noise

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return noisy beats of the shape of `x`, from standard normal numbers of shape (batch, n_noise)."""
        law = self.law(x)
        samples, chance = noise.split([x[0].numel(), self.n_segments], dim=1)
        log_scale = law.mean + law.stddev * chance if self.explore else law.mean
        return self.add(x, log_scale, samples.reshape(x.shape))
