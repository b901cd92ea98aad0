"""Recorded attempts as rows for a policy gradient: each written token with the log-probability it was written with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qwen2vl_agent.data.examples import attempt_parts
from qwen2vl_agent.dialogue.encode import IGNORED, Encoded
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.trajectory import Step
from qwen2vl_agent.trajectory.store import read_episode


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """An attempt, or a part of one. N tokens were chosen freely by the model."""

    inputs: ModelInputs
    where: Tensor
    """[N] place whose state predicts the token."""
    ids: Tensor
    """[N] the tokens."""
    old: Tensor
    """[N] float32, log-probabilities of the policy that wrote them."""
    advantage: float

    @property
    def num_tokens(self) -> int:
        """Of the row, visual ones included."""
        return int(self.inputs.input_ids.numel())


def policy_rows(folder: Path, processor: Any, advantage: float) -> list[PolicyRow]:
    """The attempt in a folder; replies that could not be read or done are part of it, they were chosen too.

    Several rows where the agent's past was too long to keep: each reply in the context in which it was written.
    Tokens that a grammar forced were no choice and are left out, as is the mark that closes the conversation.

    Raises:
        RecordError: no model wrote it, or it encodes to other tokens than were recorded.
    """
    steps = read_episode(folder, prompts=False).steps
    if not any(step.reply.token_ids for step in steps):
        raise RecordError(f"{folder} holds no reply of a model: there is nothing to make likelier")
    rows = []
    for example, numbers in attempt_parts(folder, processor):
        encoded = example.encode(processor)
        row = _row(encoded, _written([steps[number] for number in numbers]), advantage)
        if row is None:
            raise RecordError(f"{folder} encodes to other tokens than its model wrote")
        rows.append(row)
    return [row for row in rows if len(row.ids)]


def _row(encoded: Encoded, written: Sequence["_Token"], advantage: float) -> PolicyRow | None:
    """A conversation with what was written in it; None where its targets are other tokens."""
    places = (encoded.labels != IGNORED).nonzero().flatten()
    found = _found(written, encoded.labels[places].tolist())
    if found is None:
        return None
    free = [(place, one.logprob) for place, one in found if not one.forced]
    kept = places[torch.tensor([place for place, _ in free], dtype=torch.long)]
    old = torch.tensor([logprob for _, logprob in free], dtype=torch.float32)
    return PolicyRow(encoded.inputs, kept - 1, encoded.labels[kept], old, advantage)


def rows_of(batch: Sequence[PolicyRow]) -> tuple[ModelInputs, Tensor, Tensor, Tensor, Tensor]:
    """The rows packed into one: inputs, places, ids, old log-probabilities and advantages of their tokens."""
    from qwen2vl_agent.model.inputs import pack

    start, where = 0, []
    for row in batch:
        where.append(row.where + start)
        start += row.num_tokens
    advantages = torch.cat([torch.full_like(row.old, row.advantage) for row in batch])
    ids, old = torch.cat([row.ids for row in batch]), torch.cat([row.old for row in batch])
    return pack([row.inputs for row in batch]), torch.cat(where), ids, old, advantages


@dataclass(frozen=True, slots=True)
class _Token:
    """A token that the model wrote."""

    id: int
    logprob: float
    forced: bool
    last: bool
    """Of its reply."""


def _written(steps: Iterable[Step]) -> list[_Token]:
    return [
        _Token(
            token,
            reply.logprobs[place],
            any(reply.forced[place : place + 1]),
            place == len(reply.token_ids) - 1,
        )
        for reply in (step.reply for step in steps)
        for place, token in enumerate(reply.token_ids)
    ]


def _found(written: Sequence[_Token], ids: Sequence[int]) -> list[tuple[int, _Token]] | None:
    """Where each written token stands among the targets; None where they are others.

    A reply's last token may be missing: a model that closed the conversation while the episode went on has its mark
    taken out again.
    """
    found: list[tuple[int, _Token]] = []
    for one in written:
        place = len(found)
        if place < len(ids) and ids[place] == one.id:
            found.append((place, one))
        elif not one.last:
            return None
    return found
