"""PPVAEAnonymizer: a variational autoencoder that is trained against readers of facts, after Shishir et al."""

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skagile._training import RowsDataset
from skagile.anonymizers._pp_vae._net import PPVAENet
from skagile.anonymizers._pp_vae._readers import make_judge, make_readers
from skagile.anonymizers._with_facts import BaseFactHidingAnonymizer
from skagile.networks import BranchedVAE

READER_LR = 0.004
WEIGHT_DECAY = 0.01
LARGEST_GRADIENT = 5.0  # norm


class PPVAEAnonymizer(BaseFactHidingAnonymizer):
    """Rebuild beats from a few latent variables that tell the diagnosis and not the sex, after Shishir et al.

    A variational autoencoder encodes a beat to a normal law of `n_latent` variables, draws them, and decodes them to
    the beat that is released. Suppressing branches learn beside it to read the facts of `suppress`, off the latent
    variables and off the decoded beats, and the autoencoder learns that they say no more than the diagnosis says by
    itself. A preserving branch, and a judge of decoded beats, keep the diagnosis readable.

    Parameters
    ----------
    suppress : sequence of str, default=("subject",)
        What to hide: ``"subject"``, or columns of the `facts` that ``fit`` is given, such as ``("sex", "age")``.
    n_latent : int, default=16
        Latent variables. Fewer keep less of the beat.
    beta : float, default=0.01
        Weight of the divergence of the latent variables' law from the standard normal one, in nats a beat. More makes
        beats more alike.
    clinical_weight : float, default=1.0
        Weight of the diagnosis: the mean of the preserving branch's and the judge's cross-entropy. 0 keeps it as far
        as rebuilding does.
    privacy_weight : float, default=3.0
        Weight of what the suppressing branches say. 0 suppresses nothing.
    branches : {"both", "latent", "output"}, default="both"
        What the suppressing branches read: latent variables, as in the paper, decoded beats, or each of them.
    draw : bool, default=True
        Draw the latent variables of a released beat, from a secret seed and the beat's own samples: the same beat is
        always released alike, whatever stands beside it, and one that differs by a bit is not. False takes their means,
        and hides little: see below.
    reinitialize_every : int, default=4
        Passes after which the suppressing branches start again from new weights, so that the autoencoder cannot settle
        on deceiving one.
    level : {"common", "own"}, default="common"
        Offset and standard deviation of a released beat: the median of the fitted ones for all, or nearly its own. Of
        several leads, each has its offset, and all have one standard deviation together.
    lead_names : sequence of str, default=None
        Names of the leads of 4-D `X`, in order. With them the independent leads are anonymized, and the other limb
        leads follow by Einthoven's and Goldberger's laws, see :func:`~skagile.leads.derive_leads`. None: all leads are
        anonymized.
    max_epochs : int, default=12
        Passes over the beats.
    lr : float, default=0.004
        Largest learning rate of the autoencoder's one cycle.
    batch_size : int, default=128
        Beats per training step; fewer where there are few beats.
    transform_batch_size : int, default=512
        Beats released at once. It bounds the memory of ``transform`` and does not change the result.
    device : str, default="auto"
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, order of beats and noise. None, for releases, takes it from the operating system: who
        knows it draws the noise again. The global seeds are neither used nor changed, and the number of torch's threads
        changes nothing: one is used.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Diagnoses.
    subjects_ : ndarray of shape (n_subjects,)
        Subjects.
    net_ : skorch.NeuralNet
        The trained autoencoder, with the branches and the judge it was trained with.
    level_ : ndarray of shape (n_leads + 1,)
        Median offset of each anonymized lead, and median standard deviation, of the fitted beats, in the unit of `X`.
    n_features_in_ : int
        Samples per beat, of all its leads.

    See Also
    --------
    KSameAnonymizer : Releases no beat that depends on the person beyond a declared key.
    WarpAnonymizer : Bends beats, against a verifier of subjects.
    skagile.audit_release : Measures what a release still gives away.

    Notes
    -----
    "After" the paper [1]_, of which we have read the abstract alone. It has a variational autoencoder, branches that
    suppress sex, age and race, one that preserves the clinical target, and prints areas under the ROC curve: sex .79
    to .59, age .78 to .63, an ejection fraction that is low .86 to .82. Layers, weights and the rest are our choice:

    - Convolutions on z-scored beats. The loss is the mean squared error, plus `beta` times the divergence, plus
      `clinical_weight` times the diagnosis' cross-entropy, plus `privacy_weight` times what is told of the facts.
    - Suppressing branches have an optimizer of their own instead of gradient reversal [2]_, and the autoencoder does
      not make them as wrong as it can. It makes them say what the diagnosis alone says: the term is the divergence of
      their answer from the shares of the fact's values among the fitted beats of the diagnosis. A branch that is made
      wrong is turned round by who trains anew: on made-up beats whose T wave tells the sex, a reader's area was .60
      retrained, .61 turned round, with gradients reversed at weight 1, .70 at weight 3, and .58 with the default.
    - They read decoded beats as well, and start anew every `reinitialize_every` passes.
    - A judge that reads the diagnosis off beats, trained on originals and decoded ones alike, helps the preserving
      branch: networks that were trained on originals shall read the release.
    - Facts that are unknown are left out of the loss.

    **What this does not guarantee.** There is no bound on what an attacker learns. Facts that the diagnosis goes with
    are told by it: nothing is asked of the branches beyond that. What is suppressed is what networks of our size read
    off the people of ``fit``; another network or more people may tell more, and of other facts nothing is said. It is
    made small against what is drawn, and not taken out: on made-up people whose T wave tells the sex, a retrained
    linear reader's area was .62 of single beats, .80 of six beats of a person together, and .97 of single beats with
    ``draw=False`` (originals 1.0; the people of the tests). :doc:`/studies/pp_vae` has what was left of sex and age
    on people who were not fitted. Waves are smoothed and moved: do not measure intervals or amplitudes on such a
    release. Diagnoses that `y` does not tell apart may be lost. A fitted anonymizer is itself personal data: its
    noise seed and networks help to undo the release, and ``subjects_`` holds names.

    References
    ----------
    .. [1] Shishir et al. "PP-VAE", Scientific Reports 16, 17571, 2026; medRxiv 2026.01.28.26345049.
    .. [2] Ganin et al. "Domain-adversarial training of neural networks", JMLR 17, 2016.

    Examples
    --------
    >>> from skagile import PPVAEAnonymizer
    >>> from skagile.datasets import beats_from_records, make_cohort
    >>> cohort = make_cohort(4, 1, duration=20.0, random_state=0)
    >>> beats = beats_from_records(cohort)
    >>> facts = {"sex": cohort.sex[beats.records]}
    >>> vae = PPVAEAnonymizer(suppress=("sex", "subject"), max_epochs=2, random_state=0)
    >>> released = vae.fit(beats.X, beats.y, subjects=beats.subjects, facts=facts).transform(beats.X)
    >>> released.shape == beats.X.shape
    True
    """

    _parameter_constraints: dict = {
        "suppress": ["array-like", str],
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "clinical_weight": [Interval(Real, 0, None, closed="left")],
        "privacy_weight": [Interval(Real, 0, None, closed="left")],
        "branches": [StrOptions({"latent", "output", "both"})],
        "draw": ["boolean"],
        "reinitialize_every": [Interval(Integral, 1, None, closed="left")],
        **BaseFactHidingAnonymizer._learned_constraints,
    }

    def __init__(
        self,
        *,
        suppress: Sequence[str] = ("subject",),
        n_latent: int = 16,
        beta: float = 0.01,
        clinical_weight: float = 1.0,
        privacy_weight: float = 3.0,
        branches: str = "both",
        draw: bool = True,
        reinitialize_every: int = 4,
        level: str = "common",
        lead_names: Sequence[str] | None = None,
        max_epochs: int = 12,
        lr: float = 0.004,
        batch_size: int = 128,
        transform_batch_size: int = 512,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.suppress = suppress
        self.n_latent = n_latent
        self.beta = beta
        self.clinical_weight = clinical_weight
        self.privacy_weight = privacy_weight
        self.branches = branches
        self.draw = draw
        self.reinitialize_every = reinitialize_every
        self.level = level
        self.lead_names = lead_names
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.transform_batch_size = transform_batch_size
        self.device = device
        self.random_state = random_state

    @property
    def _hidden(self):
        return self.suppress, "suppress"

    @property
    def _n_noise(self):
        return self.n_latent if self.draw else 0

    def _make_module(self, _=None):
        return BranchedVAE(
            n_samples=self._n_made // self._n_made_leads,
            n_classes=len(self.classes_),
            n_leads=self._n_made_leads,
            n_latent=self.n_latent,
        )

    def _learn(self, Z, y, s):
        module = self._make_module()
        readers = make_readers(module, self._n_values, self.branches)
        readers["judge"] = make_judge(self._n_made_leads, len(self.classes_))
        expected = [
            expected_of(codes, n, y, len(self.classes_))
            for codes, n in zip(self._fact_codes.T, self._n_values, strict=True)
        ]
        return self._train(
            module,
            RowsDataset(Z, {"y": y, "facts": self._fact_codes}),
            net_class=PPVAENet,
            adversaries=[nn.ModuleDict(readers)],
            adversary_lr=READER_LR,
            expected=expected,
            n_values=self._n_values,
            beta=self.beta,
            clinical_weight=self.clinical_weight,
            privacy_weight=self.privacy_weight,
            branches=self.branches,
            draw=self.draw,
            reinitialize_every=self.reinitialize_every,
            weight_decay=WEIGHT_DECAY,
            max_gradient_norm=LARGEST_GRADIENT,
        )


def expected_of(codes, n_values, y, n_classes):
    """Probabilities of a fact's values among the beats of each diagnosis, (n_classes, n_values), none of them 0.

    Each value has one beat more than it has, so that what is rare is not impossible.
    """
    count = np.ones((n_classes, n_values))
    known = codes >= 0
    np.add.at(count, (y[known], codes[known]), 1)
    return torch.from_numpy((count / count.sum(axis=1, keepdims=True)).astype(np.float32))
