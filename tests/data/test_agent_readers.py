"""Public sets of agents' work become dialogues of our own functions; our own exports come back."""

import io
import json
from pathlib import Path

import pytest
from export_episodes import record
from PIL import Image

from qwen2vl_agent.data.exports.formats import export
from qwen2vl_agent.data.readers import formats
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.data.readers.phones import android_call
from qwen2vl_agent.data.records import Record, pieces, read
from qwen2vl_agent.data.vision_store import VisionStore
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import ImagePart, TextPart
from qwen2vl_agent.schema.tools import ToolCall


def png(width: int = 1080, height: int = 2400) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


def calls(example, form="keyword") -> list[tuple[str, ToolCall]]:
    """Thought and call of every reply to learn."""
    texts = [
        part.text for turn in example.messages for part in turn.parts if isinstance(part, TextPart) and part.target
    ]
    said = [parse_call(text, form) for text in texts if "✿FUNCTION✿" in text or "<tool_call>" in text]
    return [(one.thought, one.call) for one in said]


def screens(example) -> int:
    return sum(isinstance(part, ImagePart) for turn in example.messages for part in turn.parts)


def of(name: str, value: dict, root: MediaRoot | None = None):
    return formats.example(Record(value, "here"), formats.reader(name), root or MediaRoot(), name)


@pytest.mark.parametrize(
    ("action", "call"),
    [  # the action space of google-research's android_control/README.md, and AndroidWorld's json_action.py
        ({"action_type": "click", "x": 540, "y": 1200}, ToolCall("tap", {"point": [500, 500]})),
        ({"action_type": "click", "x": 1080, "y": 0}, ToolCall("tap", {"point": [999, 0]})),
        ({"action_type": "long_press", "x": 108, "y": 240}, ToolCall("long_press", {"point": [100, 100]})),
        ({"action_type": "scroll", "direction": "down"}, ToolCall("swipe", {"start": [500, 700], "end": [500, 300]})),
        ({"action_type": "open_app", "app_name": "Zoho Meeting"}, ToolCall("open_app", {"name": "Zoho Meeting"})),
        ({"action_type": "input_text", "text": "hi"}, ToolCall("type_text", {"text": "hi"})),
        ({"action_type": "navigate_home"}, ToolCall("press_key", {"name": "home"})),
        ({"action_type": "navigate_back"}, ToolCall("press_key", {"name": "back"})),
        ({"action_type": "keyboard_enter"}, ToolCall("press_key", {"name": "enter"})),
        ({"action_type": "wait"}, ToolCall("wait")),
        ({"action_type": "status", "goal_status": "infeasible"}, ToolCall("done", {"status": "failure"})),
        ({"action_type": "answer", "text": "7"}, ToolCall("answer", {"text": "7"})),
    ],
)
def test_androids_json_actions_are_functions_of_the_phone(action, call):
    assert android_call(action, (1080, 2400)) == call


@pytest.mark.parametrize(
    "action", [{"action_type": "type", "x": 1, "y": 2, "text": "a"}, {"action_type": "click", "index": 4}]
)
def test_actions_that_no_function_does_are_refused(action):
    with pytest.raises(RecordError, match="no function of the phone"):
        android_call(action, (1080, 2400))


def test_an_episode_of_android_control():
    actions = ['{"action_type": "open_app", "app_name": "Clock"}', {"action_type": "click", "x": 540, "y": 240}]
    episode = {"goal": "Set it.", "screenshots": [png()] * 3, "actions": actions}
    example = of("androidcontrol", episode | {"step_instructions": ["Open the clock.", "Tap the alarm."]})
    assert calls(example) == [
        ("Open the clock.", ToolCall("open_app", {"name": "Clock"})),
        ("Tap the alarm.", ToolCall("tap", {"point": [500, 100]})),
        ("", ToolCall("done")),
    ]
    assert screens(example) == 3
    with pytest.raises(RecordError, match="a screen more than actions"):
        of("androidcontrol", episode | {"screenshots": [png()] * 2})


def test_an_episode_of_gui_odyssey(tmp_path):
    (tmp_path / "a.png").write_bytes(png(64, 64))
    steps = [
        {"step": 1, "screenshot": "a.png", "action": "SCROLL", "info": [[500, 800], [500, 200]], "ps": ""},
        {"step": 0, "screenshot": "a.png", "action": "CLICK", "info": [[340, 1000]], "ps": ""},
        {"step": 2, "screenshot": "a.png", "action": "CLICK", "info": "KEY_HOME", "ps": ""},
        {"step": 3, "screenshot": "a.png", "action": "TEXT", "info": "New York", "ps": ""},
        {"step": 4, "screenshot": "a.png", "action": "COMPLETE", "info": "", "ps": "done"},
    ]
    example = of("odyssey", {"task_info": {"instruction": "Go."}, "steps": steps}, MediaRoot(VisionStore(tmp_path)))
    assert [call for _, call in calls(example)] == [
        ToolCall("tap", {"point": [340, 999]}),
        ToolCall("swipe", {"start": [500, 800], "end": [500, 200]}),
        ToolCall("press_key", {"name": "home"}),
        ToolCall("type_text", {"text": "New York"}),
        ToolCall("done"),
    ]
    with pytest.raises(RecordError, match="DRAG"):
        of(
            "odyssey",
            {"task_info": {"instruction": "Go."}, "steps": [steps[0] | {"action": "DRAG"}]},
            MediaRoot(VisionStore(tmp_path)),
        )


def test_a_step_of_our_own_aitz_export_comes_back(tmp_path: Path) -> None:
    from export_episodes import CLEAN, DONE, TAP

    assert export([record(tmp_path / "a", CLEAN)], "aitz", tmp_path / "out").left_out == []
    root, found = MediaRoot(VisionStore(tmp_path / "out")), []
    for piece in pieces(tmp_path / "out"):
        found += [formats.example(one, formats.reader("aitz"), root, "aitz") for one in read(piece)]
    assert [calls(example) for example in found] == [[("Step 0.", TAP)], [("Step 1.", DONE)]]
    assert [screens(example) for example in found] == [1, 1]


def test_our_own_atif_export_comes_back(tmp_path: Path) -> None:
    export([record(tmp_path / "a")], "atif", tmp_path / "out")
    (piece,) = pieces(tmp_path / "out")
    (document,) = read(piece)
    example = formats.example(document, formats.reader("atif"), MediaRoot(VisionStore(tmp_path / "out")), "atif")
    assert [turn.role for turn in example.messages] == ["system", "user"] + ["assistant", "user"] * 3 + ["assistant"]
    assert screens(example) == 4
    assert [(thought, call.name) for thought, call in calls(example, "tool_call")] == [
        ("Step 2.", "tap"),
        ("Step 3.", "done"),
    ]
    assert '"name": "press_key"' in example.messages[0].parts[0].text


def test_a_foreign_atif_document_of_texts() -> None:
    document = {
        "schema_version": "ATIF-v1.4",
        "session_id": "one",
        "agent": {"name": "other", "version": "1.0", "model_name": "m"},
        "steps": [
            {"step_id": 1, "source": "user", "message": "What does <tool_call> mean?"},
            {"step_id": 2, "source": "agent", "message": "I look.", "reasoning_content": "Hm."}
            | {"tool_calls": [{"tool_call_id": "c", "function_name": "look", "arguments": {"at": "it"}}]}
            | {"observation": {"results": [{"source_call_id": "c", "content": "A tag."}]}},
            {"step_id": 3, "source": "agent", "message": "It is a tag."},
        ],
    }
    example = of("atif", document)
    assert calls(example, "tool_call") == [("Hm.\nI look.", ToolCall("look", {"at": "it"}))]
    assert example.messages[0].parts[0].text != "What does <tool_call> mean?", "a text's tags are no tags of ours"
    assert example.messages[-1].parts[0].text == "It is a tag."
    with pytest.raises(RecordError, match=r"expected ATIF-v1.x"):
        of("atif", document | {"schema_version": "2"})


def test_a_single_object_is_one_record_in_however_many_pieces(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps({"a": list(range(100))}, indent=1))
    found = [one.value for piece in pieces(tmp_path / "one.json", piece_bytes=64) for one in read(piece)]
    assert found == [{"a": list(range(100))}]
