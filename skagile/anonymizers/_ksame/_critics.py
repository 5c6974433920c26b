"""What networks say of drawn beats, as far as they tell diagnoses apart on people whom they do not know."""

from dataclasses import dataclass

import numpy as np
import torch

from skagile.anonymizers._ksame._readers import read


@dataclass(frozen=True)
class Critics:
    """Networks that must read a drawn beat as its diagnosis, or as one that is not told apart from it.

    Attributes
    ----------
    nets : list of skorch.NeuralNet
        Each must agree.
    apart : ndarray of bool of shape (n_classes, n_classes)
        As of `told_apart`.
    device : torch.device
        Where they read.
    n_leads : int, default=1
        Leads of a beat.
    """

    nets: list
    apart: np.ndarray
    device: torch.device
    n_leads: int = 1

    def agree(self, beats, diagnosis):
        """Return whether all agree with the diagnosis of each beat."""
        agreed = np.ones(len(beats), dtype=bool)
        if not self.apart.any():
            return agreed
        for net in self.nets:
            left = np.flatnonzero(agreed)
            agreed[left] = ~self.apart[diagnosis[left], read([net], beats[left], self.device, self.n_leads)]
        return agreed
