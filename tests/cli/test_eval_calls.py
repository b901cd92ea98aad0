"""Type match and exact match over recorded episodes: by written replies, by a model, in the data set's own files."""

import json
from pathlib import Path

import pytest
from PIL import Image

from qwen2vl_agent.cli import main
from qwen2vl_agent.commands import eval as command
from qwen2vl_agent.data.call_questions import aitz_questions, fncall_questions
from qwen2vl_agent.dialogue.tool_call import render_call
from qwen2vl_agent.schema.errors import ConfigError, MediaError, RecordError
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.tools import ToolCall

PUBLISHED = {
    "episode_id": "523638528775825151",
    "episode_length": 4,
    "instruction": 'open app "Clock" (install if not already installed)',
    "ui_text": "[]",
    "ui_types": "[]",
}
STEPS = [  # the fields of IMNearth/CoAT's data-example that are read, elements cut to those that count
    {"step_id": 0, "ui_positions": "[[54, 17, 8, 12]]", "result_action_text": "", "result_touch_yx": "[-1.0, -1.0]"}
    | {"result_lift_yx": "[-1.0, -1.0]", "coat_action_desc": "press the home button"},
    {"step_id": 1, "ui_positions": "[]", "result_action_text": ""}
    | {"result_touch_yx": "[0.541063666343689, 0.5073748230934143]"}
    | {"result_lift_yx": "[0.001115699764341116, 0.5788536071777344]", "coat_action_desc": "scroll up"},
    {"step_id": 2, "ui_positions": "[[281, 34, 27, 15], [321, 156, 5, 18]]", "result_action_text": ""}
    | {"result_touch_yx": "[0.49836206436157227, 0.6069772839546204]"}
    | {"result_lift_yx": "[0.49669790267944336, 0.6069772839546204]"}
    | {"coat_action_desc": "click on the Clock app located at the upper middle right side of the screen."},
    {"step_id": 3, "ui_positions": "[]", "result_action_text": "", "result_touch_yx": "[-1.0, -1.0]"}
    | {"result_lift_yx": "[-1.0, -1.0]", "coat_action_desc": "stop and set the query as completed"},
]
RIGHT = [
    ToolCall("press_key", {"name": "home"}),
    ToolCall("swipe", {"start": [500, 600], "end": [500, 200]}),
    ToolCall("tap", {"point": [600, 500]}),
    ToolCall("done"),
]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A copy as it is published: pictures are named below the split's folder."""
    name = "GOOGLE_APPS-523638528775825151"
    folder = tmp_path / "zoo" / "test" / "google_apps" / name
    folder.mkdir(parents=True)
    records = []
    for step in STEPS:
        number = step["step_id"]
        Image.new("RGB", (270, 600), (10 * int(number), 0, 0)).save(folder / f"{name}_{number}.png")
        records.append(PUBLISHED | step | {"image_path": f"google_apps/{name}/{name}_{number}.png"})
    (folder / f"{name}.json").write_text(json.dumps(records))
    return tmp_path / "zoo"


def replies(path: Path, calls: dict[str, ToolCall], form: str = "keyword") -> Path:
    lines = [{"id": name, "answer": render_call("I think so.", call, form)} for name, call in calls.items()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def last(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
def test_the_published_example_is_read_and_its_own_actions_are_right(published, tmp_path, capsys, form):
    written = replies(tmp_path / "r.jsonl", {f"523638528775825151/{n}": call for n, call in enumerate(RIGHT)}, form)
    flags = ["--data", str(published), "--split", "test", "--predictions", str(written), "--json"]
    assert main(["eval", "aitz", *flags, "--results", str(tmp_path / "out" / "results.json")]) == 0
    told = last(capsys)
    assert (told["type_match"], told["exact_match"], told["readable"], told["steps"]) == (1, 1, 1, 4)
    assert (told["episodes"], told["episode_success"], told["missing"]) == (1, 1, 0)
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == told


def test_wrong_and_missing_replies_are_counted_as_they_should(published, tmp_path, capsys):
    wrong = {
        "523638528775825151/0": RIGHT[0],
        "523638528775825151/1": ToolCall("swipe", {"start": [500, 200], "end": [500, 600]}),  # the other way
        "523638528775825151/2": ToolCall("wait"),  # no kind of the data set
    }
    written = replies(tmp_path / "r.jsonl", wrong)
    assert main(["eval", "aitz", "--data", str(published), "--predictions", str(written), "--json"]) == 0
    told = last(capsys)
    assert (told["type_match"], told["exact_match"], told["readable"]) == (0.5, 0.25, 0.5)
    assert (told["missing"], told["episode_success"], told["episode_progress"]) == (1, 0, 0.25)
    assert told["kinds"]["scroll"]["type_match"] == 1
    assert told["kinds"]["scroll"]["exact_match"] == 0


def test_a_question_shows_the_goal_the_past_and_the_screen(published):
    asked = list(aitz_questions(published, history=1))
    pictures = [sum(isinstance(part, ImagePart) for turn in one.messages for part in turn.parts) for one in asked]
    assert pictures == [1, 2, 2, 2]
    assert asked[0].kind == "press"
    assert 'open app "Clock"' in asked[3].messages[1].parts[0].text


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """The oracle's episodes on a virtual phone, its calls of both forms."""
    from qwen2vl_agent.agent.jobs import Job
    from qwen2vl_agent.agent.rollouts import collect_episodes
    from qwen2vl_agent.agent.settings import AgentConfig

    out = tmp_path_factory.mktemp("episodes")
    forms = ("keyword", "tool_call")
    jobs = [Job(task="settings.toggle", seed=n, policy="oracle", agent=AgentConfig(form=forms[n])) for n in range(2)]
    assert all(result.outcome == "success" for result in collect_episodes(jobs, out).results)
    return out


def test_the_oracles_own_calls_are_all_right_and_others_are_not(recorded, tmp_path, capsys):
    truths = {one.id: one.truth for one in fncall_questions(recorded)}
    forms = {one.form for one in fncall_questions(recorded)}
    assert len(truths) > 4
    assert forms == {"keyword", "tool_call"}
    written = replies(tmp_path / "right.jsonl", truths)
    assert main(["eval", "fncall", "--data", str(recorded), "--predictions", str(written), "--json"]) == 0
    told = last(capsys)
    assert (told["type_match"], told["exact_match"], told["steps"]) == (1, 1, len(truths))
    written = replies(tmp_path / "wrong.jsonl", dict.fromkeys(truths, ToolCall("tap", {"point": [0, 999]})))
    assert main(["eval", "fncall", "--data", str(recorded), "--predictions", str(written), "--json"]) == 0
    told = last(capsys)
    taps = sum(call.name == "tap" for call in truths.values())
    assert told["type_match"] == pytest.approx(taps / len(truths), abs=1e-4)
    assert told["exact_match"] == 0


def test_an_export_of_our_episodes_stands_in_for_the_data_set(recorded, tmp_path, capsys, monkeypatch):
    copy = tmp_path / "copy"
    assert main(["export", str(recorded), "--format", "aitz", "--out", str(copy)]) == 0
    truths = {one.id: one for one in aitz_questions(copy)}
    monkeypatch.setattr(command.Command, "asker", lambda self: asker)
    asked = []

    def asker(messages, form):
        question = next(one for one in truths.values() if one.messages == messages)
        asked.append(question.id)
        return render_call("", question.truth, form)

    flags = ["--data", str(copy), "--out", str(tmp_path / "answers.jsonl"), "--json"]
    capsys.readouterr()
    for _ in range(2):  # the second run asks nothing again
        assert main(["eval", "aitz", *flags]) == 0
        told = last(capsys)
        assert (told["type_match"], told["exact_match"], told["steps"]) == (1, 1, len(truths))
    assert len(asked) == len(truths) == len(list(fncall_questions(recorded)))


def test_logs_of_function_calls_are_read_from_conversations(tmp_path, capsys):
    call = {"function": {"name": "book", "arguments": '{"city": "Oslo"}'}}
    turns = [{"role": "user", "content": "Book it."}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    tools = json.dumps([{"type": "function", "function": {"name": "book", "parameters": {}}}])
    (tmp_path / "log.jsonl").write_text(json.dumps({"id": "one", "messages": turns, "tools": tools}))
    asked = list(fncall_questions(tmp_path))
    assert [(one.id, one.truth) for one in asked] == [("one/0", ToolCall("book", {"city": "Oslo"}))]
    assert [turn.role for turn in asked[0].messages] == ["system", "user"]
    assert '"name": "book"' in asked[0].messages[0].parts[0].text


def test_what_cannot_be_measured_is_told(tmp_path, capsys, published):
    assert main(["eval", "aitz"]) == 2
    assert "aitz needs --data" in capsys.readouterr().err
    assert main(["eval", "docvqa", "--predictions", "x"]) == 2
    assert "--predictions is for aitz and fncall" in capsys.readouterr().err
    assert main(["eval", "aitz", "--data", str(published), "--predictions", str(tmp_path / "none")]) == 2
    assert "has no answers" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="no JSON"):
        list(aitz_questions(tmp_path, "nothing-like-this"))
    next(published.rglob("*_2.png")).unlink()
    with pytest.raises(MediaError, match="lacks the screen"):
        list(aitz_questions(published))
    next(published.rglob("*.json")).write_text('[{"episode_id": "1"}]')
    with pytest.raises(RecordError, match="no episode of AITZ"):
        list(aitz_questions(published))
