"""What an agent still sees of a long past: old screens go first, then old words.

Everything that follows what was let go has to be read again, to the same result as a fresh computation of the shortened
conversation. So that this is rare, half of what was kept goes at once: at `max_frames` 8 the screens in view are
8, then 4, 5, 6, 7, 8, then 4 again, and a step costs two screens' reading in the mean (their embeddings are kept).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod

from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.tool_call import RESULT, RETURN, neutral
from qwen2vl_agent.model.image_source import load_rgb
from qwen2vl_agent.schema.geometry import MERGE_SIZE, MODEL_FRAME
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.trajectory import CallForm

LEFT = 0.5
"""Share of a limit that is left when it is exceeded."""
MARKUP = {
    "keyword": f"\n{RESULT}: \n\n\n{RETURN}: ",
    "tool_call": "user\n<tool_response>\n\n\n\n</tool_response>\nassistant\n\n\n\n\n\n",
}
"""What stands around a turn's screen and words; four line breaks take the place of the marks of two ChatML turns."""


@dataclass(frozen=True, slots=True)
class TurnCost:
    """Tokens of a turn, never fewer than the encoder will give it."""

    words: int
    screen: int


def remembered(dialogue: Dialogue, turns: Sequence[Turn], observation: Observation, processor: Processor) -> list[Turn]:
    """The past turns as the model is shown them: the newest in full, older ones without screens, the oldest not at all.

    It depends on what is recorded alone, so that a record gives the same conversation again.
    """
    if dialogue.max_frames is None and dialogue.max_context_tokens is None:
        return list(turns)
    now = Turn(observation.image, observation.text, "")
    costs = [turn_cost(turn, dialogue.form, processor) for turn in (*turns, now)]
    return _in_view(turns, *first_kept(costs, _head(dialogue, processor), dialogue))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps of an episode whose contexts only grow, and so fit into one conversation."""

    turns: tuple[Turn, ...]
    """What was in view at the last of them, that step included."""
    first: int
    """Of `turns`, the one with which the stretch begins; those before it are context."""


def stretches(dialogue: Dialogue, turns: Sequence[Turn], processor: Processor) -> list[Stretch]:
    """A finished episode as the conversations that its agent was shown: a new one wherever something was let go."""
    if dialogue.max_frames is None and dialogue.max_context_tokens is None:
        return [Stretch(tuple(turns), 0)]
    costs = [turn_cost(turn, dialogue.form, processor) for turn in turns]
    head = _head(dialogue, processor)
    kept = []
    for index, turn in enumerate(turns):
        now = turn_cost(Turn(turn.image, turn.observation_text, ""), dialogue.form, processor)
        kept.append(first_kept([*costs[:index], now], head, dialogue))
    found, first = [], 0
    for index, (told, seen) in enumerate(kept):
        if index + 1 == len(turns) or kept[index + 1] != (told, seen):
            found.append(Stretch(tuple(_in_view(turns[: index + 1], told, seen)), first - told))
            first = index + 1
    return found


def _in_view(turns: Sequence[Turn], told: int, seen: int) -> list[Turn]:
    return [turn if index >= seen else replace(turn, image=None) for index, turn in enumerate(turns)][told:]


def first_kept(costs: Sequence[TurnCost], head: int, dialogue: Dialogue) -> tuple[int, int]:
    """The first turn whose words are kept, and the first whose screen is; the last of `costs` is the present one.

    Args:
        head: tokens of the tool prompt and the goal, which always stay.
    """
    words = list(accumulate((cost.words for cost in costs), initial=head))
    screens = list(accumulate((cost.screen for cost in costs), initial=0))
    frames, limit = dialogue.max_frames or len(costs), dialogue.max_context_tokens
    told = seen = 0
    for now in range(len(costs)):  # step by step, as the episode went
        if now + 1 - seen > frames:
            seen = now + 1 - max(1, int(frames * LEFT))
        if limit is None or _tokens(words, screens, told, seen, now) <= limit:
            continue
        while seen < now and _tokens(words, screens, told, seen, now) > limit * LEFT:
            seen += 1
        while told < seen and _tokens(words, screens, told, seen, now) > limit * LEFT:
            told += 1
    return told, seen


def turn_cost(turn: Turn, form: CallForm, processor: Processor) -> TurnCost:
    """An upper bound of a turn's tokens, from its words and the size of its screen."""
    encode = processor.tokenizer.encode
    reply = len(turn.reply_token_ids) if turn.reply_token_ids is not None else len(encode(turn.reply_text))
    beside = sum(len(encode(neutral(text))) for text in (turn.observation_text, turn.result_text))
    return TurnCost(reply + beside + len(encode(MARKUP[form])), _screen(turn, processor))


def _screen(turn: Turn, processor: Processor) -> int:
    if turn.image is None:
        return 0
    part = turn.image if isinstance(turn.image, ImagePart) else ImagePart(turn.image)
    width, height = part.size or load_rgb(part.image).size
    return prod(processor.image_processor.grid(width, height)) // MERGE_SIZE**2 + 2


def _head(dialogue: Dialogue, processor: Processor) -> int:
    """Tokens of the tool prompt and the goal."""
    messages = compose(dialogue, (), Observation(None, MODEL_FRAME))
    return len(processor.encode(messages, add_generation_prompt=True).inputs.input_ids)


def _tokens(words: list[int], screens: list[int], told: int, seen: int, now: int) -> int:
    """Of the conversation at step `now`; both lists are sums from the beginning, `words` with the head."""
    return words[0] + words[now + 1] - words[told] + screens[now + 1] - screens[seen]
