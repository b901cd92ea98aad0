"""Recorded phone episodes in the files of Android in the Zoo: a folder each, with its steps and its screens.

Elements are not recorded, so a step has none; taps of an export are compared by their distance alone.
"""

import json
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.aitz import AitzAction, Place, action_of
from qwen2vl_agent.data.examples import recorded_turns
from qwen2vl_agent.data.exports.pictures import PictureFolder
from qwen2vl_agent.dialogue.compose import Turn
from qwen2vl_agent.dialogue.tool_call import ParsedReply, parse_call
from qwen2vl_agent.schema.errors import RecordError, ToolCallError
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.trajectory import CallForm

SUBSET = "recorded"
NOWHERE: Place = (-1.0, -1.0)
TYPES = {"type": 3, "click": 4, "scroll": 4, "back": 5, "home": 6, "enter": 7}
COMPLETE, IMPOSSIBLE = 10, 11
"""Numbers of AndroidInTheWild's `ActionType`."""


class AitzFolder:
    """An export of one folder an episode, below `recorded/`."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._pictures = PictureFolder(out)

    def add(self, folder: Path) -> int:
        """Write an episode; the number of its steps that the data set can tell of.

        Raises:
            RecordError: it cannot be read, or has an action that AITZ has no kind for.
        """
        dialogue, turns = recorded_turns(folder)
        made = [_step(turn, dialogue.form) for turn in turns if turn.target]
        name = folder.name
        records = [self._record(name, number, len(made), dialogue.goal, *step) for number, step in enumerate(made)]
        place = self._out / SUBSET / name
        place.mkdir(parents=True)
        (place / f"{name}.json").write_text(json.dumps(records, ensure_ascii=False, indent=1) + "\n", "utf-8")
        return len(records)

    def close(self) -> None:
        """Every episode is written already."""

    def _record(
        self, name: str, number: int, length: int, goal: str, turn: Turn, said: ParsedReply, action: AitzAction
    ) -> dict[str, Any]:
        assert isinstance(turn.image, ImagePart)
        return {
            "episode_id": name,
            "episode_length": length,
            "step_id": number,
            "instruction": goal,
            "ui_positions": "[]",
            "ui_text": "[]",
            "ui_types": "[]",
            "result_action_type": _number(action),
            "result_action_text": action.text,
            "result_touch_yx": json.dumps((action.place or NOWHERE)[::-1]),
            "result_lift_yx": json.dumps((action.lift or action.place or NOWHERE)[::-1]),
            "image_path": self._pictures.add(turn.image),
            "subset": SUBSET,
            "coat_action_think": said.thought,
            "coat_action_desc": _described(action),
        }


def _step(turn: Turn, form: CallForm) -> tuple[Turn, ParsedReply, AitzAction]:
    try:
        said = parse_call(turn.reply_text, form)
    except ToolCallError as error:
        raise RecordError(f"a reply has no call: {error}") from error
    action = action_of(said.call)
    if action is None or (action.kind == "press" and action.button not in TYPES):
        raise RecordError(f"AITZ has no kind of action for {said.call.name} {said.call.arguments.get('name', '')}")
    return turn, said, action


def _described(action: AitzAction) -> str:
    """The data set's wording, from which the kind is read."""
    match action.kind:
        case "click":
            return "click on the screen"
        case "scroll":
            return f"scroll {action.direction}"
        case "type":
            return f'input text "{action.text}"'
        case "press":
            return "press enter" if action.button == "enter" else f"press the {action.button} button"
    return f"stop and set the query as {'impossible' if action.impossible else 'completed'}"


def _number(action: AitzAction) -> int:
    if action.kind == "stop":
        return IMPOSSIBLE if action.impossible else COMPLETE
    return TYPES[action.button or action.kind]
