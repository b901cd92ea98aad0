"""Taking words out of what is written of an episode: wherever a text stands, or all that a step says."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Reply, Step

REDACTED = "[redacted]"
OF_TOKENS: dict[str, Any] = dict.fromkeys(("token_ids", "logprobs", "sampling_logprobs", "forced", "prompt_ids"), ())
"""Fields of a reply that would spell what was taken out, here or in the steps that follow."""


def hidden(step: Step) -> Step:
    """The step without a word of what was seen, said or done: only which function was called is left.

    Where somebody touched a keyboard says what was typed, so places go too. Nothing is left for a model to learn.
    """
    return dataclasses.replace(
        step,
        observation_text="",
        reply=dataclasses.replace(step.reply, text=REDACTED, target=False, **OF_TOKENS),
        call=step.call and ToolCall(step.call.name),
        error=step.error and REDACTED,
        performed=None if step.performed is None else {"action": REDACTED},
    )


class Eraser:
    """Takes texts out of everything that is written."""

    def __init__(self, texts: Sequence[str]) -> None:
        if any(not text.strip() for text in texts):
            raise RecordError("an empty text cannot be redacted")
        self._pattern = re.compile("|".join(map(re.escape, texts)), re.IGNORECASE) if texts else None
        self.count = 0

    def header(self, header: EpisodeHeader) -> EpisodeHeader:
        changed = {name: self._of(getattr(header, name)) for name in ("goal", "message", "config")}
        return dataclasses.replace(header, **{**changed, "config": {**changed["config"], "redacted": True}})

    def step(self, step: Step) -> Step:
        changed = {name: self._of(getattr(step, name)) for name in ("observation_text", "error", "performed")}
        call = step.call and dataclasses.replace(step.call, arguments=self._of(step.call.arguments))
        reply: Reply = dataclasses.replace(step.reply, text=self._of(step.reply.text))
        return dataclasses.replace(step, **changed, call=call, reply=reply)

    def _of(self, value: Any) -> Any:
        if self._pattern is None:
            return value
        if isinstance(value, str):
            value, count = self._pattern.subn(REDACTED, value)
            self.count += count
            return value
        if isinstance(value, dict):
            return {self._of(key): self._of(item) for key, item in value.items()}
        return [self._of(item) for item in value] if isinstance(value, list | tuple) else value
