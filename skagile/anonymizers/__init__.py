"""Anonymizers: transformers that remove who from a beat and keep what is wrong with the heart."""

from skagile._names import lazy_names

# isort: split
# For the rooms above.
from skagile.anonymizers._seeded import drawing_from as drawing_from

# On first use, so that one without a network loads no torch.
_HOME_OF = {
    "AgileAnonymizer": "_agile",
    "KSameAnonymizer": "_ksame",
    "NoiseAnonymizer": "_noise_added",
    "ODEGANAnonymizer": "_ode_gan",
    "PPVAEAnonymizer": "_pp_vae",
    "PrivECGAnonymizer": "_privecg",
    "REACTAnonymizer": "_react",
    "WarpAnonymizer": "_warp",
}

__all__ = [*_HOME_OF]

__getattr__, __dir__ = lazy_names(__name__, _HOME_OF)
