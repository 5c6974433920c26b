"""Draws: beats of keys from a generator, drawn again until networks and facts agree."""

from dataclasses import dataclass

import numpy as np
import torch

from skagile.anonymizers._ksame._donors import spread_evenly
from skagile.anonymizers._ksame._facts import Facts
from skagile.anonymizers._ksame._readers import read


@dataclass(frozen=True)
class Draws:
    """How beats of keys are drawn: nothing of it is fitted here.

    Attributes
    ----------
    generator : MixtureGenerator, PPCAGenerator or VAEGenerator
        Makes beats of a pool and random numbers.
    critics : list of skorch.NeuralNet
        Each must read a drawn beat as the key's diagnosis. The quickest comes first.
    facts : Facts
        Those that are measured must be the key's.
    n_samples : int
        Samples of a beat.
    max_draws : int
        How often a beat is drawn at most; the last draw counts, whatever the critics say.
    batch_size : int
        Beats drawn at once, which does not change the result.
    device : torch.device
        Where the critics read.
    """

    generator: object
    critics: list
    facts: Facts
    n_samples: int
    max_draws: int
    batch_size: int
    device: torch.device

    def draw(self, key, pool, random, dtype, doubted=None):
        """Draw a beat of each key: a function of key, pool and random numbers alone.

        Parameters
        ----------
        key : Key
            What must be seen in the beats.
        pool : ndarray of int of shape (n_beats,)
            Pool of each key.
        random : numpy.random.SeedSequence
            Source of the random numbers.
        dtype : numpy.dtype
            Of the beats.
        doubted : ndarray of int of shape (max_draws,), default=None
            Gets, added to what it holds, the number of beats that did not convince in each round.

        Returns
        -------
        beats : ndarray of shape (n_beats, n_samples)
        """
        first, *seeds = random.spawn(self.max_draws + 2)[1:]
        spread = spread_evenly(pool, np.random.default_rng(first))
        beats = np.empty((len(pool), self.n_samples), dtype=dtype)
        for start in range(0, len(pool), self.batch_size):
            rows = np.arange(start, min(start + self.batch_size, len(pool)))
            for i in range(self.max_draws):
                uniforms = _uniforms(seeds[i], rows, self.generator.n_uniforms)
                if not i:
                    uniforms[:, 0] = spread[rows]
                beats[rows] = self.generator.generate(pool[rows], uniforms)
                if i + 1 == self.max_draws and doubted is None:
                    break  # released whatever the critics say
                rows = rows[~self.convinces(beats[rows], key.take(rows))]
                if doubted is not None:
                    doubted[i] += len(rows)
                if not len(rows):
                    break
        return beats

    def convinces(self, beats, key):
        """Return which beats all critics read as the key's diagnosis, and whose measured facts are the key's."""
        left = np.arange(len(beats))
        # A beat that one does not believe need not be shown to the others.
        for critic in self.critics:
            left = left[read([critic], beats[left], self.device) == key.diagnosis[left]]
        left = left[self.facts.agree(beats[left], key.facts[left])]
        convinced = np.zeros(len(beats), dtype=bool)
        convinced[left] = True
        return convinced


def _uniforms(seed, rows, n_uniforms):
    """Random numbers of a round, which has a stream of its own: row i has the same place whatever the batches are."""
    stream = np.random.PCG64(seed)
    stream.advance(int(rows[0]) * n_uniforms)
    return np.random.Generator(stream).random((rows[-1] - rows[0] + 1, n_uniforms))[rows - rows[0]]
