"""Who may look at whom: the one builder of what `attention.attend` is told, once a pass for all layers."""

from dataclasses import dataclass

import torch
from torch import Tensor

CAUSAL_PADDING = 0.8
"""Causal segments share a batched call while the shortest has at least this part of the longest one's length."""


@dataclass(frozen=True, slots=True)
class Segments:
    """How a row falls into stretches that do not see each other, gathered into a few batched calls.

    Lengths 2, 3, 2 without padding: calls of 2 x 2 and 1 x 3 tokens, `order` 0 1 5 6 2 3 4, `inverse` 0 1 4 5 6 2 3.
    """

    lengths: tuple[int, ...]
    calls: tuple[tuple[int, int], ...]
    """(segments, tokens in each) of every batched call."""
    order: Tensor | None
    """`[P]` the token at each place of the calls; None where that is the row itself. Padding repeats a real token."""
    inverse: Tensor | None
    """`[T]` the place of each token."""
    edges: Tensor
    """`[segments + 1]` int32, where each begins, and the end: what a variable-length kernel is told."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """What a query may look at: everything, what is not later, its own segment, or a mask."""

    causal: bool = False
    """The queries are the newest of the tokens; each sees all up to itself."""
    mask: Tensor | None = None
    """`[B, 1, T, S]` bool, True where a query may look; already causal."""
    segments: Segments | None = None


EVERYTHING = Visibility()
CAUSAL = Visibility(causal=True)


def make_segments(lengths: tuple[int, ...], causal: bool, device: torch.device) -> Segments:
    """Batched calls for segments of these lengths: equal lengths share one call.

    Causal segments of nearly equal length share one too, padded on the right, where no real query looks.
    """
    starts = [0]
    for length in lengths[:-1]:
        starts.append(starts[-1] + length)
    groups = _groups(lengths, causal)
    calls = tuple((len(group), lengths[group[0]]) for group in groups)
    order, inverse = [], torch.empty(sum(lengths), dtype=torch.int64)
    place = 0
    for group, (_, longest) in zip(groups, calls, strict=True):
        for index in group:
            start, length = starts[index], lengths[index]
            order.append(torch.arange(start, start + longest).clamp(max=start + length - 1))
            inverse[start : start + length] = torch.arange(place, place + length)
            place += longest
    places = torch.cat(order)
    edges = torch.tensor((*starts, sum(lengths)), dtype=torch.int32).to(device)
    if torch.equal(places, torch.arange(sum(lengths))):
        return Segments(lengths, calls, None, None, edges)
    return Segments(lengths, calls, places.to(device), inverse.to(device), edges)


def _groups(lengths: tuple[int, ...], causal: bool) -> list[list[int]]:
    """Indices of the segments of each call, the longest of a call first."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        least = lengths[groups[-1][0]] * (CAUSAL_PADDING if causal else 1) if groups else 0
        if groups and lengths[index] >= least:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def text_visibility(
    tokens: int,
    seen: int = 0,
    attention_mask: Tensor | None = None,
    segment_lengths: tuple[int, ...] | None = None,
    device: torch.device | None = None,
) -> Visibility:
    """What the language model's `tokens` new queries may see after `seen` cached tokens.

    A padded batch's `attention_mask` is `[B, seen + tokens]`. A padding query may look at itself, so that no softmax
    is over nothing; what it gives is never used.
    """
    device = device or torch.device("cpu")
    if segment_lengths is not None and len(segment_lengths) > 1:
        assert seen == 0, "packed rows are not cached"
        assert attention_mask is None, "packed rows are not padded"
        return Visibility(causal=True, segments=make_segments(tuple(segment_lengths), True, device))
    if attention_mask is None:
        return EVERYTHING if tokens == 1 else CAUSAL
    keys = torch.arange(seen + tokens, device=device)
    queries = keys[seen:, None]
    return Visibility(mask=((keys <= queries) & attention_mask[:, None, None, :]) | (keys == queries))
