"""Prompt ids kept as what changed since the step before: an episode's context only grows, so little is written twice.

Worked example. Step 0 had the prompt [1, 2, 9, 9, 9, 9, 3] and the reply [7, 8]; step 1 has the prompt
[1, 2, 9, 9, 9, 9, 3, 7, 8, 5, 9, 9, 9, 9, 3]. Its first 9 ids are step 0's prompt and reply, so step 1 keeps
`{"keep": 9, "ids": [5, [9, 4], 3]}`: runs of one id (the places of an image) are written as [id, count].
"""

from collections.abc import Sequence
from itertools import chain, groupby
from typing import Any

from qwen2vl_agent.schema.errors import RecordError

SHORTEST_RUN = 4
"""Shorter runs are written out."""
MOST_IDS = 2**22
"""In one prompt, far beyond any context; a damaged count must not fill the memory."""


def pack_prompt(prompt: Sequence[int], before: Sequence[int]) -> dict[str, Any]:
    """The delta that turns `before` (the last prompt and reply) into `prompt`."""
    keep = shared_prefix(prompt, before)
    return {"keep": keep, "ids": _pack_runs(prompt[keep:])}


def unpack_prompt(delta: dict[str, Any], before: Sequence[int]) -> tuple[int, ...]:
    """The prompt that `pack_prompt` was given.

    Raises:
        RecordError: the delta keeps more than there was before, or holds more than any prompt.
    """
    keep = delta["keep"]
    if not 0 <= keep <= len(before):
        raise RecordError(f"a step keeps {keep} ids of the step before, which has {len(before)}: the record is damaged")
    runs = [(item, 1) if isinstance(item, int) else (item[0], item[1]) for item in delta["ids"]]
    if sum(count for _, count in runs) > MOST_IDS or any(count < 0 for _, count in runs):
        raise RecordError(f"a step's prompt has more than {MOST_IDS} ids, or fewer than none: the record is damaged")
    return (*before[:keep], *chain.from_iterable([token] * count for token, count in runs))


def shared_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids from the start are the same in both."""
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        return shorter
    return next(place for place in range(shorter) if one[place] != other[place])


def _pack_runs(ids: Sequence[int]) -> list[Any]:
    packed: list[Any] = []
    for token, run in groupby(ids):
        count = len(list(run))
        packed.extend([[token, count]] if count >= SHORTEST_RUN else [token] * count)
    return packed
