"""A variational autoencoder of beats with suppressing and preserving branches."""

from skagile.anonymizers._pp_vae._anonymizer import PPVAEAnonymizer

__all__ = ["PPVAEAnonymizer"]
