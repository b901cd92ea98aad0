"""Records that earlier programs wrote (`older/`, each by the code of its time), read by today's."""

import json
import shutil
from pathlib import Path

import pytest

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import TRAJECTORY_VERSION
from qwen2vl_agent.trajectory.record import Recorder
from qwen2vl_agent.trajectory.store import load_frame, read_episode

OLDER = Path(__file__).parent / "older"
ALL = sorted(path.name for path in OLDER.iterdir())
ADDED = {
    "1.1": {"tokens": {"cached": 4, "read": 8, "written": 3}},
    "1.2": {"sampling_logprobs": (-0.5, 0.0, -0.125), "forced": (False, True, False), "confidence": 0.75, "passes": 2},
}
"""Fields of a reply that came with a version; those of 1.2 began without 1.1's, on another line of work."""


def test_every_version_of_the_page_is_kept_here():
    told = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
    assert [f"`{TRAJECTORY_VERSION}.{minor}`" in told for minor in range(len(ALL))] == [True] * len(ALL)
    assert f"{TRAJECTORY_VERSION}.{len(ALL) - 1}" == ALL[-1]


@pytest.mark.parametrize("version", ALL)
def test_an_older_record_is_read_whole(version):
    episode = read_episode(OLDER / version)
    assert (episode.header.goal, episode.header.outcome, episode.header.tools) == (
        "Turn Wi-Fi on",
        "success",
        ("tap", "done"),
    )
    assert [step.call for step in episode.steps] == [
        ToolCall("tap", {"point": [0, 20]}),
        ToolCall("tap", {"point": [10, 20]}),
        None,
    ]
    prompts = [len(step.reply.prompt_ids) for step in episode.steps]
    assert prompts == [12, 17, 22]
    assert episode.steps[2].reply.prompt_ids[-5:] == (7, 8, 10, 51, 52)
    assert [step.reply.logprobs for step in episode.steps] == [(-0.5, -0.25, -0.125)] * 3
    assert load_frame(OLDER / version, episode.steps[1].frame).getpixel((0, 0)) == (40, 90, 20)


@pytest.mark.parametrize("version", ALL)
def test_what_a_version_did_not_have_yet_has_its_default(version):
    step = read_episode(OLDER / version).steps[1]
    has_consent, has_effect = version >= "1.3", version >= "1.4"
    assert (step.by, step.events) == (("person", ("unchanged",)) if has_consent else ("policy", ()))
    assert (step.app, step.effect) == (("com.android.settings", 0.875) if has_effect else ("", None))
    for name, value in ADDED["1.2"].items():
        assert bool(getattr(step.reply, name)) == (version >= "1.2")
        assert version < "1.2" or getattr(step.reply, name) == value
    assert (step.reply.tokens == ADDED["1.1"]["tokens"]) == (version not in ("1.0", "1.2"))


@pytest.mark.parametrize("version", ALL)
def test_an_older_record_is_gone_on_with(version, tmp_path):
    folder = Path(shutil.copytree(OLDER / version, tmp_path / "e"))
    before = read_episode(folder).steps
    with Recorder.reopen(folder) as record:
        frame = record.frame(load_frame(folder, before[0].frame))
        record.append(type(before[0])(3, frame, "", before[0].reply, None, "x", None, 0.0))
    assert read_episode(folder).steps[:3] == before


def changed(folder: Path, change) -> Path:
    """The last step's line after `change`."""
    path = folder / "steps.jsonl"
    lines = path.read_text("utf-8").splitlines()
    values = json.loads(lines[-1])
    change(values)
    path.write_text("\n".join([*lines[:-1], json.dumps(values)]) + "\n", "utf-8")
    return folder


def test_fields_of_a_newer_minor_version_are_left_out(tmp_path):
    folder = Path(shutil.copytree(OLDER / ALL[-1], tmp_path / "e"))
    whole = read_episode(folder)
    changed(folder, lambda values: (values.update(mood="good"), values["reply"].update(tone="calm")))
    assert read_episode(folder).steps == whole.steps


def test_a_newer_major_version_is_refused_with_advice(tmp_path):
    folder = Path(shutil.copytree(OLDER / ALL[-1], tmp_path / "e"))
    changed(folder, lambda values: values.update(version=TRAJECTORY_VERSION + 1))
    with pytest.raises(RecordError, match=rf"version {TRAJECTORY_VERSION + 1}.*upgrade qwen2vl-agent"):
        read_episode(folder)
