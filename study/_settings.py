"""What studies share."""

# Beats are resampled to this rate: nothing of theirs lies above 40 Hz after the band-pass.
SAMPLING_RATE = 180.0
