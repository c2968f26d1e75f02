"""Attention of every Gaussian over what is known of a frame (KU GaussianTalker, section 3.2).

One decoder layer without self-attention: the queries are the Gaussians' features, keys and values
a few tokens. Post-norm. Keys are folded into the query weights, values into the output weights:
the same maths for a tenth of the work.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

WIDTH = 64
N_HEADS = 2
FEED_FORWARD = 128


class SpatialAttention(nn.Module):
    """Queries [N, 64] and tokens [M, 64] -> features [N, 64] and weights [N, M]."""

    def __init__(self, *, is_spatial: bool = True) -> None:
        super().__init__()
        self.is_spatial = is_spatial
        """Off, every Gaussian attends to all tokens alike (the ablation)."""
        self.query = nn.Linear(WIDTH, WIDTH)
        # A bias of the keys would add the same to a query's scores of all tokens: nothing.
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, WIDTH)
        self.norm_attended = nn.LayerNorm(WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.feed_forward = nn.Sequential(
            nn.Linear(WIDTH, FEED_FORWARD), nn.ReLU(), nn.Linear(FEED_FORWARD, WIDTH)
        )

    def forward(self, features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Fused features, and attention weights meaned over heads; each row's sum is 1."""
        weights = self.weights(features, tokens)  # [N, heads, M]
        values = self.value(tokens).unflatten(1, (N_HEADS, -1))  # [M, heads, d]
        out = self.output.weight.unflatten(1, (N_HEADS, -1))  # [64, heads, d]
        carried = torch.einsum("mhd,ohd->hmo", values, out).flatten(0, 1)  # [heads * M, 64]
        attended = weights.flatten(1) @ carried + self.output.bias
        fused = self.norm_attended(features + attended)
        return self.norm(fused + self.feed_forward(fused)), weights.mean(1)

    def weights(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Attention of each head. -> [N, heads, M]"""
        n_tokens = len(tokens)
        if not self.is_spatial:
            return torch.full((len(features), N_HEADS, n_tokens), 1 / n_tokens)
        keys = self.key(tokens).unflatten(1, (N_HEADS, -1))  # [M, heads, d]
        query = self.query.weight.unflatten(0, (N_HEADS, -1))  # [heads, d, 64]
        folded = torch.einsum("mhd,hdc->hmc", keys, query).flatten(0, 1)  # [heads * M, 64]
        offset = torch.einsum("mhd,hd->hm", keys, self.query.bias.unflatten(0, (N_HEADS, -1)))
        scores = (features @ folded.T + offset.flatten()).unflatten(1, (N_HEADS, n_tokens))
        return softmax(scores / (WIDTH // N_HEADS) ** 0.5, dim=2)
