"""Random numbers of each beat: drawn from a secret seed and the beat itself, so that they hang on nothing else."""

import hashlib

import numpy as np
from scipy.special import ndtri

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def beat_uniform(beats, seed, n_numbers):
    """Draw uniform numbers for each beat, from its samples and a seed alone.

    The samples' bits are hashed with keys drawn from the seed, and the hash starts a counter-based generator. So the
    same beat gets the same numbers in whatever order, batch or float type it comes, and two beats that differ by a bit
    get numbers that have nothing in common.

    Parameters
    ----------
    beats : ndarray of shape (n_beats, n_samples)
        Beats, of all leads.
    seed : int
        Who does not know it cannot draw the numbers again.
    n_numbers : int
        How many a beat gets.

    Returns
    -------
    uniform : ndarray of float64 of shape (n_beats, n_numbers)
        Above 0 and below 1.
    """
    # Adding zero makes -0.0 the 0.0 it equals.
    bits = (np.ascontiguousarray(beats, dtype=np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)
    keys = np.random.default_rng(seed).integers(2**64, size=beats.shape[1], dtype=np.uint64) | np.uint64(1)
    state = _mix((_mix(bits + keys) * keys).sum(axis=1, dtype=np.uint64))
    counter = np.arange(1, n_numbers + 1, dtype=np.uint64) * _GOLDEN
    # 53 bits fill a float's mantissa; half a step keeps 0 and 1 out.
    return ((_mix(state[:, None] + counter) >> np.uint64(11)) + 0.5) / 2.0**53


def beat_normal(beats, seed, n_numbers):
    """Draw standard normal numbers for each beat as `beat_uniform` does, as float32."""
    return ndtri(beat_uniform(beats, seed, n_numbers)).astype(np.float32)


def secret_uniform(beats, seed, n_numbers):
    """Draw uniform numbers for each beat that say nothing of the seed, nor of each other, to who does not know it.

    `beat_uniform` is quick and hides nothing of itself: from one of a beat's numbers the next ones can be computed
    without its seed. Whoever has a released beat and a guess of the original could so tell whether the guess is right.
    Here the numbers are the output of SHAKE-256 (FIPS 202), keyed with the seed: the guess has to be of the seed.

    Parameters
    ----------
    beats : ndarray of shape (n_beats, n_samples)
        Beats, of all leads. All 64 bits of every sample count.
    seed : int
        The key. As secret as it is long.
    n_numbers : int
        How many a beat gets.

    Returns
    -------
    uniform : ndarray of float64 of shape (n_beats, n_numbers)
        Above 0 and below 1.
    """
    # A key of fixed length; adding zero makes -0.0 the 0.0 it equals.
    key = hashlib.sha3_256(str(int(seed)).encode()).digest()
    rows = np.ascontiguousarray(beats, dtype="<f8") + 0.0
    stream = b"".join(hashlib.shake_256(key + row.tobytes()).digest(8 * n_numbers) for row in rows)
    bits = np.frombuffer(stream, dtype="<u8").reshape(len(rows), n_numbers)
    return ((bits >> np.uint64(11)) + 0.5) / 2.0**53


def _mix(x):
    """Finalize a SplitMix64 state (Steele, Lea, Flood, OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
