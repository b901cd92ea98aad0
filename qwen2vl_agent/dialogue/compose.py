"""From an episode to the conversation that a model continues, and to the one that it learns from.

Both come from the same pieces, so what the model learns is, token for token, what it is given when it acts:

    keyword     system  user: goal, screen   assistant: reply ✿RESULT✿: screen ✿RETURN✿: reply ✿RESULT✿: screen …
    tool_call   system  user: goal, screen   assistant: reply   user: <tool_response> screen …   assistant: reply …

In the keyword form the whole episode is one assistant's turn that only grows (technical report §2.2). Where the
environment shows moving pictures, a screen is a video followed by the screenshot, or a video alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qwen2vl_agent.dialogue.tool_call import RESULT, RETURN, cut_at_stop, neutral, parse_call
from qwen2vl_agent.dialogue.tool_prompt import Detail, Language, tool_prompt
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.messages import ImagePart, Message, Part, TextPart, VideoPart
from qwen2vl_agent.schema.observation import Clip, Observation
from qwen2vl_agent.schema.tools import ToolSpec
from qwen2vl_agent.schema.trajectory import CallForm

ENDING_CALLS = ("done", "answer")
"""After one of these the conversation is over."""
Memory = Literal["none", "notes", "summary"]
"""What stays of steps that are let go of: nothing, what the model noted (`notes`), or that and a line for each step
whose screen is gone (`summary`). Unless it is `none`, the full tool prompt asks for notes."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What is fixed for an episode."""

    goal: str
    tools: tuple[ToolSpec, ...]
    form: CallForm = "keyword"
    language: Language = "en"
    detail: Detail = "full"
    max_frames: int | None = None
    """Screens that stay in view, the present one included; None: all (`dialogue/memory.py`)."""
    max_context_tokens: int | None = None
    """Tokens of the conversation before old screens go, then old words; None: no limit."""
    memory: Memory = "none"


@dataclass(frozen=True, slots=True)
class Turn:
    """A past step."""

    image: Any
    """The screen that the reply was written to: a PIL image, path, bytes or `ImagePart`; None where there is none."""
    observation_text: str
    """What was told beside that screen."""
    reply_text: str
    """Thought and call, with or without the keyword that ends them."""
    reply_token_ids: tuple[int, ...] | None = None
    """Every id that a model wrote, the ending keyword included; None where no model wrote."""
    result_text: str = ""
    """What the environment answered beside the next screen, such as an error; normally nothing."""
    target: bool = True
    """Whether training predicts the reply; False for deliberate mistakes and the like."""
    clip: Clip | None = None
    """The video that was shown with that screen, or in place of it."""


def compose(dialogue: Dialogue, turns: Sequence[Turn], observation: Observation, earlier: str = "") -> list[Message]:
    """The conversation so far; the model is to write on at its end.

    Args:
        earlier: what is told of the steps before `turns` (`dialogue/memory.py`).
    """
    shown = [_shown(turn.image, turn.observation_text, turn.clip) for turn in turns]
    shown.append(_shown(observation.image, observation.text, observation.clip))
    messages = _opening(dialogue, shown[0], earlier)
    if dialogue.form == "tool_call":
        return messages + _exchanges(turns, shown[1:])
    return messages + ([Message("assistant", _stretch(turns, shown[1:]), closed=False)] if turns else [])


def compose_finished(dialogue: Dialogue, turns: Sequence[Turn], earlier: str = "") -> list[Message]:
    """The conversation of a whole episode, for training: the replies are targets, all else is not.

    The assistant's turn is closed if the episode came to its own end; one that was stopped from outside stays open,
    lest the model learn to stop there.
    """
    assert turns, "an episode without steps has nothing to learn from"
    shown = [_shown(turn.image, turn.observation_text, turn.clip) for turn in turns]
    messages = _opening(dialogue, shown[0], earlier)
    if dialogue.form == "tool_call":
        return [*messages, *_exchanges(turns[:-1], shown[1:]), _answer(turns[-1])]
    last = _reply(turns[-1])
    parts = (*_stretch(turns[:-1], shown[1:]), last)
    return [*messages, Message("assistant", parts, closed=ends_episode(turns[-1], dialogue.form))]


def ends_episode(turn: Turn, form: CallForm) -> bool:
    """Whether the turn's call ended the episode of itself."""
    try:
        call = parse_call(turn.reply_text, form).call
    except ToolCallError:
        return False
    return call.name in ENDING_CALLS and not turn.result_text


def _opening(dialogue: Dialogue, shown: "_Shown", earlier: str) -> list[Message]:
    asks = dialogue.memory != "none"
    prompt = tool_prompt(dialogue.tools, dialogue.form, dialogue.language, dialogue.detail, asks)
    parts: list[Part] = [TextPart(f"{dialogue.goal}\n{earlier}"), *shown.parts()]
    return [Message("system", (TextPart(prompt),)), Message("user", tuple(parts))]


def _stretch(turns: Sequence[Turn], shown: Sequence["_Shown"]) -> tuple[Part, ...]:
    """The keyword form's growing turn: each reply, and what the environment then showed."""
    parts: list[Part] = []
    for turn, after in zip(turns, shown, strict=True):
        # Where a model wrote, it has most likely written the keyword itself: the encoder adds only what is missing.
        opening = f"\n{RESULT}: " if turn.reply_token_ids is not None else ": "
        parts += [_reply(turn), TextPart(opening), *after.parts(turn.result_text, closing=f"\n{RETURN}: ")]
    return tuple(parts)


def _reply(turn: Turn) -> TextPart:
    if turn.reply_token_ids is not None:
        return TextPart(turn.reply_text, turn.reply_token_ids, turn.target)
    text = cut_at_stop(turn.reply_text, "keyword").rstrip("\n")
    return TextPart(f"{text}\n{RESULT}", target=turn.target)


def _exchanges(turns: Sequence[Turn], shown: Sequence["_Shown"]) -> list[Message]:
    """The tool_call form: an assistant's turn and the environment's, for each step."""
    messages = []
    for turn, after in zip(turns, shown, strict=True):
        parts = (TextPart("<tool_response>\n"), *after.parts(turn.result_text, closing="\n</tool_response>"))
        messages += [_answer(turn), Message("user", parts)]
    return messages


def _answer(turn: Turn) -> Message:
    text = turn.reply_text if turn.reply_token_ids is not None else cut_at_stop(turn.reply_text, "tool_call")
    return Message("assistant", (TextPart(text, turn.reply_token_ids, turn.target),))


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the environment showed."""

    pictures: tuple[VideoPart | ImagePart, ...]
    text: str

    def parts(self, result: str = "", closing: str = "") -> list[Part]:
        """The pictures, then what is told beside them, each on its own line."""
        told = "".join(f"\n{neutral(text)}" for text in (result, self.text) if text) + closing
        if not self.pictures:
            told = told.removeprefix("\n")
        return [*self.pictures, *([TextPart(told)] if told else [])]


def _shown(image: Any, text: str, clip: Clip | None) -> _Shown:
    return _Shown(pictures_of(image, clip), text)


def pictures_of(image: Any, clip: Clip | None) -> tuple[VideoPart | ImagePart, ...]:
    """What is seen of a screen: its video, where there is one, and its screenshot, unless the video stands for it."""
    videos = () if clip is None else (video_part(clip),)
    if image is None or (clip is not None and clip.alone):
        return videos
    return (*videos, image if isinstance(image, ImagePart) else ImagePart(image))


def video_part(clip: Clip) -> VideoPart:
    """A clip as the encoder takes it. It is known by content where all of its frames are stored ones."""
    frames = clip.frames
    if not all(isinstance(frame, ImagePart) and frame.sha256 and frame.size for frame in frames):
        return VideoPart([frame.image if isinstance(frame, ImagePart) else frame for frame in frames], clip.fps)
    key = " ".join(frame.sha256 for frame in frames)
    return VideoPart([frame.image for frame in frames], clip.fps, key, (len(frames), *frames[0].size))
