"""The model behind the server: several requests at a time, each going on from what an earlier one has read."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from qwen2vl_agent.agent.model_policy import DRAFT_TOKENS, call_confidence
from qwen2vl_agent.dialogue.constrain import CallConstraint, Constrainer
from qwen2vl_agent.dialogue.tool_call import FUNCTION, OPEN, cut_at_stop, parse_call, stop_sequences
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.generate import Ending, Foresight, GenerationResult
from qwen2vl_agent.model.generate_many import Request
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.sampling import Sampler, SamplingConfig
from qwen2vl_agent.model.vision_cache import VisionCache
from qwen2vl_agent.schema.errors import ConfigError, MediaError, ToolCallError
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.serve.batching import Batching
from qwen2vl_agent.serve.chat_messages import Manner, translated
from qwen2vl_agent.serve.chat_request import ChatRequest
from qwen2vl_agent.serve.media import media_folder
from qwen2vl_agent.serve.reply_constraint import Holdback, ReplyConstraint
from qwen2vl_agent.serve.request_error import RequestError

REPLIES_KEPT = 8192
FIRST_MARKS = {"keyword": FUNCTION[0], "tool_call": OPEN}
"""What a client is not streamed as text begins with one of these."""


class Cancelled(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one request may take."""

    max_new_tokens: int = 1024
    """Longest answer where a request names no length."""
    caches: int = 4
    """Conversations whose keys and values are kept."""
    parallel: int = 4
    """Answers that are written together."""


@dataclass(frozen=True, slots=True)
class Written:
    """An answer."""

    text: str
    """What stands before the call, or all of it where there is none."""
    call: ToolCall | None
    result: GenerationResult
    prompt_ids: list[int]
    confidence: float | None


class Engine:
    """A model and its processor. Any thread may ask."""

    def __init__(self, model: Any, processor: Any, name: str, limits: Limits | None = None) -> None:
        self.name, self.limits = name, limits or Limits()
        self._model, self._processor = model, processor
        settings = processor.agent_settings
        self.manner = Manner(**{key: settings[key] for key in ("form", "language", "detail") if key in settings})
        self._vision = VisionCache()
        self._caches: list[Cache] = []
        self._constrainer: Constrainer | None = None
        self._batching = Batching(model)
        self._replies: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def context_tokens(self) -> int:
        """Tokens of a conversation with its answer."""
        return self._model.config.text.max_position_embeddings

    def remember(self, key: str, token_ids: list[int]) -> None:
        """Keep the ids of a reply by its call's id or by its text: read again, it is to have the same tokens."""
        with self._lock:
            self._replies[key] = tuple(token_ids)
            self._replies.move_to_end(key)
            if len(self._replies) > REPLIES_KEPT:
                self._replies.popitem(last=False)

    def recall(self, key: str) -> tuple[int, ...] | None:
        """What `remember` kept."""
        with self._lock:
            return self._replies.get(key)

    def answer(self, request: ChatRequest, on_text: Callable[[str], None], cancelled: threading.Event) -> Written:
        """The answer; pieces of its text, without those of a call, go to `on_text` as they are written.

        Raises:
            RequestError: something in the request cannot be read, or it is too long.
            Cancelled: nobody waits any more.
        """
        inputs = self._inputs(request)
        room = self.context_tokens - inputs.input_ids.numel()
        if room < 1:
            raise RequestError(
                f"the messages are {inputs.input_ids.numel()} tokens; this model reads and writes at most "
                f"{self.context_tokens}",
                "messages",
                code="context_length_exceeded",
            )
        limit = min(request.max_new_tokens or self.limits.max_new_tokens, room)
        calls = self._calls(request, limit)
        marks = (*request.stop, *([FIRST_MARKS[self.manner.form]] if request.tools else []))
        holdback = Holdback(marks, on_text)
        pieces = self._processor.pieces(holdback.feed)
        eos = self._model.config.eos_token_ids

        def on_token(token_id: int) -> None:
            if cancelled.is_set():
                raise Cancelled
            if token_id not in eos:
                pieces(token_id)

        stop = stop_sequences(self.manner.form, self._processor.tokenizer) if request.tools and calls is None else ()
        sampling = SamplingConfig(temperature=request.temperature, top_p=request.top_p, top_k=request.top_k)
        constraint, caches = self._constraint(request, calls), list[Cache]()

        def sequence() -> Request:
            if cancelled.is_set():
                raise Cancelled
            caches.append(self._taken(inputs))
            return Request(
                inputs=inputs,
                ending=Ending(max_new_tokens=limit, eos_token_ids=eos, stop=tuple(map(tuple, stop))),
                sampler=Sampler(sampling, request.seed, self._model.config.placeholders),
                cache=caches[0],
                on_token=on_token,
                foresight=Foresight(constraint=constraint, draft_tokens=DRAFT_TOKENS),
            )

        try:
            result = self._batching.answer(sequence)
        finally:
            self._given_back(caches)
        holdback.finish()
        text, call = self._read(request, self._processor.decode(result.token_ids))
        return Written(text, call, result, inputs.input_ids.tolist(), call_confidence(result, calls))

    def spell(self, token_id: int) -> str:
        """The text of one token."""
        return self._processor.tokenizer.decode([token_id])

    def _inputs(self, request: ChatRequest) -> ModelInputs:
        with media_folder() as media:
            manner = replace(self.manner, asks_for_notes=request.asks_for_notes)
            messages = translated(request.messages, request.tools, manner, media, self.recall)
            try:
                inputs = self._processor(messages).to(self._model.device)
            except (MediaError, ConfigError) as error:
                raise RequestError(str(error), "messages") from error
        if int(inputs.input_ids.max()) >= self._model.config.text.vocab_size:
            raise RequestError("token_ids are beyond this model's vocabulary", "messages")
        return inputs

    def _calls(self, request: ChatRequest, limit: int) -> CallConstraint | None:
        """The grammar of calls; None where no call is wanted, or a schema says more than the grammar can."""
        if not request.tools:
            return None
        with self._lock:
            if self._constrainer is None:
                self._constrainer = Constrainer(self._processor.tokenizer)
        try:
            return self._constrainer(request.legal, self.manner.form, limit)
        except ConfigError as error:
            if request.choice == "required":
                raise RequestError(f"a call cannot be required: {error}", "tools") from error
            return None

    def _constraint(self, request: ChatRequest, calls: CallConstraint | None) -> ReplyConstraint | None:
        required = request.choice == "required"
        if calls is None and not request.stop:
            return None
        config, processor = self._model.config, self._processor
        never = config.eos_token_ids if required else ()
        return ReplyConstraint(processor.decode, config.text.vocab_size, calls, request.stop, never)

    def _read(self, request: ChatRequest, text: str) -> tuple[str, ToolCall | None]:
        if request.tools:
            try:
                parsed = parse_call(text, self.manner.form)
                return parsed.thought, parsed.call
            except ToolCallError:
                text = cut_at_stop(text, self.manner.form)
        places = [place for stop in request.stop if (place := text.find(stop)) >= 0]
        return text[: min(places, default=len(text))], None

    def _taken(self, inputs: ModelInputs) -> Cache:
        """The cache to go on from: that of a conversation which `inputs` continue, else one that begins alike.

        Two conversations with one beginning, such as the same tools, share what was read of it: the second one branches
        off, and the first one keeps its own. A cache that is being written to is nobody else's until it is given back.
        """
        config = self._model.config
        with self._lock:
            best = max(self._caches, key=lambda cache: cache.common(inputs, config), default=None)
            shared = best.common(inputs, config) if best is not None else 0
            if best is None or not shared:
                return Cache(self._vision)
            if shared < best.length:
                return best.branch()
            self._caches.remove(best)
            return best

    def _given_back(self, caches: list[Cache]) -> None:
        with self._lock:
            self._caches = [*self._caches, *caches][-self.limits.caches :]
