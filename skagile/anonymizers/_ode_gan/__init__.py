"""A conditional generator that is held near a heartbeat's equation."""

from skagile.anonymizers._ode_gan._anonymizer import ODEGANAnonymizer

__all__ = ["ODEGANAnonymizer"]
