"""What is taken out of a record is gone, and the rest stays whole."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from qwen2vl_agent import cli
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Reply, Step
from qwen2vl_agent.trajectory.privacy import COVER, delete, expired, redact
from qwen2vl_agent.trajectory.record import Recorder
from qwen2vl_agent.trajectory.store import episodes, load_frame, read_episode

HEADER = EpisodeHeader("text", "Write to Bella.", "android", "model", 1, config={"flags": {"task": "Write to bella."}})


def record(folder: Path, shades: list[int], frames: Path | None = None, config: dict | None = None) -> Path:
    header = HEADER if config is None else dataclasses.replace(HEADER, config=config)
    with Recorder(folder, header, frames, sync=False) as recorder:
        for index, shade in enumerate(shades):
            frame = recorder.frame(Image.new("RGB", (100, 200), (shade, 200, 200)))
            reply = Reply(f"To Bella {index}.", (1, 2), (-0.1, -0.2), prompt_ids=(9, 9, 9), timings={"decode": 1.0})
            call = ToolCall("type_text", {"text": "hi BELLA"})
            performed = {"sent": ["input text 'hi BELLA'"], "x": 3}
            recorder.append(Step(index, frame, "Bella writes", reply, call, "", performed, 0.0))
        recorder.finish("unverified", 0.0, "told Bella")
    return folder


def kept(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*.json*"))


def test_words_go_wherever_they_are_written(tmp_path: Path) -> None:
    folder = record(tmp_path / "e", [10, 20])
    done = redact(folder, texts=["bella"])
    assert "bella" not in kept(folder).casefold()
    assert (done.words, done.frames) == (2 * 4 + 3, 0)
    step = read_episode(folder).steps[1]
    assert step.reply.text == "To [redacted] 1."
    assert (step.reply.token_ids, step.reply.prompt_ids, step.reply.logprobs) == ((), (), ())
    assert step.performed == {"sent": ["input text 'hi [redacted]'"], "x": 3}
    assert read_episode(folder).header.config["redacted"] is True


def test_regions_are_painted_over_and_the_old_screens_are_gone(tmp_path: Path) -> None:
    folder = record(tmp_path / "e", [10, 20])
    before = {path.name for path in (folder / "frames").iterdir()}
    assert redact(folder, regions=[(0, 0, 500, 250)]).frames == 2
    assert not before & {path.name for path in (folder / "frames").iterdir()}
    step = read_episode(folder).steps[0]
    image = load_frame(folder, step.frame)
    assert image.getpixel((49, 49)) == COVER
    assert image.getpixel((50, 49)) == image.getpixel((49, 50)) == (10, 200, 200)
    assert step.reply.token_ids == (1, 2)


APPS = ("com.shop", "com.bank", "com.bank", "com.shop", "com.shop")


def record_apps(folder: Path) -> Path:
    with Recorder(folder, HEADER, sync=False) as recorder:
        for index, app in enumerate(APPS):
            frame = recorder.frame(Image.new("RGB", (100, 200), (50 * (index % 2), 200, 200)))
            reply = Reply(f"Type code {index}.", (1, 2), (-0.1, -0.2), prompt_ids=(9, 9, 9))
            call = ToolCall("tap", {"point": [index, 7]})
            told = f"The field now holds {index - 1}." if index else ""
            recorder.append(Step(index, frame, told, reply, call, "", {"tap": [index, 7]}, 0.0, app=app))
        recorder.finish("unverified")
    (folder / "checkpoints.sqlite").write_bytes(b"Type code 2.")
    return folder


@pytest.mark.parametrize("pattern", ["com.bank", "*.bank", "com.b?nk"])
def test_nothing_is_left_of_an_app_but_the_names_of_functions(tmp_path: Path, pattern: str) -> None:
    folder = record_apps(tmp_path / "e")
    assert cli.main(["trajectory", "redact", str(folder), "--app", pattern]) == 0
    steps = read_episode(folder).steps
    for step in steps[1:3]:
        assert (step.reply.text, step.reply.target, step.observation_text) == ("[redacted]", False, "")
        assert (step.call, step.performed) == (ToolCall("tap"), {"action": "[redacted]"})
        assert set(load_frame(folder, step.frame).get_flattened_data()) == {COVER}
    assert [step.reply.text for step in (steps[0], *steps[3:])] == ["Type code 0.", "Type code 3.", "Type code 4."]
    assert [step.observation_text for step in steps] == ["", "", "", "", "The field now holds 3."]
    assert [load_frame(folder, steps[index].frame).getpixel((0, 0)) for index in (0, 3)] == [
        (0, 200, 200),
        (50, 200, 200),
    ]
    assert not any(step.reply.prompt_ids or step.reply.token_ids for step in steps), "later prompts would spell it"
    assert not (folder / "checkpoints.sqlite").exists()


def test_an_app_that_was_never_in_front_changes_nothing(tmp_path: Path) -> None:
    folder = record_apps(tmp_path / "e")
    before = read_episode(folder).steps
    assert redact(folder, apps=["com.other"]).frames == 0
    assert read_episode(folder).steps == before


def test_a_record_that_does_not_tell_its_apps_is_refused(tmp_path: Path) -> None:
    folder = record(tmp_path / "e", [10])
    before = kept(folder)
    with pytest.raises(RecordError, match="which app was in front"):
        redact(folder, apps=["com.bank"])
    assert kept(folder) == before


def test_screens_that_others_need_stay(tmp_path: Path) -> None:
    one = record(tmp_path / "one", [10, 20], tmp_path / "frames")
    two = record(tmp_path / "two", [20, 30], tmp_path / "frames")
    redact(one, regions=[(0, 0, 1000, 500)])
    assert len(list((tmp_path / "frames").iterdir())) == 2 + 2
    delete(one)
    assert not one.exists()
    assert len(list((tmp_path / "frames").iterdir())) == 2
    assert [load_frame(two, step.frame).getpixel((0, 0))[0] for step in read_episode(two).steps] == [20, 30]


def test_deleting_leaves_what_is_not_the_episodes(tmp_path: Path) -> None:
    folder = record(tmp_path / "e", [10])
    (folder / "my notes.txt").write_text("mine")
    (folder / "checkpoints.sqlite").write_bytes(b"x")
    delete(folder)
    assert [path.name for path in folder.iterdir()] == ["my notes.txt"]
    with pytest.raises(RecordError, match="holds no episode"):
        delete(folder)


def test_an_episode_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    with Recorder(tmp_path / "e", HEADER, sync=False):
        with pytest.raises(RecordError, match="another process"):
            delete(tmp_path / "e")
        with pytest.raises(RecordError, match="another process"):
            redact(tmp_path / "e", ["x"])
    assert (tmp_path / "e" / "episode.json").is_file()


def test_episodes_expire_by_their_own_days_or_by_those_given(tmp_path: Path) -> None:
    for name, days, age in (("old", 7, 8), ("young", 7, 6), ("for ever", None, 900)):
        folder = record(tmp_path / name, [10], config={"keep_days": days} if days else {})
        then = os.stat(folder / "episode.json").st_mtime - age * 86_400
        os.utime(folder / "episode.json", (then, then))
    assert [folder.name for folder in expired(tmp_path)] == ["old"]
    assert [folder.name for folder in expired(tmp_path, days=7)] == ["for ever", "old"]


def test_the_command_redacts_prunes_and_deletes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "a", [10])
    record(tmp_path / "b", [20])
    words = ["trajectory", "redact", str(tmp_path), "--text", "Bella", "--region", "0,0,1000,60", "--json"]
    assert cli.main(words) == 0
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["episodes"]) == 2
    assert "bella" not in (kept(tmp_path / "a") + kept(tmp_path / "b")).casefold()
    assert cli.main(["trajectory", "prune", str(tmp_path), "--days", "1"]) == 0
    assert len(episodes(tmp_path)) == 2
    assert cli.main(["trajectory", "delete", str(tmp_path / "a")]) == 0
    assert [folder.name for folder in episodes(tmp_path)] == ["b"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["redact", "."], "say what to redact"),
        (["redact", ".", "--region", "0,0,10"], "expected LEFT,TOP,RIGHT,BOTTOM"),
        (["redact", ".", "--region", "10,0,10,5"], "LEFT < RIGHT"),
        (["delete", "nowhere"], "no folder"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    monkeypatch.chdir(record(tmp_path / "e", [10]))
    assert cli.main(["trajectory", *words]) == 2
    assert told in capsys.readouterr().err
