"""The whole recipe in its smallest size: it ends with a model that can act, and does nothing twice."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from qwen2vl_agent.agent.settings import taught_settings
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.envs.suite import Suite
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes import tiny, tiny_acting, tiny_data
from qwen2vl_agent.recipes.tiny import ACTING, PHASES
from qwen2vl_agent.recipes.tiny_plot import PICTURE
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart
from qwen2vl_agent.training.metrics import METRICS_FILE, read_metrics
from qwen2vl_agent.trajectory.store import episodes, read_episode, read_header

# on a machine that others use too, the one fixture takes long
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

SMALLEST = {
    "pages": "1",
    "max_pixels": str(28 * 28 * 24),
    "episodes_per_task": "1",
    "corrected_per_task": "1",
    "asked_pages": "256",
    "line_pages": "256",
    "read_pages": "256",
    "scored_pages": "1",
    "scored_episodes": "1",
    **{f"{phase.name}_batch_tokens": "100" for phase in PHASES},
    "data_workers": "0",
    "harvest_workers": "1",
    "replicas": "1",
    **{f"{phase.name}_steps": "1" for phase in PHASES},
}


@pytest.fixture(scope="module", autouse=True)
def two_tasks():
    two = Suite("phone", ("settings.toggle", "launcher.open_app"), str)
    with pytest.MonkeyPatch.context() as patched:
        for module in (tiny_data, tiny_acting):
            patched.setattr(module, "get_suite", lambda _: two)
        # a model that has learned nothing writes as long as it may, at every step that it is given; whatever it wrote
        # can be neither read nor done
        patched.setattr(tiny_data, "AGENT", replace(tiny_data.AGENT, max_steps=6, mistakes_in_a_row=1))
        yield


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe") / "out"
    assert tiny.train(out=folder, overrides=SMALLEST) == folder / "tiny"
    return folder


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_it_ends_with_a_model_that_is_loaded_like_any_other(out):
    folder = out / "tiny"
    model, processor = Qwen2VL.from_pretrained(folder, dtype="float32"), Processor.from_pretrained(folder)
    inputs = processor([Message("user", (ImagePart(Image.new("RGB", (108, 240))), TextPart("Turn it on.")))])
    assert len(model.eval().generate(inputs, max_new_tokens=3).token_ids) > 0
    assert json.loads((folder / "agent_config.json").read_text("utf-8"))["detail"] == "bare"
    assert taught_settings(str(folder)).detail == "bare"


@pytest.mark.parametrize("phase", ACTING)
def test_acting_is_scored_along_the_solutions_and_in_whole_tasks(out, phase):
    scores = json.loads((out / phase / "skills.json").read_text("utf-8"))
    for kind in ("seen", "blind"):
        assert scores[kind]["solved"]["asked"] == 2
        assert scores[kind]["acted"]["asked"] >= 2


def test_every_phase_leaves_its_metrics_and_the_last_locks_the_vision_encoder(out):
    for phase in PHASES:
        (line,) = read_metrics(out / phase.name / METRICS_FILE)
        assert line["step"] == 1
        assert line["loss"] > 0
    before, after = (
        Qwen2VL.from_pretrained(out / name / "model", dtype="float32").state_dict() for name in ("know", "act")
    )
    moved = {name for name, tensor in before.items() if not tensor.equal(after[name])}
    assert moved
    assert not any(name.startswith("visual.") for name in moved)


def test_corrections_are_of_the_model_that_has_learned_to_act(out):
    folders = episodes(out / "data" / "corrections")
    assert len(folders) == 2
    for folder in folders:
        header = read_header(folder)
        assert (header.policy, header.model) == ("dagger", str(out / "act" / "model"))
        assert any(step.reply.target for step in read_episode(folder).steps)


def test_what_is_done_is_not_done_again(out):
    before = times(out)
    for resume in (False, True):
        assert tiny.train(out=out, resume=resume, overrides=SMALLEST) == out / "tiny"
    assert times(out) == before


def test_a_phase_that_is_not_finished_is_gone_on_with(out, tmp_path):
    """As if it had been killed while it wrote the model out: the checkpoint of its last step is there."""
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    shutil.rmtree(copy / "act" / "model")
    before = times(copy)
    tiny.train(out=copy, resume=True, overrides=SMALLEST)
    written = {path.relative_to(copy).parts[:2] for path, time in times(copy).items() if before.get(path) != time}
    assert ("act", "model") in written
    assert {parts[0] for parts in written} == {"act", PICTURE}
    one, other = (Qwen2VL.from_pretrained(root / "act" / "model", dtype="float32") for root in (out, copy))
    assert all(a.equal(b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
