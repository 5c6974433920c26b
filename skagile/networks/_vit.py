"""Transformer over patches of a beat, after the vision transformer."""

import torch
from torch import nn
from torch.nn import functional as F


class PatchTransformer(nn.Module):
    """Cut a beat into patches, embed each, and let them attend to each other.

    Parameters
    ----------
    n_samples : int
        Samples per beat: each patch has a learned position of its own.
    patch_size : int, default=12
        Samples per patch; at most `n_samples` are used.
    stride : int, default=6
        Samples from one patch to the next. Below `patch_size`, patches overlap. The beat's edge is repeated to fill the
        last patch.
    stem : int, default=32
        Channels of two short convolutions before the cutting, with which transformers need less data [3]_; they
        reach 6 samples beyond a patch. 0 cuts the beat itself.
    d_model : int, default=64
        Width of a token.
    n_heads : int, default=4
        Attention heads; must divide `d_model`.
    n_layers : int, default=2
        Transformer layers.
    embedding_size : int, default=96
        Width of the feature.
    pool : {"mean", "cls"}, default="mean"
        The feature is made of the mean token, or of an extra classification token.
    dropout : float, default=0.0
        Dropout after attention, after the feed-forward part, and before the feature.
    n_leads : int, default=1
        Leads of a beat. A patch holds the same samples of all of them.

    Attributes
    ----------
    n_features_out : int
        Width of the feature.
    n_tokens : int
        Patches, without the classification token.

    References
    ----------
    .. [1] Dosovitskiy et al. "An image is worth 16x16 words: transformers for image recognition at scale", ICLR 2021.
    .. [2] Abnar, Zuidema. "Quantifying attention flow in transformers", ACL 2020.
    .. [3] Xiao, Singh, Mintun, Darrell, Dollár, Girshick. "Early convolutions help transformers see better",
       NeurIPS 2021.

    Examples
    --------
    >>> import torch
    >>> from skagile.networks import PatchTransformer
    >>> network = PatchTransformer(n_samples=126).eval()
    >>> network(torch.zeros(2, 1, 126)).shape, network.rollout(torch.zeros(2, 1, 126)).shape
    (torch.Size([2, 96]), torch.Size([2, 126]))
    """

    def __init__(
        self,
        *,
        n_samples: int,
        patch_size: int = 12,
        stride: int = 6,
        stem: int = 32,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        embedding_size: int = 96,
        pool: str = "mean",
        dropout: float = 0.0,
        n_leads: int = 1,
    ):
        super().__init__()
        patch_size = min(patch_size, n_samples)
        self.stride = min(stride, patch_size)
        self.n_tokens = 1 + -(-(n_samples - patch_size) // self.stride)
        self.padding = patch_size + (self.n_tokens - 1) * self.stride - n_samples
        self.pool = pool
        blocks, width = [], n_leads
        for _ in range(2 if stem else 0):
            blocks += [nn.Conv1d(width, stem, 7, padding=3, bias=False), nn.BatchNorm1d(stem), nn.ReLU()]
            width = stem
        self.stem = nn.Sequential(*blocks)
        self.to_tokens = nn.Conv1d(width, d_model, patch_size, stride=self.stride)
        n_positions = self.n_tokens + (pool == "cls")
        self.position = nn.Parameter(nn.init.normal_(torch.empty(n_positions, d_model), std=0.02))
        if pool == "cls":
            self.cls = nn.Parameter(nn.init.normal_(torch.empty(1, 1, d_model), std=0.02))
        self.layers = nn.ModuleList(_Layer(d_model, n_heads, dropout) for _ in range(n_layers))
        self.to_feature = nn.Sequential(nn.LayerNorm(d_model), nn.Dropout(dropout), nn.Linear(d_model, embedding_size))
        self.n_features_out = embedding_size
        start = self.stride * torch.arange(self.n_tokens)[:, None]
        time = torch.arange(n_samples)
        within = ((time >= start) & (time < start + patch_size)).float()
        self.register_buffer("share", within / within.sum(dim=1, keepdim=True), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of shape (batch, embedding_size)."""
        tokens = self._tokens(x)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.to_feature(tokens[:, 0] if self.pool == "cls" else tokens.mean(dim=1))

    def rollout(self, x: torch.Tensor) -> torch.Tensor:
        """Return how much of the feature comes from each sample in time, by attention rollout.

        Attention is averaged over heads, mixed half and half with the residual path, and multiplied through the
        layers; a patch's share is spread evenly over its samples.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, n_leads, n_samples)
            Beats.

        Returns
        -------
        attention : torch.Tensor of shape (batch, n_samples)
            Not negative; each row sums to 1.
        """
        tokens = self._tokens(x)
        identity = torch.eye(tokens.shape[1], dtype=tokens.dtype, device=tokens.device)
        flow = identity
        for layer in self.layers:
            flow = (layer.attention(tokens).mean(dim=1) + identity) / 2 @ flow
            tokens = layer(tokens)
        # What the classification token keeps for itself says nothing of any sample.
        flow = flow[:, 0, 1:] if self.pool == "cls" else flow.mean(dim=1)
        return flow / flow.sum(dim=1, keepdim=True) @ self.share

    def _tokens(self, x):
        tokens = self.to_tokens(F.pad(self.stem(x), (0, self.padding), mode="replicate")).transpose(1, 2)
        if self.pool == "cls":
            tokens = torch.cat([self.cls.expand(len(x), 1, -1), tokens], dim=1)
        return tokens + self.position


class _Layer(nn.Module):
    """Pre-norm transformer layer whose attention can be read."""

    def __init__(self, d_model, n_heads, dropout):
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(d_model)
        self.to_qkv = nn.Linear(d_model, 3 * d_model)
        self.project = nn.Sequential(nn.Linear(d_model, d_model), nn.Dropout(dropout))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(d_model),
            nn.Linear(d_model, 2 * d_model),
            nn.GELU(),
            nn.Linear(2 * d_model, d_model),
            nn.Dropout(dropout),
        )

    def forward(self, tokens):
        query, key, value = self._heads(tokens)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.project(mixed)
        return tokens + self.feed_forward(tokens)

    def attention(self, tokens):
        """Attention of each token (rows) on each (columns), of shape (batch, n_heads, n_tokens, n_tokens)."""
        query, key, _ = self._heads(tokens)
        return torch.softmax(query @ key.transpose(2, 3) / query.shape[-1] ** 0.5, dim=-1)

    def _heads(self, tokens):
        return self.to_qkv(self.norm(tokens)).unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
