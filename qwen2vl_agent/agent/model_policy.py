"""The policy that is a model: composes the conversation, encodes it, and writes on from where it stands."""

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.agent.policy import Context
from qwen2vl_agent.dialogue.compose import compose
from qwen2vl_agent.dialogue.memory import remembered
from qwen2vl_agent.dialogue.tool_call import cut_at_stop, stop_sequences
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.vision_cache import VisionCache
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.trajectory import Reply


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How tokens are chosen."""

    max_new_tokens: int = 256
    """Longest reply; what is cut off there cannot be read, and the model is told so."""
    temperature: float = 0.0
    """0: the likeliest token."""
    top_p: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; expected at least 1")
        if self.temperature < 0:
            raise ValueError(f"temperature is {self.temperature}; expected 0 or more")


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
        result = self._model.generate(
            inputs,
            **dataclasses.asdict(self._sampling),
            seed=self._seed * 1000 + context.index,
            stop=stop_sequences(context.dialogue.form, self._processor.tokenizer),
            cache=self._cache,
            on_token=self._processor.pieces(context.on_text) if context.on_text else None,
        )
        return Reply(
            text=cut_at_stop(self._processor.decode(result.token_ids), context.dialogue.form),
            token_ids=tuple(result.token_ids),
            logprobs=tuple(result.logprobs),
            prompt_ids=tuple(inputs.input_ids.tolist()),
            timings={"preprocess": preprocess_s, **result.timings},
            tokens=dict(result.tokens),
        )
