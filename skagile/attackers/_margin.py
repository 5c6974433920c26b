"""What the identifiers trained with an angular margin share."""

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval

from skagile.attackers._deep import BaseDeepIdentifier
from skagile.networks import AngularMarginLoss


class BaseMarginIdentifier(BaseDeepIdentifier):
    """Base of the deep attackers whose network is an `AngularMarginHead`."""

    _parameter_constraints: dict = {
        **BaseDeepIdentifier._parameter_constraints,
        "margin": [Interval(Real, 0, None, closed="left")],
        "scale": [Interval(Real, 0, None, closed="neither")],
    }

    def _make_criterion(self):
        return AngularMarginLoss(margin=self.margin, scale=self.scale)

    def _log_proba_beats(self, X):
        module = self.net_.module_.eval()
        return self._apply(lambda batch: torch.log_softmax(self.scale * module(batch), dim=1), X)
