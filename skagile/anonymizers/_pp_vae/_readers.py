"""Networks that are trained beside the autoencoder: readers of facts, and a judge of the diagnosis."""

from torch import nn

from skagile.networks import CNNEncoder

# Kernels of the readers of beats, in turns: what deceives one kernel need not deceive the next.
KERNELS = (7, 11)
_WIDTH = 64
CHANNELS = (8, 24, 32)


class FactReader(nn.Module):
    """Read several facts: one trunk, and a linear head for each.

    Parameters
    ----------
    trunk : torch.nn.Module
        Makes features.
    n_features : int
        How many.
    n_values : sequence of int
        How many values each fact has.
    """

    def __init__(self, trunk, n_features, n_values):
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleList(nn.Linear(n_features, n) for n in n_values)

    def forward(self, x):
        """Return logits of each fact."""
        features = self.trunk(x)
        return [head(features) for head in self.heads]


def make_readers(vae, n_values, branches, turn=0):
    """Make new readers of facts by name; each turn the kernel is another."""
    readers = {}
    if branches in ("latent", "both"):
        trunk = nn.Sequential(nn.Linear(vae.n_latent, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH), nn.ReLU())
        readers["latent"] = FactReader(trunk, _WIDTH, n_values)
    if branches in ("output", "both"):
        trunk = CNNEncoder(channels=CHANNELS, kernel_size=KERNELS[turn % 2], n_leads=vae.n_leads)
        readers["output"] = FactReader(nn.Sequential(trunk, nn.ReLU()), trunk.n_features_out, n_values)
    return readers


def make_judge(n_leads, n_classes):
    """Make a network that reads the diagnosis of beats."""
    encoder = CNNEncoder(channels=CHANNELS, n_leads=n_leads)
    return nn.Sequential(encoder, nn.ReLU(), nn.Linear(encoder.n_features_out, n_classes))
