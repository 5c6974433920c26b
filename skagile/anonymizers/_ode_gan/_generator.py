"""A generator that reads the diagnosis it shall keep."""

import torch
from torch import nn


class ReadingGenerator(nn.Module):
    """Makes beats of beats, noise, and the diagnosis that networks of its own read in them.

    Parameters
    ----------
    readers : sequence of torch.nn.Module
        Networks that give diagnosis logits. They are used as they are, in evaluation mode, and never trained here.
    unet : NoisyUNet
        Takes a channel of each diagnosis beside the leads.
    """

    def __init__(self, readers, unet):
        super().__init__()
        self.readers = nn.ModuleList(readers).requires_grad_(False)
        self.unet = unet
        self.n_noise = unet.n_noise

    def train(self, mode=True):
        """Set training mode, but for the readers."""
        super().train(mode)
        self.readers.eval()
        return self

    def read(self, x):
        """Return the mean probability of each diagnosis, of shape (batch, n_classes)."""
        return torch.stack([reader(x).softmax(dim=1) for reader in self.readers]).mean(dim=0)

    def forward(self, x, noise=None):
        """Return beats of the shape of `x`, (batch, n_leads, n_samples)."""
        with torch.no_grad():
            diagnosis = self.read(x)[..., None].expand(-1, -1, x.shape[-1])
        return self.unet(torch.cat([x, diagnosis], dim=1), noise)
