"""Models of recordings in files: statistics and settings, no beat and no name."""
