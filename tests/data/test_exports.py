"""Exports hold what was recorded: read back, every word, picture and number is there, and mistakes are not learned."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_episodes import CLEAN, TOOLS, record
from PIL import Image

from qwen2vl_agent.data import lerobot
from qwen2vl_agent.data.exports.action_vector import ActionVector
from qwen2vl_agent.data.exports.dialogue_file import ROWS_FILE
from qwen2vl_agent.data.exports.exchanges import conversation, is_learnt
from qwen2vl_agent.data.exports.formats import export
from qwen2vl_agent.data.exports.lerobot_stats import Spread
from qwen2vl_agent.data.readers.formats import reader
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.data.vision_store import VisionStore
from qwen2vl_agent.model.video_file import open_video_at
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.messages import ImagePart, TextPart
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.trajectory.frames import FrameStore
from qwen2vl_agent.trajectory.store import frames_folder, read_episode


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / ROWS_FILE).read_text("utf-8").splitlines()]


def words(message: Any) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, TextPart))


def test_a_conversation_takes_turns_and_marks_what_is_to_be_learned(tmp_path: Path) -> None:
    made = conversation(record(tmp_path / "a"))
    assert [message.role for message in made.messages] == ["system", *["user", "assistant"] * 4]
    replies = [message for message in made.messages if message.role == "assistant"]
    assert [is_learnt(reply) for reply in replies] == [False, False, True, True]
    assert words(made.messages[2]) == (
        'Step 0.\n<tool_call>\n{"name": "press_key", "arguments": {"name": "back"}}\n</tool_call>'
    )
    assert '"name": "press_key"' in words(made.messages[0]), "the tools are told, whatever the model was taught"
    assert "there is no function call" in words(made.messages[5]), "the mistake's answer stands before the next reply"


@pytest.mark.parametrize("kind", ["messages", "sharegpt", "swift"])
def test_our_own_reader_reads_back_what_was_exported(kind: str, tmp_path: Path) -> None:
    folder = record(tmp_path / "a", CLEAN)
    done = export([folder], kind, tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    read = reader("messages" if kind == "swift" else kind)(row, MediaRoot(VisionStore(tmp_path / "out")), "again")
    wanted = conversation(folder)
    assert (done.episodes, done.rows, done.left_out) == (1, 1, [])
    # Our reader of ShareGPT takes the line ends around placeholders away.
    told = [[(turn.role, words(turn).strip()) for turn in made.messages] for made in (read, wanted)]
    assert told[0] == told[1]
    shown = [part for turn in read.messages for part in turn.parts if isinstance(part, ImagePart)]
    frames = FrameStore(frames_folder(folder))
    for part, step in zip(shown, read_episode(folder).steps, strict=True):
        assert part.image == frames.path(step.frame).read_bytes()


def test_replies_not_to_be_learned_are_told_so_or_their_episode_is_left_out(tmp_path: Path) -> None:
    folder = record(tmp_path / "a")
    export([folder], "swift", tmp_path / "swift")
    losses = [turn.get("loss") for turn in rows(tmp_path / "swift")[0]["messages"] if turn["role"] == "assistant"]
    assert losses == [False, False, True, True]
    done = export([folder], "sharegpt", tmp_path / "sharegpt")
    assert done.rows == 0
    assert "--each-reply" in done.left_out[0][1]


def test_with_each_reply_a_row_ends_with_the_only_reply_to_learn(tmp_path: Path) -> None:
    folder = record(tmp_path / "a")
    assert export([folder], "messages", tmp_path / "out", each_reply=True).rows == 2
    for row, length, number in zip(rows(tmp_path / "out"), (6, 8), (2, 3), strict=True):
        assert len(row["prompt"]) == length
        assert [turn["role"] for turn in row["completion"]] == ["assistant"]
        assert row["completion"][0]["content"][0]["text"].startswith(f"Step {number}.")
        assert len(row["images"]) == sum(part["type"] == "image" for turn in row["prompt"] for part in turn["content"])


def test_atif_carries_the_recorded_ids_and_probabilities(tmp_path: Path) -> None:
    folder = record(tmp_path / "a")
    export([folder], "atif", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "a.json").read_text("utf-8"))
    steps = document["steps"]
    assert [step["step_id"] for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [step["source"] for step in steps] == ["system", "user", *["agent"] * 4]
    for step, recorded in zip(steps[2:], read_episode(folder).steps, strict=True):
        assert step["metrics"]["completion_token_ids"] == list(recorded.reply.token_ids)
        assert step["metrics"]["prompt_token_ids"] == list(recorded.reply.prompt_ids)
        assert step["metrics"]["logprobs"] == list(recorded.reply.logprobs)
    assert steps[2]["tool_calls"][0]["function_name"] == "press_key"
    assert steps[2]["observation"]["results"][0]["source_call_id"] == steps[2]["tool_calls"][0]["tool_call_id"]
    assert "tool_calls" not in steps[3], "what could not be read is no call"
    assert document["extra"]["outcome"] == "success"
    assert document["final_metrics"]["total_completion_tokens"] == 12


def test_steps_that_no_model_wrote_carry_no_metrics(tmp_path: Path) -> None:
    export([record(tmp_path / "a", by_model=False)], "atif", tmp_path / "out")
    steps = json.loads((tmp_path / "out" / "a.json").read_text("utf-8"))["steps"]
    assert all(step["llm_call_count"] == 0 and "metrics" not in step for step in steps[2:])


def test_a_lerobot_set_gives_back_calls_and_screens(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folders = [record(tmp_path / "a", CLEAN), record(tmp_path / "b", size=(28, 56), goal="Other.")]
    assert export(folders, "lerobot", tmp_path / "out").rows == 6
    read = [record for record, _ in lerobot.episodes(tmp_path / "out", 0, 2)]
    assert [record["tasks"] for record in read] == [["Go on."], ["Other."]]
    vector = ActionVector(TOOLS)
    for found, folder in zip(read, folders, strict=True):
        steps = read_episode(folder).steps
        assert found["action_names"] == list(vector.names)
        assert [row["action"] for row in found["rows"]] == [vector.encode(step.call) for step in steps]
        (film, begin), *_ = found["videos"].values()
        seconds = [begin + row["timestamp"] for row in found["rows"]]
        for picture, step in zip(open_video_at(film, seconds).pictures(), steps, strict=True):
            assert picture.size == (56, 84)
            shown = FrameStore(frames_folder(folder)).get(step.frame)
            canvas = Image.new("RGB", (56, 84))
            canvas.paste(shown)
            apart = np.abs(np.asarray(picture, int) - np.asarray(canvas, int))
            assert apart[: shown.height - 4, : shown.width - 4].mean() < 6, "a film loses little"
    assert [row["next.success"] for row in read[1]["rows"]] == [False, False, False, True]


def test_numbers_of_calls_have_places_of_their_own() -> None:
    vector = ActionVector(TOOLS)
    assert vector.names == ("function", "point.x", "point.y")
    assert vector.encode(ToolCall("tap", {"point": [348, 291]})) == [0.0, 348.0, 291.0]
    assert vector.encode(ToolCall("press_key", {"name": "back"})) == [1.0, 0.0, 0.0]
    assert vector.encode(None) == vector.encode(ToolCall("unknown")) == [-1.0, 0.0, 0.0]


def test_spreads_of_parts_give_the_spread_of_the_whole() -> None:
    values = np.random.default_rng(0).normal(size=(30, 4))
    together = Spread.of(values[:11]).with_more(Spread.of(values[11:]))
    whole = Spread.of(values)
    for name in ("least", "most", "mean", "std"):
        np.testing.assert_allclose(getattr(together, name), getattr(whole, name))
    assert together.count == 30


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    folder = record(tmp_path / "a")
    with pytest.raises(ConfigError, match="not empty"):
        export([folder], "swift", tmp_path / "a")
    with pytest.raises(ConfigError, match="no format 'csv'"):
        export([folder], "csv", tmp_path / "out")
    with pytest.raises(ConfigError, match="--each-reply"):
        export([folder], "atif", tmp_path / "other", each_reply=True)
