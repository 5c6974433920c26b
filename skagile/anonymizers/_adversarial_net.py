"""A skorch net whose module is trained against an adversary."""

import torch
from skorch import NeuralNet
from skorch.dataset import unpack_data
from torch import nn


class AdversarialNet(NeuralNet):
    """Trains a module that makes beats of beats, and beside it an adversary that reads them.

    Each batch is passed through the module once. The adversary takes its step first, on beats that hold no gradient;
    then the module takes its own. A subclass says what is made, and both losses.

    Parameters
    ----------
    *args
        As for `skorch.NeuralNet`; targets are a dict.
    criterion : type, default=torch.nn.Identity
        Of a subclass whose losses use one.
    adversaries : sequence of torch.nn.Module, default=()
        What is trained against: ``adversary_``, a list of them. (skorch takes no bare module for a parameter.)
    adversary_lr : float, default=0.002
        Its learning rate, constant.
    co_trained : bool, default=True
        False leaves the adversary as it was given.
    betas : tuple of float, default=(0.9, 0.999)
        Of the adversary's optimizer, Adam.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    def __init__(
        self,
        *args,
        criterion=nn.Identity,
        adversaries=(),
        adversary_lr=0.002,
        co_trained=True,
        betas=(0.9, 0.999),
        **kwargs,
    ):
        super().__init__(*args, criterion=criterion, **kwargs)
        self.adversaries = adversaries
        self.adversary_lr = adversary_lr
        self.co_trained = co_trained
        self.betas = betas

    def initialize_module(self):
        """Take the adversaries, too."""
        super().initialize_module()
        self.adversary_ = nn.ModuleList(self.adversaries)
        return self

    def initialize_optimizer(self, *args, **kwargs):
        """Give the module an optimizer, and the adversaries one."""
        args, params = self.get_params_for_optimizer("optimizer", self.module_.named_parameters())
        self.optimizer_ = self.optimizer(*args, **params)
        if self.learns:
            weights = self.adversary_.parameters()
            self.adversary_optimizer_ = torch.optim.Adam(weights, lr=self.adversary_lr, betas=tuple(self.betas))
        return self

    @property
    def learns(self):
        """Whether there is an adversary that is trained."""
        return len(self.adversaries) > 0 and self.co_trained

    def train_step(self, batch, **fit_params):
        """Take one step of each optimizer; skorch's own would pass the batch once for every optimizer."""
        self.optimizer_.zero_grad()
        step = self.train_step_single(batch, **fit_params)
        named = list(self.module_.named_parameters())
        self.notify("on_grad_computed", named_parameters=named, batch=batch, training=True)
        self.optimizer_.step()
        return step

    def train_step_single(self, batch, **fit_params):
        """Teach the adversary what is made of the batch, then the module what the adversary still sees."""
        X, target = self.on_device(batch)
        self._set_training(True)
        made = self.make(X, target)
        if self.learns:
            self.teach_adversary(X, self.released(made).detach(), target)
        self.adversary_.requires_grad_(False)
        loss = self.module_loss(X, made, target)
        loss.backward()
        self.adversary_.requires_grad_(True)
        return {"loss": loss.detach(), "y_pred": self.released(made).detach()}

    def on_device(self, batch):
        """Return beats and targets of a batch where the networks are."""
        X, target = unpack_data(batch)
        return X.to(self.device), {key: value.to(self.device) for key, value in target.items()}

    def teach_adversary(self, X, released, target):
        """Take one step of the adversary."""
        self.adversary_optimizer_.zero_grad()
        self.adversary_loss(X, released, target).backward()
        self.adversary_optimizer_.step()

    def teach_adversary_all(self, dataset):
        """Let the adversary learn for a pass over a dataset what is made by now."""
        for batch in self.get_iterator(dataset, training=True):
            X, target = self.on_device(batch)
            with torch.no_grad():
                released = self.released(self.make(X, target))
            self.teach_adversary(X, released, target)

    def restart_adversary_optimizer(self):
        """Forget past steps of the adversary, and take those of its modules that are new."""
        self.adversary_optimizer_.param_groups.clear()
        self.adversary_optimizer_.state.clear()
        self.adversary_optimizer_.add_param_group({"params": list(self.adversary_.parameters())})

    def make(self, X, target):
        """Return what the module makes of beats, a tensor or a tuple of them."""
        raise NotImplementedError

    def released(self, made):
        """Return the beats of what `make` returned, z-scored."""
        return made

    def adversary_loss(self, X, released, target):
        """Return the adversary's own loss."""
        raise NotImplementedError

    def module_loss(self, X, made, target):
        """Return the loss of the module, whose adversary is held fixed."""
        raise NotImplementedError
