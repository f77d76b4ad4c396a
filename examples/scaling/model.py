"""Trains character-level transformers on the help texts that Python ships with."""

from __future__ import annotations

import math
from functools import cache
from pydoc_data.topics import topics

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

CONTEXT = 64
LAYERS = 2
HEAD = 8
"""Width of an attention head."""

VALIDATION = 0.1
"""Share of the text that no model is trained on: its last part."""

EVALUATED = 128
"""Number of sequences that give the final loss, the same for every model."""


def n_parameters(width: int) -> int:
    """Return the parameters N of a model, without its embeddings."""
    return 12 * LAYERS * width**2


@cache
def text() -> tuple[Tensor, Tensor, int]:
    """Return the characters to train on, those to validate on, and how many there are."""
    written = "\n".join(topics[name] for name in sorted(topics))
    letters = sorted(set(written))
    place = {letter: i for i, letter in enumerate(letters)}
    data = torch.tensor([place[letter] for letter in written])
    cut = int(len(data) * (1 - VALIDATION))
    return data[:cut], data[cut:], len(letters)


class Block(nn.Module):
    """Attention and a feed-forward net, each added to what comes in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.attend, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(b, t, w)` activations of `(b, t, w)` ones."""
        b, t, w = x.shape
        parts = self.attend(self.first(x)).view(b, t, 3, self.heads, HEAD).permute(2, 0, 3, 1, 4)
        seen = nnf.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.mix(seen.transpose(1, 2).reshape(b, t, w))
        return x + self.feed(self.second(x))


class Model(nn.Module):
    """A decoder of `LAYERS` blocks whose output shares its weights with the embedding."""

    def __init__(self, width: int, n_letters: int) -> None:
        super().__init__()
        self.letters, self.places = (
            nn.Embedding(n_letters, width),
            nn.Embedding(CONTEXT, width),
        )
        nn.init.normal_(self.letters.weight, std=0.05)
        nn.init.normal_(self.places.weight, std=0.05)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(b, t, n_letters)` scores of the next character."""
        x = self.letters(x) + self.places.weight[: x.shape[1]]
        return self.norm(self.blocks(x)) @ self.letters.weight.T


def batch_of(data: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return `(n, CONTEXT + 1)` sequences from random places of the text."""
    starts = torch.randint(len(data) - CONTEXT, (n, 1), generator=generator)
    return data[starts + torch.arange(CONTEXT + 1)]


def loss_on(model: Model, sequences: Tensor) -> Tensor:
    """Return the mean cross entropy of the next character, in nats."""
    scores = model(sequences[:, :-1])
    return nnf.cross_entropy(scores.flatten(0, 1), sequences[:, 1:].flatten())


def train(*, width: int, tokens: int, lr: float, sequences: int, seed: int = 0) -> float:
    """Train one model and return its final loss on the text it has not seen.

    Args:
        width: of the model, a multiple of 8.
        tokens: characters to train on.
        lr: peak learning rate; after a warm-up it falls to a tenth along a cosine.
        sequences: batch size in sequences of `CONTEXT` tokens.
        seed: of the weights and the batches.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    seen, unseen, n_letters = text()
    model = Model(width, n_letters)
    steps = max(1, round(tokens / (sequences * CONTEXT)))
    warmup = max(1, steps // 10)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    for step in range(steps):
        done = max(0, step - warmup) / max(1, steps - warmup)
        share = min(1.0, (step + 1) / warmup) * (0.55 + 0.45 * math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = lr * share
        loss = loss_on(model, batch_of(seen, sequences, generator))
        if not torch.isfinite(loss):
            return math.nan
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        check = batch_of(unseen, EVALUATED, torch.Generator().manual_seed(1))
        return float(loss_on(model, check))
