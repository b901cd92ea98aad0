"""What a model is still told of steps that were let go of: what it noted, and each step in a line.

    Open the shop.
    What you did before:
    1. Open the list. tap {"point": [500, 100]}
    3. Go back. press_key {"name": "back"} (there is no such key)
    Your notes:
    - Plan: list, then basket. The milk costs 1.09.

It stands behind the goal, before the first screen that is kept. It follows from the record alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qwen2vl_agent.dialogue.compose import Dialogue, Turn
from qwen2vl_agent.dialogue.lenient_json import write_json
from qwen2vl_agent.dialogue.tool_call import neutral, parse_call
from qwen2vl_agent.dialogue.tool_prompt import Language
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.trajectory import CallForm

HEADINGS: dict[Language, tuple[str, str]] = {
    "en": ("What you did before:", "Your notes:"),
    "zh": ("你之前做过：", "你的笔记："),
}
LONGEST_LINE = 300
"""Letters of a step's line."""
NOTE = "note"
"""The tool that keeps a note."""


@dataclass(frozen=True, slots=True)
class Past:
    """The past as a model is shown it."""

    turns: tuple[Turn, ...]
    """The newest in full, older ones perhaps without their screens."""
    earlier: str = ""
    """What is told of those before them."""


def step_line(turn: Turn, index: int, form: CallForm) -> str:
    """A step in a line: its thought, its call, and what was wrong with it. Empty for a note, which is told itself."""
    try:
        parsed = parse_call(turn.reply_text, form)
    except ToolCallError:
        said = turn.reply_text
    else:
        if parsed.call.name == NOTE and not turn.result_text:
            return ""
        said = f"{parsed.thought} {parsed.call.name} {write_json(parsed.call.arguments)}"
    wrong = f" ({turn.result_text})" if turn.result_text else ""
    return f"{index + 1}. {_one_line(said + wrong)}\n"


def note_line(turn: Turn, form: CallForm) -> str:
    """What a step noted, on a line; empty where it noted nothing."""
    try:
        call = parse_call(turn.reply_text, form).call
    except ToolCallError:
        return ""
    text = call.arguments.get("text")
    if call.name != NOTE or turn.result_text or not isinstance(text, str):
        return ""
    return f"- {neutral(' '.join(text.split()))}\n"


def in_view(
    dialogue: Dialogue, turns: Sequence[Turn], told: int, seen: int, notes: Sequence[str] | None = None
) -> Past:
    """The past of which the words before turn `told` and the screens before turn `seen` are let go.

    Args:
        notes: those of the steps whose words are gone, where not all of them are to be told.
    """
    first = first_in_view(dialogue, told, seen)
    unseen = (replace(turn, image=None, clip=None) for turn in turns[:seen])
    kept = (*unseen, *turns[seen:])[first:]
    if dialogue.memory == "none":
        return Past(kept)
    if notes is None:
        notes = [note_line(turn, dialogue.form) for turn in turns[:first]]
    steps = [step_line(turns[index], index, dialogue.form) for index in range(told, first)]
    sections = zip(HEADINGS[dialogue.language], ("".join(steps), "".join(notes)), strict=True)
    return Past(kept, "".join(f"{heading}\n{lines}" for heading, lines in sections if lines))


def first_in_view(dialogue: Dialogue, told: int, seen: int) -> int:
    """The first turn that is a turn of the conversation still: a summary has lines for those without screens."""
    return seen if dialogue.memory == "summary" else told


def _one_line(text: str) -> str:
    line = neutral(" ".join(text.split()))
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} …"
