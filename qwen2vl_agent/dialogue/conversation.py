"""A conversation with a model that goes on from where it stands: what was said and shown before is not read again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.generate import GenerationResult
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.vision_cache import VisionCache
from qwen2vl_agent.schema.messages import ImagePart, Message, Part, TextPart, VideoPart

LEFT = 0.5
"""Share of the context that old exchanges leave when they have to go."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said to a question."""

    text: str
    result: GenerationResult
    forgotten: int = 0
    """Old exchanges that had to go, because the context was full."""


class Conversation:
    """Questions and answers, with pictures and videos, on one cache.

        talk = Conversation(model, processor)
        talk.ask("What is the total?", [ImagePart("receipt.jpg")]).text
        talk.ask("And the date?").text

    When a question would not fit the context, the oldest exchanges go until half of it is free; what is left is read
    again, its pictures are known.
    """

    def __init__(
        self, model: Qwen2VL, processor: Processor, system: str = "", context_tokens: int | None = None
    ) -> None:
        """`context_tokens` bounds a question with all before it and its answer; None: what the model was made for."""
        self._model, self._processor = model, processor
        self._limit = context_tokens or model.config.text.max_position_embeddings
        self._opening = [Message("system", (TextPart(system),))] if system else []
        self._said: list[Message] = []
        self._cache = Cache(VisionCache())

    def begin_again(self) -> None:
        """Forget what was said; pictures that come again are still known."""
        self._said = []

    def ask(
        self,
        question: str,
        shown: Sequence[ImagePart | VideoPart] = (),
        max_new_tokens: int = 512,
        on_text: Callable[[str], None] | None = None,
        **sampling: Any,
    ) -> Answer:
        """The answer, which is part of the conversation from then on; `sampling` goes to `Qwen2VL.generate`.

        A question that ends in an error, or whose answer is interrupted, was never asked.

        Raises:
            MediaError: a picture or video cannot be read.
        """
        parts: list[Part] = [*shown, *([TextPart(question)] if question else [])]
        asked = Message("user", tuple(parts))
        inputs, forgotten = self._fitting(asked, max_new_tokens)
        on_token = self._processor.pieces(on_text) if on_text else None
        result = self._model.generate(
            inputs,
            max_new_tokens=max_new_tokens,
            cache=self._cache,
            on_token=on_token,
            never=self._model.config.placeholders,
            **sampling,
        )
        assert isinstance(result, GenerationResult)
        text = self._processor.decode(result.token_ids)
        answer = Message("assistant", (TextPart(text, tuple(result.token_ids)),))
        self._said = [*self._said[2 * forgotten :], asked, answer]
        return Answer(text, result, forgotten)

    def _fitting(self, asked: Message, max_new_tokens: int) -> tuple[ModelInputs, int]:
        """What the model is to read, and how many exchanges are left out of it."""
        inputs = self._encoded(asked, 0)
        if inputs.input_ids.numel() + max_new_tokens <= self._limit:
            return inputs, 0
        forgotten = 0
        while forgotten < len(self._said) // 2 and inputs.input_ids.numel() + max_new_tokens > self._limit * LEFT:
            forgotten += 1
            inputs = self._encoded(asked, forgotten)
        return inputs, forgotten

    def _encoded(self, asked: Message, forgotten: int) -> ModelInputs:
        messages = [*self._opening, *self._said[2 * forgotten :], asked]
        return self._processor.encode(messages, add_generation_prompt=True).inputs.to(self._model.device)
