"""Losses of a secret that a network shall not be able to name, with unknown values left out."""

import math

from torch.nn import functional as F

from skagile.anonymizers._fact_columns import UNKNOWN


def known_mean(values, codes):
    """Mean over the rows whose code is known; 0 where none is."""
    known = codes != UNKNOWN
    return (values * known).sum() / known.sum().clamp(min=1)


def known_cross_entropy(logits, codes):
    """Mean cross-entropy of the rows whose code is known; 0 where none is."""
    return known_mean(F.cross_entropy(logits, codes, ignore_index=UNKNOWN, reduction="none"), codes)


def from_uniform(logits, codes):
    """How far what a network says of a secret is from "each value alike", over the rows whose code is known.

    Cross-entropy against the uniform law, less its least value: 0 where a network says that all are alike. Of two
    values it is the binary cross-entropy against one half, less log 2.
    """
    return known_mean(-F.log_softmax(logits, dim=1).mean(dim=1) - math.log(logits.shape[1]), codes)
