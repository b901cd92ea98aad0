"""What an agent still sees of a long past: old screens go first, then old words.

Everything that follows what was let go has to be read again, to the same result as a fresh computation of the shortened
conversation. So that this is rare, half of what was kept goes at once: at `max_frames` 8 the screens in view are
8, then 4, 5, 6, 7, 8, then 4 again, and a step costs two screens' reading in the mean (their embeddings are kept).
What is told of steps that went is `dialogue/earlier.py`; it changes only when something goes, too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod

from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose, pictures_of
from qwen2vl_agent.dialogue.earlier import HEADINGS, Past, first_in_view, in_view, note_line, step_line
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.tool_call import RESULT, RETURN, neutral
from qwen2vl_agent.model.image_processor import TEMPORAL_PATCH_SIZE
from qwen2vl_agent.model.image_source import load_rgb
from qwen2vl_agent.schema.geometry import MERGE_SIZE, MODEL_FRAME, RESIZE_FACTOR
from qwen2vl_agent.schema.messages import ImagePart, VideoPart
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.trajectory import CallForm

LEFT = 0.5
"""Share of a limit that is left when it is exceeded."""
NOTES_SHARE = 0.25
"""Share of `max_context_tokens` that the notes of steps that went may take; the oldest are left out."""
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
    line: int = 0
    """Of the line that stands for it in a summary."""
    note: int = 0
    """Of the line with what it noted."""


def remembered(dialogue: Dialogue, turns: Sequence[Turn], observation: Observation, processor: Processor) -> Past:
    """The past as the model is shown it: the newest turns in full, older ones without screens, the oldest in short.

    It depends on what is recorded alone, so that a record gives the same conversation again.
    """
    if dialogue.max_frames is None and dialogue.max_context_tokens is None:
        return Past(tuple(turns))
    now = Turn(observation.image, observation.text, "", clip=observation.clip)
    costs = _costs(dialogue, (*turns, now), processor)
    return _past(dialogue, turns, costs, *first_kept(costs, _head(dialogue, processor), dialogue))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps of an episode whose contexts only grow, and so fit into one conversation."""

    past: Past
    """What was in view at the last of them, that step included."""
    first: int
    """Of its turns, the one with which the stretch begins; those before it are context."""


def stretches(dialogue: Dialogue, turns: Sequence[Turn], processor: Processor) -> list[Stretch]:
    """A finished episode as the conversations that its agent was shown: a new one wherever something was let go."""
    head = _head(dialogue, processor)
    if _surely_fits(dialogue, turns, processor, head):
        return [Stretch(Past(tuple(turns)), 0)]
    costs = _costs(dialogue, turns, processor)
    kept = []
    for index, turn in enumerate(turns):
        now = turn_cost(Turn(turn.image, turn.observation_text, "", clip=turn.clip), dialogue.form, processor)
        kept.append(first_kept([*costs[:index], now], head, dialogue))
    found, first = [], 0
    for index, (told, seen) in enumerate(kept):
        if index + 1 == len(turns) or kept[index + 1] != (told, seen):
            past = _past(dialogue, turns[: index + 1], costs, told, seen)
            found.append(Stretch(past, first - first_in_view(dialogue, told, seen)))
            first = index + 1
    return found


def _surely_fits(dialogue: Dialogue, turns: Sequence[Turn], processor: Processor, head: int) -> bool:
    """Whether nothing was ever let go, told without a tokenizer: no token is shorter than a byte."""
    if dialogue.max_frames is not None and len(turns) > dialogue.max_frames:
        return False
    if dialogue.max_context_tokens is None:
        return True
    texts = [text for turn in turns for text in (turn.reply_text, turn.observation_text, turn.result_text)]
    words = sum(len(text.encode("utf-8", "replace")) for text in texts) + len(MARKUP[dialogue.form]) * 3 * len(turns)
    written = sum(len(turn.reply_token_ids or ()) for turn in turns)
    return head + words + written + sum(_screen(turn, processor) for turn in turns) <= dialogue.max_context_tokens


def _past(dialogue: Dialogue, turns: Sequence[Turn], costs: Sequence[TurnCost], told: int, seen: int) -> Past:
    """The past, with the newest of those notes for which there is room."""
    gone, room, notes = first_in_view(dialogue, told, seen), _room_for_notes(dialogue), list[str]()
    for index in reversed(range(gone)):
        room -= costs[index].note
        if room < 0:
            break
        notes.append(note_line(turns[index], dialogue.form))
    return in_view(dialogue, turns, told, seen, notes[::-1])


def _room_for_notes(dialogue: Dialogue) -> float:
    return math.inf if dialogue.max_context_tokens is None else dialogue.max_context_tokens * NOTES_SHARE


def first_kept(costs: Sequence[TurnCost], head: int, dialogue: Dialogue) -> tuple[int, int]:
    """The first turn whose words are kept, and the first whose screen is; the last of `costs` is the present one.

    Args:
        head: tokens of the tool prompt and the goal, which always stay.
    """
    tokens = _Tokens(costs, head, dialogue)
    frames, limit = dialogue.max_frames or len(costs), dialogue.max_context_tokens
    told = seen = 0
    for now in range(len(costs)):  # step by step, as the episode went
        if now + 1 - seen > frames:
            seen = now + 1 - max(1, int(frames * LEFT))
        if limit is None or tokens.at(told, seen, now) <= limit:
            continue
        while seen < now and tokens.at(told, seen, now) > limit * LEFT:
            seen += 1
        while told < seen and tokens.at(told, seen, now) > limit * LEFT:
            told += 1
    return told, seen


def _costs(dialogue: Dialogue, turns: Sequence[Turn], processor: Processor) -> list[TurnCost]:
    costs = [turn_cost(turn, dialogue.form, processor) for turn in turns]
    if dialogue.memory == "none":
        return costs
    encode, form = processor.tokenizer.encode, dialogue.form
    return [
        replace(cost, line=len(encode(step_line(turn, index, form))), note=len(encode(note_line(turn, form))))
        for index, (turn, cost) in enumerate(zip(turns, costs, strict=True))
    ]


def turn_cost(turn: Turn, form: CallForm, processor: Processor) -> TurnCost:
    """An upper bound of a turn's tokens, from its words and the size of its screen."""
    encode = processor.tokenizer.encode
    reply = len(turn.reply_token_ids) if turn.reply_token_ids is not None else len(encode(turn.reply_text))
    beside = sum(len(encode(neutral(text))) for text in (turn.observation_text, turn.result_text))
    return TurnCost(reply + beside + len(encode(MARKUP[form])), _screen(turn, processor))


def _screen(turn: Turn, processor: Processor) -> int:
    return sum(_picture(part, processor) for part in pictures_of(turn.image, turn.clip))


def _picture(part: ImagePart | VideoPart, processor: Processor) -> int:
    if isinstance(part, ImagePart):
        width, height = part.size or load_rgb(part.image).size
        return prod(processor.image_processor.grid(width, height)) // MERGE_SIZE**2 + 2
    count, width, height = part.size or (len(part.video), *load_rgb(part.video[0]).size)
    rows, columns = processor.video_processor.frame_size(count, width, height)
    return math.ceil(count / TEMPORAL_PATCH_SIZE) * rows * columns // RESIZE_FACTOR**2 + 2


def _head(dialogue: Dialogue, processor: Processor) -> int:
    """Tokens of the tool prompt, the goal, and headings of what is told of earlier steps."""
    headings = "" if dialogue.memory == "none" else "\n".join(HEADINGS[dialogue.language]) + "\n"
    messages = compose(dialogue, (), Observation(None, MODEL_FRAME), headings)
    return len(processor.encode(messages, add_generation_prompt=True).inputs.input_ids)


class _Tokens:
    """Tokens of the conversation, from sums over its steps."""

    def __init__(self, costs: Sequence[TurnCost], head: int, dialogue: Dialogue) -> None:
        self._head, self._dialogue = head, dialogue
        self._words = list(accumulate((cost.words for cost in costs), initial=0))
        self._screens = list(accumulate((cost.screen for cost in costs), initial=0))
        self._lines = list(accumulate((cost.line for cost in costs), initial=0))
        self._notes = list(accumulate((cost.note for cost in costs), initial=0))

    def at(self, told: int, seen: int, now: int) -> float:
        """At most so many at step `now`."""
        gone = first_in_view(self._dialogue, told, seen)
        kept = self._words[now + 1] - self._words[gone] + self._screens[now + 1] - self._screens[seen]
        earlier = self._lines[gone] - self._lines[told] + min(self._notes[gone], _room_for_notes(self._dialogue))
        return self._head + kept + earlier
