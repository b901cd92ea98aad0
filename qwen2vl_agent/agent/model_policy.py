"""The policy that is a model: composes the conversation, encodes it, and writes on from where it stands."""

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.agent.policy import Context
from qwen2vl_agent.dialogue.compose import compose
from qwen2vl_agent.dialogue.constrain import CallConstraint, Constrainer
from qwen2vl_agent.dialogue.memory import remembered
from qwen2vl_agent.dialogue.tool_call import cut_at_stop, stop_sequences
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.vision_cache import VisionCache
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.trajectory import Reply

DRAFT_TOKENS = 4
"""Measured: `docs/log.md`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How tokens are chosen."""

    max_new_tokens: int = 256
    """Longest reply; what is cut off there cannot be read, and the model is told so."""
    temperature: float = 0.0
    """0: the likeliest token."""
    top_p: float = 1.0
    top_k: int = 0
    constrained: bool = True
    """Calls are always valid: a grammar made of the tools rules from a call's first mark on; thoughts stay free."""
    draft_tokens: int = DRAFT_TOKENS
    """So many tokens are guessed at a time from what followed the same words before; 0: none. Changes no reply."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; expected at least 1")
        if self.temperature < 0:
            raise ValueError(f"temperature is {self.temperature}; expected 0 or more")
        if self.draft_tokens < 0:
            raise ValueError(f"draft_tokens is {self.draft_tokens}; expected 0 or more")


class ModelPolicy:
    """A Qwen2-VL with the cache of one episode: a step costs one new screen and one reply.

    What the vision encoder made of the screens is kept from one episode to the next.
    """

    name = "model"

    def __init__(self, model: Any, processor: Any, sampling: SamplingConfig | None = None) -> None:
        self._model = model
        self._processor = processor
        self._sampling = sampling or SamplingConfig()
        self._vision = VisionCache()
        self._constrainer: Constrainer | None = None
        self.begin(None)

    def begin(self, seed: int | None) -> None:
        """Empty the cache; sampling starts from the seed."""
        self._seed = seed or 0
        self._cache = Cache(self._vision)

    def reply(self, context: Context) -> Reply:
        """What the model writes on."""
        begun = time.perf_counter()
        size = (context.frame.width, context.frame.height)
        image = ImagePart(context.observation.image, context.frame.sha256, size)
        observation = dataclasses.replace(context.observation, image=image)
        turns = remembered(context.dialogue, context.turns, observation, self._processor)
        messages = compose(context.dialogue, turns, observation)
        inputs = self._processor(messages)
        preprocess_s = time.perf_counter() - begun
        constraint = self._constraint(context)
        sampling = dataclasses.asdict(self._sampling)
        del sampling["constrained"]
        result = self._model.generate(
            inputs,
            **sampling,
            seed=self._seed * 1000 + context.index,
            # A constrained reply ends with its call; the marks at which a free one stops may begin inside a thought.
            stop=() if constraint else stop_sequences(context.dialogue.form, self._processor.tokenizer),
            cache=self._cache,
            on_token=self._processor.pieces(context.on_text) if context.on_text else None,
            constraint=constraint,
        )
        return Reply(
            text=cut_at_stop(self._processor.decode(result.token_ids), context.dialogue.form),
            token_ids=tuple(result.token_ids),
            logprobs=tuple(result.logprobs),
            sampling_logprobs=tuple(result.sampling_logprobs),
            forced=tuple(result.forced),
            confidence=call_confidence(result, constraint),
            prompt_ids=tuple(inputs.input_ids.tolist()),
            timings={"preprocess": preprocess_s, **result.timings},
            tokens=dict(result.tokens),
            passes=result.passes,
            guessed=result.guessed,
            guessed_right=result.guessed_right,
        )

    def _constraint(self, context: Context) -> CallConstraint | None:
        if not self._sampling.constrained:
            return None
        if self._constrainer is None:
            self._constrainer = Constrainer(self._processor.tokenizer)
        tools = context.dialogue.tools if context.legal is None else context.legal
        return self._constrainer(tools, context.dialogue.form, self._sampling.max_new_tokens)


def call_confidence(result: Any, constraint: CallConstraint | None) -> float | None:
    """Probability of a complete call; what was forced has probability 1."""
    if constraint is None or constraint.call_start is None or not constraint.finished:
        return None
    return math.exp(sum(result.sampling_logprobs[constraint.call_start :]))
