"""The policy that is a model: composes the conversation, encodes it, and writes on from where it stands."""

import dataclasses
import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.agent.policy import Context
from qwen2vl_agent.dialogue.compose import compose
from qwen2vl_agent.dialogue.constrain import CallConstraint, Constrainer
from qwen2vl_agent.dialogue.memory import remembered
from qwen2vl_agent.dialogue.second_look import NO, YES, SecondLook, question
from qwen2vl_agent.dialogue.tool_call import cut_at_stop, parse_call, stop_sequences
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.vision_cache import VisionCache
from qwen2vl_agent.schema.errors import ConfigError, ToolCallError
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.trajectory import Reply

OTHER_TEMPERATURE = 0.8
"""Of draws after the first: the likeliest call would only come again. Where one is to be avoided, each draw is hotter
by as much again: a model that is sure of itself changes its mind at no less."""
OTHER_DRAWS = 6
"""More draws where the first is a call that is to be avoided."""
OTHER_SEED = 1_000_003
"""Apart from the seeds of any step of the episode."""
DRAFT_TOKENS = 4
"""Measured: `docs/log.md`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How tokens are chosen."""

    max_new_tokens: int = 512
    """Longest reply; what is cut off there cannot be read, and the model is told so."""
    temperature: float = 0.0
    """0: the likeliest token."""
    top_p: float = 1.0
    top_k: int = 0
    constrained: bool = True
    """Calls are always valid: a grammar made of the tools rules from a call's first mark on; thoughts stay free."""
    samples: int = 1
    """Replies drawn at a step, the first as `temperature` says, the others at `OTHER_TEMPERATURE`. The one whose call
    the model itself finds likeliest is said."""
    draft_tokens: int = DRAFT_TOKENS
    """So many tokens are guessed at a time from what followed the same words before; 0: none. Changes no reply."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; expected at least 1")
        if self.temperature < 0:
            raise ValueError(f"temperature is {self.temperature}; expected 0 or more")
        if self.samples < 1:
            raise ValueError(f"samples is {self.samples}; expected at least 1")
        if self.draft_tokens < 0:
            raise ValueError(f"draft_tokens is {self.draft_tokens}; expected 0 or more")


CLIPS = "clips"
"""Key of a checkpoint's agent settings: whether it was taught with videos of what happened between its steps."""


class ModelPolicy:
    """A Qwen2-VL with the cache of one episode: a step costs one new screen and one reply.

    What the vision encoder made of the screens is kept from one episode to the next, and so is the constrainer;
    policies of one model may share both.
    """

    name = "model"

    def __init__(
        self,
        model: Any,
        processor: Any,
        sampling: SamplingConfig | None = None,
        vision: VisionCache | None = None,
        constrainer: Constrainer | None = None,
    ) -> None:
        self._model = model
        self._processor = processor
        special = processor.tokenizer.special
        self._never = (special.image_pad, special.video_pad)
        """Written by a model they would stand for no picture, and nobody could read them again as they were."""
        self._sampling = sampling or SamplingConfig()
        self._vision = VisionCache() if vision is None else vision
        self._constrainer = constrainer
        self.begin(None)

    def begin(self, seed: int | None) -> None:
        """Empty the cache; sampling starts from the seed."""
        self._seed = seed or 0
        self._cache = Cache(self._vision)

    def reply(self, context: Context) -> Reply:
        """What the model writes on.

        Raises:
            ConfigError: a video is to be seen by a model that was taught without any.
        """
        if context.observation.clip is not None:
            self._check_taught_clips()
        begun = time.perf_counter()
        size = (context.frame.width, context.frame.height)
        image = ImagePart(context.observation.image, context.frame.sha256, size)
        observation = dataclasses.replace(context.observation, image=image)
        past = remembered(context.dialogue, context.turns, observation, self._processor)
        messages = compose(context.dialogue, past.turns, observation, past.earlier)
        inputs = self._processor(messages)
        preprocess_s = time.perf_counter() - begun
        draws = [self._draw(context, inputs, 0)]
        wanted = self._sampling.samples
        if _is_avoided(draws[0].reply, context):
            wanted = max(wanted, 1 + OTHER_DRAWS)
        while len(draws) < wanted:
            draws.append(self._draw(context, inputs, len(draws)))
        return _best(draws, context, preprocess_s)

    def _check_taught_clips(self) -> None:
        """A small model says how its agent works; what it never saw there is noise to it."""
        settings = self._processor.agent_settings
        if settings and not settings.get(CLIPS):
            raise ConfigError(
                "this model was taught by screenshots alone and never saw a video: leave out --observe. If it did see "
                f'videos, say so in its agent_config.json: "{CLIPS}": true'
            )

    def effect(self, look: SecondLook) -> float:
        """Probability that a step had its effect: of yes, among yes and no. It is asked on a cache of its own."""
        import torch

        inputs = self._processor(question(look)).to(self._model.device)
        with torch.inference_mode():
            hidden_TD = self._model.hidden_states(inputs, Cache(self._vision), last_only=True)
            chances = self._model.lm_head(hidden_TD)[-1].float().softmax(-1)
        encode = self._processor.tokenizer.encode
        yes, no = (sum(float(chances[token]) for token in {encode(word)[0] for word in words}) for words in (YES, NO))
        return yes / (yes + no) if yes + no else 0.5

    def _draw(self, context: Context, inputs: Any, number: int) -> "_Draw":
        """One reply; the cache keeps the context from one to the next."""
        constraint = self._constraint(context)
        sampling = dataclasses.asdict(self._sampling)
        del sampling["constrained"], sampling["samples"]
        if number:
            hotter = OTHER_TEMPERATURE * (number if context.avoid else 1)
            sampling["temperature"] = max(self._sampling.temperature, hotter)
        listener = context.on_text if number == 0 else None
        result = self._model.generate(
            inputs,
            **sampling,
            seed=self._seed * 1000 + context.index + number * OTHER_SEED,
            # A constrained reply ends with its call; the marks at which a free one stops may begin inside a thought.
            stop=() if constraint else stop_sequences(context.dialogue.form, self._processor.tokenizer),
            cache=self._cache,
            on_token=self._processor.pieces(listener) if listener else None,
            constraint=constraint,
            never=self._never,
        )
        reply = Reply(
            text=cut_at_stop(self._processor.decode(result.token_ids), context.dialogue.form),
            token_ids=tuple(result.token_ids),
            logprobs=tuple(result.logprobs),
            sampling_logprobs=tuple(result.sampling_logprobs),
            forced=tuple(result.forced),
            confidence=call_confidence(result, constraint) if number == 0 else _likelihood(result, constraint),
            prompt_ids=tuple(inputs.input_ids.tolist()),
            timings=dict(result.timings),
            tokens=dict(result.tokens),
            passes=result.passes,
            guessed=result.guessed,
            guessed_right=result.guessed_right,
        )
        return _Draw(reply, _likelihood(result, constraint))

    def _constraint(self, context: Context) -> CallConstraint | None:
        if not self._sampling.constrained:
            return None
        if self._constrainer is None:
            self._constrainer = Constrainer(self._processor.tokenizer)
        tools = context.dialogue.tools if context.legal is None else context.legal
        return self._constrainer(tools, context.dialogue.form, self._sampling.max_new_tokens)


@dataclass(frozen=True, slots=True)
class _Draw:
    """A reply, and how likely the model finds it."""

    reply: Reply
    likelihood: float


def _best(draws: list[_Draw], context: Context, preprocess_s: float) -> Reply:
    """The likeliest reply whose call is not worn out; what all of them cost is its cost."""
    fresh = [draw for draw in draws if not _is_avoided(draw.reply, context)] or draws
    best = max(fresh, key=lambda draw: draw.likelihood).reply
    timings, tokens = {"preprocess": preprocess_s}, Counter[str]()
    for draw in draws:
        tokens.update(draw.reply.tokens)
        for part, seconds in draw.reply.timings.items():
            timings[part] = timings.get(part, 0.0) + seconds
    passes = sum(draw.reply.passes for draw in draws)
    return dataclasses.replace(best, timings=timings, tokens=dict(tokens), passes=passes)


def _is_avoided(reply: Reply, context: Context) -> bool:
    """Whether a reply makes a call that was made on this screen again and again."""
    if not context.avoid:
        return False
    try:
        return parse_call(reply.text, context.dialogue.form).call in context.avoid
    except ToolCallError:
        return True


def _likelihood(result: Any, constraint: CallConstraint | None) -> float:
    """Probability of what was freely written of the call, at temperature 1; of the whole reply where none was made out.

    It is a lower bound of the probability among valid calls, and compares draws of any temperature.
    """
    start = 0 if constraint is None or constraint.call_start is None else constraint.call_start
    places = range(start, len(result.logprobs))  # a result that does not tell what was forced forced nothing
    return math.exp(sum(result.logprobs[place] for place in places if not any(result.forced[place : place + 1])))


def call_confidence(result: Any, constraint: CallConstraint | None) -> float | None:
    """Probability of a complete call; what was forced has probability 1."""
    if constraint is None or constraint.call_start is None or not constraint.finished:
        return None
    return math.exp(sum(result.sampling_logprobs[constraint.call_start :]))
