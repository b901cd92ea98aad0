"""Steps of recorded work as questions: the conversation up to a call, and the call that is right there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qwen2vl_agent.data import aitz
from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.examples import episode_example
from qwen2vl_agent.data.readers import formats
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.data.records import pieces, read
from qwen2vl_agent.data.vision_store import VisionStore
from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose
from qwen2vl_agent.dialogue.tool_call import FUNCTION, OPEN, parse_call, render_call
from qwen2vl_agent.model.image_source import picture_size
from qwen2vl_agent.schema.actions import Done, PressKey, Swipe, Tap, TypeText
from qwen2vl_agent.schema.errors import ConfigError, ToolCallError
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall, tool_spec
from qwen2vl_agent.schema.trajectory import CallForm
from qwen2vl_agent.trajectory.store import episodes

AITZ_TOOLS = tuple(tool_spec(kind) for kind in (Tap, Swipe, TypeText, PressKey, Done))
"""The phone's functions that the data set has steps of."""


@dataclass(frozen=True, slots=True)
class CallQuestion:
    """A conversation that a model is to go on with by one call."""

    id: str
    episode: str
    kind: str
    """What it is reported under beside the whole: AITZ's kind of action, or the function's name."""
    messages: list[Message]
    form: CallForm
    truth: ToolCall
    step: aitz.AitzStep | None = None
    """Of AITZ's questions, with what its rules look at."""
    size: tuple[int, int] = (1, 1)
    """Of the screen, in pixels."""


def aitz_questions(
    folder: Path, split: str = "", form: CallForm = "keyword", history: int = 4
) -> Iterator[CallQuestion]:
    """Each step of AITZ's episodes: the goal, the last `history` screens and what was done there, and the screen.

    Raises:
        ConfigError: there is no episode.
        RecordError: an episode is not in the format.
        MediaError: a screen is missing or no picture.
    """
    for steps in aitz.episodes(folder, split):
        dialogue = Dialogue(steps[0].goal, AITZ_TOOLS, form)
        turns: list[Turn] = []
        for step in steps:
            part, truth = ImagePart(aitz.picture(step, folder)), aitz.call_of(step.action)
            size = picture_size(part.image)
            seen = Observation(part, Frame("screenshot", *size))
            shown = turns[max(0, len(turns) - history) :]
            messages = compose(dialogue, shown, seen)
            name = f"{step.episode}/{step.index}"
            yield CallQuestion(name, step.episode, step.action.kind, messages, form, truth, step, size)
            turns.append(Turn(part, "", render_call("", truth, form)))


def fncall_questions(folder: Path, split: str = "") -> Iterator[CallQuestion]:
    """Each call in logs of function calls: recorded episodes, or conversations in JSON Lines or Parquet (`messages`).

    A log's own calls are the truths; one that was no target when it was recorded is context only.

    Raises:
        ConfigError: there is no call.
        RecordError: a log is not in the format.
    """
    found = 0
    for name, log in _logs(folder, split):
        for number, (messages, call, form) in enumerate(_calls(log)):
            found += 1
            yield CallQuestion(f"{name}/{number}", name, call.name, messages, form, call)
    if not found:
        raise ConfigError(f"{folder} has no function call in any log; expected episodes, or conversations with calls")


def _logs(folder: Path, split: str) -> Iterator[tuple[str, Example]]:
    if recorded := episodes(folder):
        for place in recorded:
            if split in place.name:
                yield str(place.relative_to(folder)), episode_example(place)
        return
    root, reader = MediaRoot(VisionStore(folder)), formats.reader("messages")
    for piece in pieces(folder):
        file = Path(piece.path).relative_to(folder)
        if split not in file.name:
            continue
        for number, record in enumerate(read(piece)):
            name = str(record.value.get("id") or f"{file}/{piece.start}/{number}")
            yield name, formats.example(record, reader, root, "fncall")


def _calls(log: Example) -> Iterator[tuple[list[Message], ToolCall, CallForm]]:
    """The calls to be learnt, each with what stands before it."""
    for place, message in enumerate(log.messages):
        if message.role != "assistant":
            continue
        for number, part in enumerate(message.parts):
            if not isinstance(part, TextPart) or not part.target:
                continue
            form: CallForm = "keyword" if FUNCTION in part.text else "tool_call"
            if form == "tool_call" and OPEN not in part.text:
                continue
            before = list(log.messages[:place])
            if number:
                before.append(Message("assistant", message.parts[:number], closed=False))
            try:
                yield before, parse_call(part.text, form).call, form
            except ToolCallError:
                continue
