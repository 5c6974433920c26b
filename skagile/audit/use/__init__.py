"""What a release is still good for."""

# What a diagnostic classifier is trained and tested on.
SOURCES = ("original", "released")

__all__ = ["SOURCES"]
