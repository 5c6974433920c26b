"""Generators that were tried beside pseudo-people: peers to be compared with, no more."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from torch import nn

from skagile import KSameAnonymizer

_N_AXES = 40
_LEAST = 1e-6


class _OfClasses(TransformerMixin, BaseEstimator):
    """Beats of each diagnosis, drawn from a model of shapes on a few axes, log size and offset.

    Parameters
    ----------
    random_state : int, default=None
        Seed.
    """

    __metadata_request__fit = {"subjects": True}
    __metadata_request__transform = {"subjects": True}

    def __init__(self, *, random_state=None):
        self.random_state = random_state

    def fit(self, X, y, *, subjects):
        """Learn the law of each diagnosis; each person counts the same in it."""
        self.keys_ = KSameAnonymizer(10, max_draws=1, max_epochs=4, random_state=self.random_state).fit(
            X, y, subjects=subjects
        )
        codes, person = np.unique(y, return_inverse=True)[1], np.unique(subjects, return_inverse=True)[1]
        X = np.asarray(X, dtype=float)
        self.pca_ = PCA(_N_AXES, random_state=0).fit(_shapes(X))
        features = np.column_stack([self.pca_.transform(_shapes(X)), np.log(X.std(axis=1)), X.mean(axis=1)])
        self.centre_, self.scale_ = features.mean(axis=0), features.std(axis=0)
        pairs = person * (codes.max() + 1) + codes
        weights = 1 / np.bincount(pairs)[pairs]  # each person the same in each diagnosis
        self.random_ = np.random.default_rng(self.random_state)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state or 0)
            self.learn((features - self.centre_) / self.scale_, codes, person, weights)
        return self

    def transform(self, X, *, subjects):
        """Draw a beat of each row's diagnosis."""
        codes = self.keys_.assign(X, subjects=subjects)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state or 0)
            features = self.draw(codes) * self.scale_ + self.centre_
        shapes = self.pca_.inverse_transform(features[:, :-2])
        beats = _shapes(shapes) * np.exp(features[:, -2:-1]) + features[:, -1:]
        return beats.astype(X.dtype)

    def resampled(self, weights, n):
        """Rows, drawn by their weights."""
        return self.random_.choice(len(weights), n, p=weights / weights.sum())


def _shapes(X):
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


class NormalOfClasses(_OfClasses):
    """One normal law a diagnosis: what differs between people and within one is the same to it."""

    n_components = 1

    def learn(self, features, codes, person, weights):
        """Fit a law, or a mixture of laws, a diagnosis."""
        self.laws_ = []
        for c in range(codes.max() + 1):
            of_c = np.flatnonzero(codes == c)
            rows = of_c[self.resampled(weights[of_c], 4000)]
            n = min(self.n_components, len(np.unique(person[of_c])))
            self.laws_.append(GaussianMixture(n, reg_covar=1e-3, random_state=self.random_state).fit(features[rows]))

    def draw(self, codes):
        """Draw features of diagnoses."""
        out = np.empty((len(codes), _N_AXES + 2))
        for c, law in enumerate(self.laws_):
            rows = np.flatnonzero(codes == c)
            if len(rows):
                drawn = law.sample(len(rows))[0]
                out[rows] = drawn[self.random_.permutation(len(drawn))]
        return out


class MixtureOfClasses(NormalOfClasses):
    """A mixture of eight normal laws a diagnosis."""

    n_components = 8


class _Net(nn.Sequential):
    """A perceptron of two hidden layers."""

    def __init__(self, n_in, n_out, width=256):
        super().__init__(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, n_out))


class TwoLevelVAE(_OfClasses):
    """Conditional variational autoencoder with codes of person and beat (Kingma and Welling 2014)."""

    n_steps, n_people, n_beats = 3000, 16, 8
    of_person, of_beat = 8, 8

    def learn(self, features, codes, person, weights):
        """Train on a few people at a time, a few beats of each."""
        n_classes, d = codes.max() + 1, features.shape[1]
        self.n_classes_ = n_classes
        self.person_ = _Net(d + n_classes, 2 * self.of_person)
        self.beat_ = _Net(d + n_classes + self.of_person, 2 * self.of_beat)
        self.decoder_ = _Net(self.of_person + self.of_beat + n_classes, d)
        self.log_noise_ = nn.Parameter(torch.zeros(d))
        nets = [self.person_, self.beat_, self.decoder_]
        steps = torch.optim.Adam([*(p for net in nets for p in net.parameters()), self.log_noise_], lr=1e-3)
        rows_of = [np.flatnonzero(person == p) for p in np.unique(person)]
        values, onehot = torch.tensor(features, dtype=torch.float32), torch.eye(n_classes)[codes]
        for _ in range(self.n_steps):
            chosen = self.random_.choice(len(rows_of), self.n_people)
            rows = np.array(
                [
                    self.random_.choice(rows_of[p], self.n_beats, p=weights[rows_of[p]] / weights[rows_of[p]].sum())
                    for p in chosen
                ]
            )
            x, c = values[rows], onehot[rows]
            mean, log_var = self.person_(torch.cat([x, c], -1)).mean(1).chunk(2, -1)
            loss = _divergence(mean, log_var) / self.n_beats
            own = _sample(mean, log_var)[:, None].expand(-1, self.n_beats, -1)
            mean, log_var = self.beat_(torch.cat([x, c, own], -1)).chunk(2, -1)
            loss = loss + _divergence(mean, log_var).mean(1)
            said = self.decoder_(torch.cat([own, _sample(mean, log_var), c], -1))
            apart = (x - said) ** 2 / torch.exp(self.log_noise_) + self.log_noise_
            loss = (loss + 0.5 * apart.sum(-1).mean(1)).mean()
            steps.zero_grad()
            loss.backward()
            steps.step()

    @torch.no_grad()
    def draw(self, codes):
        """Draw codes of a person and of a beat for each row."""
        c = torch.eye(self.n_classes_)[codes]
        said = self.decoder_(torch.cat([torch.randn(len(codes), self.of_person + self.of_beat), c], -1))
        return (said + torch.exp(0.5 * self.log_noise_) * torch.randn_like(said)).numpy()


def _divergence(mean, log_var):
    return 0.5 * (mean**2 + torch.exp(log_var) - 1 - log_var).sum(-1)


def _sample(mean, log_var):
    return mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)


class Diffusion(_OfClasses):
    """A small conditional diffusion model on the features (Ho et al. 2020)."""

    n_steps, n_times, batch_size = 4000, 100, 256

    def learn(self, features, codes, person, weights):
        """Train the network that says which noise was added."""
        n_classes, d = codes.max() + 1, features.shape[1]
        self.n_classes_, self.d_ = n_classes, d
        self.net_ = _Net(d + n_classes + 16, d)
        self.kept_ = torch.cumprod(1 - torch.linspace(1e-3, 0.12, self.n_times), 0)
        steps = torch.optim.Adam(self.net_.parameters(), lr=1e-3)
        values, onehot = torch.tensor(features, dtype=torch.float32), torch.eye(n_classes)[codes]
        for _ in range(self.n_steps):
            rows = self.resampled(weights, self.batch_size)
            time = torch.randint(self.n_times, (self.batch_size,))
            noise, kept = torch.randn(self.batch_size, d), self.kept_[time][:, None]
            said = self._say(kept.sqrt() * values[rows] + (1 - kept).sqrt() * noise, onehot[rows], time)
            loss = ((said - noise) ** 2).mean()
            steps.zero_grad()
            loss.backward()
            steps.step()

    def _say(self, x, c, time):
        waves = (time[:, None] / self.n_times) * 2.0 ** torch.arange(8)
        return self.net_(torch.cat([x, c, torch.sin(waves), torch.cos(waves)], -1))

    @torch.no_grad()
    def draw(self, codes):
        """Take the noise away step by step."""
        c = torch.eye(self.n_classes_)[codes]
        x = torch.randn(len(codes), self.d_)
        for t in reversed(range(self.n_times)):
            kept, before = self.kept_[t], self.kept_[t - 1] if t else torch.ones(())
            step = kept / before
            said = self._say(x, c, torch.full((len(codes),), t))
            x = (x - (1 - step) / (1 - kept).sqrt() * said) / step.sqrt()
            if t:
                x = x + ((1 - step) * (1 - before) / (1 - kept)).sqrt() * torch.randn_like(x)
        return x.numpy()
