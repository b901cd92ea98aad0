"""What is recorded is read back exactly, whatever interrupted the writing."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Reply, Step, StoredFrame
from qwen2vl_agent.trajectory.lock import RecordBusy
from qwen2vl_agent.trajectory.record import Recorder
from qwen2vl_agent.trajectory.store import episodes, frames_folder, load_frame, read_episode, read_header

HEADER = EpisodeHeader(
    task="settings.toggle",
    goal="Schalte „Größe“ ein ✿",
    device="virtual-phone",
    policy="oracle",
    seed=3,
    tools=("tap", "done"),
    config={"size": [540, 1200]},
)


def a_step(index: int, **changes: object) -> Step:
    step = Step(
        index=index,
        frame=StoredFrame("0" * 64, 4, 4),
        observation_text="",
        reply=Reply('Tap "Display".', token_ids=(5, 6), logprobs=(-0.25, -1e-9), prompt_ids=(1, 2, *[9] * 20, 3)),
        call=ToolCall("tap", {"point": [3, 4]}),
        error="",
        performed={"tap": [12, 13]},
        reward=0.0,
        timings={"policy": 0.1},
    )
    return dataclasses.replace(step, **changes)


ids = st.lists(st.integers(0, 12), max_size=30).map(tuple)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(), json_values, max_size=3)
any_text = st.text(alphabet=st.characters(codec=None, exclude_categories=()))
seconds = st.dictionaries(st.sampled_from(["capture", "policy"]), st.floats(0, 10), max_size=2)
replies = st.builds(
    Reply,
    text=any_text,
    token_ids=ids,
    logprobs=st.lists(st.floats(allow_nan=False, max_value=0), max_size=5).map(tuple),
    prompt_ids=ids,
    timings=seconds,
    tokens=st.dictionaries(st.sampled_from(["read", "cached"]), st.integers(0, 9), max_size=2),
    target=st.booleans(),
)
steps = st.builds(
    Step,
    index=st.just(0),
    frame=st.builds(
        StoredFrame, sha256=st.text("0123456789abcdef", min_size=64, max_size=64), width=st.just(5), height=st.just(7)
    ),
    observation_text=any_text,
    reply=replies,
    call=st.none() | st.builds(ToolCall, name=st.text(), arguments=objects),
    error=any_text,
    performed=st.none() | objects,
    reward=st.floats(0, 1),
    timings=seconds,
)


@given(st.lists(steps, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_episode_is_read_back_exactly(tmp_path_factory: pytest.TempPathFactory, made: list[Step]) -> None:
    folder = tmp_path_factory.mktemp("episode")
    with Recorder(folder, HEADER, sync=False) as recorder:
        for index, step in enumerate(made):
            recorder.append(dataclasses.replace(step, index=index))
        expected = recorder.finish("success", 1.0, "ok")
    assert read_episode(folder) == expected
    assert expected.header.outcome == "success"


def test_a_growing_prompt_is_kept_as_what_is_new(tmp_path: Path) -> None:
    with Recorder(tmp_path, HEADER) as recorder:
        prompt = tuple(range(100, 400))
        for index in range(3):
            reply = Reply("x", token_ids=(7, 8), logprobs=(0.0, 0.0), prompt_ids=prompt)
            recorder.append(a_step(index, reply=reply))
            prompt = (*prompt, 7, 8, 5, *[9] * 500, 3)
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert lines[1]["reply"]["prompt_ids"] == {"keep": 302, "ids": [5, [9, 500], 3]}
    assert read_episode(tmp_path).steps[2].reply.prompt_ids == (*range(100, 400), *(7, 8, 5, *[9] * 500, 3) * 2)


def test_a_torn_last_line_is_dropped_on_reading_and_cut_off_on_reopening(tmp_path: Path) -> None:
    with Recorder(tmp_path, HEADER) as recorder:
        for index in range(3):
            recorder.append(a_step(index))
    path = tmp_path / "steps.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert [step.index for step in read_episode(tmp_path).steps] == [0, 1]
    with Recorder.reopen(tmp_path) as recorder:
        recorder.append(a_step(2))
        recorder.finish("failure")
    assert path.read_bytes() == whole
    assert read_episode(tmp_path).header.outcome == "failure"


def test_a_killed_process_loses_no_step_that_it_had_appended(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_record import HEADER, a_step, Recorder
        recorder = Recorder({str(tmp_path / "episode")!r}, HEADER)
        index = 0
        while True:
            recorder.append(a_step(index))
            print(index, flush=True)
            index += 1
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(5):
        last = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    trajectory = read_episode(tmp_path / "episode")
    assert trajectory.header.outcome is None
    assert len(trajectory.steps) > last


def test_frames_are_kept_once_by_content_and_shared_between_episodes(tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (30, 50), "red"), Image.new("RGB", (30, 50), "blue")
    stored = []
    for name in ("one", "two"):
        with Recorder(tmp_path / name, HEADER, frames_dir=tmp_path / "frames") as recorder:
            stored.append([recorder.frame(image) for image in (red, blue, red)])
    assert stored[0] == stored[1]
    assert stored[0][0] == stored[0][2] != stored[0][1]
    assert len(list((tmp_path / "frames").iterdir())) == 2
    assert frames_folder(tmp_path / "one") == tmp_path / "one" / ".." / "frames"
    assert load_frame(tmp_path / "two", stored[0][1]).tobytes() == blue.tobytes()


def test_a_damaged_or_missing_frame_is_refused(tmp_path: Path) -> None:
    with Recorder(tmp_path, HEADER) as recorder:
        stored = recorder.frame(Image.new("RGB", (8, 8), "red"))
    path = tmp_path / "frames" / f"{stored.sha256}.png"
    path.write_bytes(Image.new("RGB", (8, 8), "blue").tobytes())
    with pytest.raises(RecordError, match="damaged"):
        load_frame(tmp_path, stored)
    path.unlink()
    with pytest.raises(RecordError, match="incomplete"):
        load_frame(tmp_path, stored)


def test_the_hash_depends_on_pixels_only(tmp_path: Path) -> None:
    plain = Image.new("RGB", (8, 8), "red")
    dressed = plain.copy()
    dressed.info = {"icc_profile": b"profile", "transparency": (1, 2, 3), "dpi": (72, 72)}
    recorder = Recorder(tmp_path, HEADER)
    first = recorder.frame(plain)
    recorder.close()
    with Recorder.reopen(tmp_path) as again:
        assert again.frame(dressed) == first


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    with Recorder(tmp_path, HEADER) as recorder:
        recorder.append(a_step(0))
    for name in ("episode.json", "steps.jsonl"):
        path = tmp_path / name
        old = path.read_text()
        path.write_text(old.replace('"version":1', '"version":99').replace('"version": 1', '"version": 99'))
        with pytest.raises(RecordError, match="version 99"):
            read_episode(tmp_path)
        path.write_text(old)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1}', "not json"])
def test_a_damaged_header_is_an_error_of_the_record(tmp_path: Path, content: str) -> None:
    (tmp_path / "episode.json").write_text(content)
    with pytest.raises(RecordError, match=r"episode\.json"):
        read_header(tmp_path)


def test_a_lost_line_is_noticed(tmp_path: Path) -> None:
    with Recorder(tmp_path, HEADER) as recorder:
        for index in range(3):
            recorder.append(a_step(index))
    path = tmp_path / "steps.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(RecordError, match="lines are lost"):
        read_episode(tmp_path)


def test_an_episode_is_not_begun_over_another(tmp_path: Path) -> None:
    Recorder(tmp_path, HEADER).close()
    with pytest.raises(RecordError, match="already"):
        Recorder(tmp_path, HEADER)


def test_an_episode_has_one_writer_at_a_time(tmp_path: Path) -> None:
    with Recorder(tmp_path, HEADER) as recorder:
        recorder.append(a_step(0))
        with pytest.raises(RecordBusy, match="another process"):
            Recorder.reopen(tmp_path)
        recorder.append(a_step(1))
    with Recorder.reopen(tmp_path) as recorder:
        assert len(recorder.trajectory.steps) == 2


def test_what_cannot_be_reopened_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no episode"):
        Recorder.reopen(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_episodes_are_found_below_a_root_but_not_those_set_aside(tmp_path: Path) -> None:
    for name in ("b", "a/deep", "aside/old"):
        Recorder(tmp_path / name, HEADER, frames_dir=tmp_path / "frames").close()
    assert episodes(tmp_path) == [tmp_path / "a" / "deep", tmp_path / "b"]
    assert episodes(tmp_path / "b") == [tmp_path / "b"]


def test_a_folder_without_an_episode_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no episode"):
        read_episode(tmp_path / "nothing")


@pytest.mark.skipif(os.name != "posix", reason="modes of folders are POSIX's")
@pytest.mark.parametrize("shared", [False, True], ids=["own frames", "frames of many"])
def test_other_users_of_the_machine_cannot_read_an_episode(tmp_path: Path, shared: bool) -> None:
    before = os.umask(0o022)
    try:
        with Recorder(tmp_path / "e", HEADER, tmp_path / "frames" if shared else None) as record:
            record.append(a_step(0, frame=record.frame(Image.new("RGB", (4, 4)))))
    finally:
        os.umask(before)
    kept = [tmp_path / "e", frames_folder(tmp_path / "e")]
    assert [folder.stat().st_mode & 0o077 for folder in kept] == [0, 0]
