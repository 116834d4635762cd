"""TimeSformer (Bertasius et al., ICML 2021): attention through time, then through space, then an
MLP, twelve times.

Our own definition with the parameter names of the weights on the Hugging Face hub, so that no other
library is needed.

N clips, C channels, T frames, P patches a frame, D numbers a token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dense(nn.Module):
    """A linear layer under the name that the weights have for it."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.dense = nn.Linear(before, after)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dense(x)
        return out


class QueriesKeysValues(nn.Module):
    """Queries, keys and values, under the name that the weights have for them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.qkv(x)
        return out


class Patches(nn.Module):
    """A linear map of each patch."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.projection(x)
        return out


class Attention(nn.Module):
    """Multi-head attention among the tokens of each row: (rows, tokens, D) to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = QueriesKeysValues(width)
        self.output = Dense(width, width)

    def forward(self, x: Tensor) -> Tensor:
        rows, tokens, D = x.shape
        heads = self.heads
        qkv = self.attention(x).reshape(rows, tokens, 3, heads, D // heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (rows, heads, tokens, D / heads) each
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        by_token = mixed.transpose(1, 2).reshape(rows, tokens, D)
        out: Tensor = self.output(by_token)
        return out


class DividedAttention(nn.Module):
    """Divided space-time attention, equations 8 and 9 of the paper, and an MLP; each adds to what
    it was given.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.temporal_layernorm = nn.LayerNorm(width, eps=1e-6)
        self.temporal_attention = Attention(width, heads)
        self.temporal_dense = nn.Linear(width, width)
        self.layernorm_before = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.layernorm_after = nn.LayerNorm(width, eps=1e-6)
        self.intermediate = Dense(width, 4 * width)
        self.output = Dense(4 * width, width)

    def forward(self, x: Tensor, T: int) -> Tensor:
        N, _, D = x.shape
        first = x[:, :1]  # (N, 1, D)
        patches = x[:, 1:]  # (N, P T, D): all frames of a patch follow each other
        P = patches.shape[1] // T
        times = self.temporal_layernorm(patches.reshape(N * P, T, D))
        through_time = self.temporal_dense(self.temporal_attention(times))
        patches = patches + through_time.reshape(N, P * T, D)
        frames = patches.reshape(N, P, T, D).transpose(1, 2)
        frames = frames.reshape(N * T, P, D)
        # the class token joins each frame
        tokens = first.expand(N, T, D).reshape(N * T, 1, D)
        frames = torch.cat([tokens, frames], 1)
        mixed = self.attention(self.layernorm_before(frames))
        mixed = mixed.reshape(N, T, P + 1, D)
        token = mixed[:, :, 0].mean(1, keepdim=True)  # and is the mean of what it becomes there
        space = mixed[:, :, 1:].transpose(1, 2)
        patches = patches + space.reshape(N, P * T, D)
        x = torch.cat([first + token, patches], 1)
        inner = self.intermediate(self.layernorm_after(x))
        out: Tensor = x + self.output(nn.functional.gelu(inner))
        return out


class TokenEmbeddings(nn.Module):
    """Patches to tokens that know their place and time: (N, 1 + P T, D) from (N, 3, T, H, W), the
    class token first.

    Positions of other sizes and lengths than published are the nearest published ones.
    """

    def __init__(self, size: int, clip_length: int, patch: int, width: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))
        self.time_embeddings = nn.Parameter(torch.zeros(1, clip_length, width))
        self.patch_embeddings = Patches(patch, width)

    def forward(self, x: Tensor) -> Tensor:
        N, C, T, H, W = x.shape
        frames = x.transpose(1, 2).reshape(N * T, C, H, W)
        patches = self.patch_embeddings(frames)
        h, w = patches.shape[-2:]
        place = self.place_embeddings(h, w)
        patches = patches.flatten(2).transpose(1, 2)  # (N T, P, D)
        patches = patches + place[:, 1:]
        D = patches.shape[-1]
        time = self.times(T)[:, :, None]
        patches = patches.reshape(N, T, -1, D) + time
        patches = patches.transpose(1, 2).reshape(N, -1, D)  # (N, P T, D)
        token = self.cls_token + place[:, :1]
        first = token.expand(N, -1, -1)
        return torch.cat([first, patches], 1)

    def place_embeddings(self, h: int, w: int) -> Tensor:
        """(1, 1 + P, D) for a grid of h × w patches."""
        place = self.position_embeddings
        side = round((place.shape[1] - 1) ** 0.5)
        if (h, w) == (side, side):
            return place
        grid = place[:, 1:].transpose(1, 2)
        grid = grid.reshape(1, -1, side, side)
        near = nn.functional.interpolate(grid, (h, w), mode="nearest")
        patches = near.flatten(2).transpose(1, 2)
        return torch.cat([place[:, :1], patches], 1)

    def times(self, T: int) -> Tensor:
        """(1, T, D) for T frames."""
        time = self.time_embeddings
        if time.shape[1] == T:
            return time
        last = time.transpose(1, 2)
        near = nn.functional.interpolate(last, T, mode="nearest")
        return near.transpose(1, 2)


class LayerStack(nn.Module):
    """Layers one after the other, under the name that the weights have for them."""

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList(DividedAttention(width, heads) for _ in range(depth))

    def forward(self, x: Tensor, T: int) -> Tensor:
        for layer in self.layer:
            x = layer(x, T)
        return x


class TimeSformer(nn.Module):
    """(N, D), the class token, from clips (N, 3, T, H, W) with sides that are multiples of the
    patch.
    """

    def __init__(
        self,
        *,
        size: int = 224,
        clip_length: int = 8,
        patch: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
    ) -> None:
        super().__init__()
        self.embeddings = TokenEmbeddings(size, clip_length, patch, width)
        self.encoder = LayerStack(width, depth, heads)
        self.layernorm = nn.LayerNorm(width, eps=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for token in (self.embeddings.cls_token, self.embeddings.position_embeddings):
            nn.init.trunc_normal_(token, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.encoder(self.embeddings(x), x.shape[2])
        out: Tensor = self.layernorm(tokens[:, 0])
        return out
