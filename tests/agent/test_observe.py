"""Episodes in which the model sees videos: what is recorded is what it saw, and what is learned is that too."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from corridor import Corridor, call
from decided_model import decided_model
from PIL import Image

from qwen2vl_agent.agent.carried import pack_episode
from qwen2vl_agent.agent.endpoint_messages import messages_for
from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.model_policy import ModelPolicy, SamplingConfig
from qwen2vl_agent.agent.policy import Context
from qwen2vl_agent.agent.rounds import Rounds
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.agent.verify import verify_episode
from qwen2vl_agent.cli import main
from qwen2vl_agent.data.examples import episode_example, episode_parts
from qwen2vl_agent.dialogue.compose import Dialogue
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.tool_call import render_call
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.model.video_processor import VideoProcessor
from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.schema.observation import Clip, Observation
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import Reply, StoredFrame, Trajectory
from qwen2vl_agent.trajectory.lines import parse_step
from qwen2vl_agent.trajectory.privacy import redact
from qwen2vl_agent.trajectory.store import load_frame, read_episode

FORMS = ("keyword", "tool_call")
WORDS = [call("tap", '{"point": [758, 504]}', "Go on."), "✿RESULT✿: ✿RETURN✿: <tool_call> </tool_call>"]


class MovingCorridor(Corridor):
    """A corridor that shows a light move: three frames at each look, two after a wait at the same place."""

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self._alone = alone

    @property
    def observation(self) -> Observation:
        seen = super().observation
        if not self._alone and not self.received:
            return seen
        step = len(self.received)
        lights = [Image.new("RGB", seen.image.size, (9 * step, 60 * number, 0)) for number in range(2)]
        clip = Clip((*lights, seen.image), (-1.0, -0.48, 0.0), 2.0, self._alone, dropped=1)
        return dataclasses.replace(seen, clip=clip)


class Taken:
    """A policy whose ids are what the model really wrote, and whose words are read as a call that goes on."""

    name = "model"

    def __init__(self, policy: ModelPolicy) -> None:
        self._policy = policy

    def begin(self, seed: int | None) -> None:
        self._policy.begin(seed)

    def reply(self, context: Context) -> Reply:
        said = render_call("Hm.", ToolCall("wait", {"seconds": 1}), context.dialogue.form)
        return dataclasses.replace(self._policy.reply(context), text=said)


@pytest.fixture(scope="module")
def processor() -> Processor:
    images = ImageProcessor(min_pixels=28 * 28, max_pixels=56 * 112)
    videos = VideoProcessor(min_pixels=28 * 28, max_pixels=56 * 56, images=images)
    return Processor(train_tokenizer(WORDS * 3, 420), images, videos)


@pytest.fixture(scope="module")
def model(processor: Processor) -> Qwen2VL:
    return decided_model(processor)


def recorded(
    folder: Path, model: Any, processor: Processor, form: Any, alone: bool, **settings: Any
) -> tuple[Path, Trajectory]:
    config = AgentConfig(form=form, detail="bare", max_steps=4, mistakes_in_a_row=9, **settings)
    policy = ModelPolicy(model, processor, SamplingConfig(max_new_tokens=24, temperature=1.0))
    run_episode(MovingCorridor(alone), Taken(policy), EpisodePlan(out=folder, seed=5), config)
    return folder, read_episode(folder)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("alone", [True, False])
def test_a_record_with_videos_is_exact_and_is_learned_as_it_was_seen(
    tmp_path: Path, model: Qwen2VL, processor: Processor, form: Any, alone: bool
) -> None:
    folder, trajectory = recorded(tmp_path / "run", model, processor, form, alone)
    steps = trajectory.steps
    assert len(steps) == 4
    assert [step.clip is not None for step in steps] == [alone, True, True, True]
    clip = steps[1].clip
    assert clip is not None
    assert (clip.taken_s, clip.fps, clip.alone, clip.dropped) == ((-1.0, -0.48, 0.0), 2.0, alone, 1)
    assert load_frame(folder, clip.frames[1]).getpixel((0, 0)) == (9, 60, 0)
    assert clip.frames[-1] == steps[1].frame

    special = processor.tokenizer.special
    videos, images = (steps[-1].reply.prompt_ids.count(pad) for pad in (special.video_pad, special.image_pad))
    assert videos == (4 if alone else 3) * 2 * 2  # two pairs of frames, of two tokens each
    assert images == (0 if alone else 4 * 8)

    found = verify_episode(folder, model, processor)
    assert found.steps == 4
    assert not found.mismatches
    assert found.worst_logprob_difference < 1e-4

    encoded = episode_example(folder).encode(processor)
    last = steps[-1].reply
    assert encoded.inputs.input_ids.tolist()[: len(last.prompt_ids)] == list(last.prompt_ids)
    assert encoded.inputs.video_grid_thw.tolist() == [[2, 4, 2]] * (4 if alone else 3)


@pytest.mark.parametrize("alone", [True, False])
def test_videos_go_with_the_screens_that_are_let_go_of(
    tmp_path: Path, model: Qwen2VL, processor: Processor, alone: bool
) -> None:
    folder, trajectory = recorded(tmp_path / "run", model, processor, "keyword", alone, max_frames=2)
    shown = [step.reply.prompt_ids.count(processor.tokenizer.special.video_pad) // 4 for step in trajectory.steps]
    assert shown == ([1, 2, 1, 2] if alone else [0, 1, 1, 2])
    found = verify_episode(folder, model, processor)
    assert not found.mismatches
    assert found.worst_logprob_difference < 1e-4
    parts = episode_parts(folder, processor)
    contexts = [part.encode(processor).inputs.input_ids.tolist() for part in parts]
    for step in trajectory.steps:
        prompt = list(step.reply.prompt_ids)
        assert any(context[: len(prompt)] == prompt for context in contexts)


def test_episodes_written_together_are_those_written_alone(
    tmp_path: Path, model: Qwen2VL, processor: Processor
) -> None:
    import threading

    rounds = Rounds(model, processor)
    sampling = SamplingConfig(max_new_tokens=24, temperature=1.0)
    config = AgentConfig(detail="bare", max_steps=3, mistakes_in_a_row=9)

    def play(number: int, begun: threading.Barrier) -> None:
        with rounds.policy(sampling) as policy:
            begun.wait()
            plan = EpisodePlan(out=tmp_path / f"together-{number}", seed=number)
            run_episode(MovingCorridor(alone=True), Taken(policy), plan, config)

    begun = threading.Barrier(2)
    threads = [threading.Thread(target=play, args=(number, begun)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(2):
        plan = EpisodePlan(out=tmp_path / f"alone-{number}", seed=number)
        run_episode(MovingCorridor(alone=True), Taken(ModelPolicy(model, processor, sampling)), plan, config)
        one, other = (read_episode(tmp_path / f"{way}-{number}").steps for way in ("together", "alone"))
        assert [step.reply.token_ids for step in one] == [step.reply.token_ids for step in other]
        assert [step.clip for step in one] == [step.clip for step in other]


@pytest.mark.parametrize("taught", [False, True])
def test_a_model_that_was_taught_without_videos_is_shown_none(
    tmp_path: Path, model: Qwen2VL, processor: Processor, taught: bool
) -> None:
    settings = {**AgentConfig(detail="bare").to_json(), **({"clips": True} if taught else {})}
    stated = Processor(processor.tokenizer, processor.image_processor, processor.video_processor, settings)
    if taught:
        assert recorded(tmp_path, model, stated, "keyword", True)[1].steps[0].clip is not None
    else:
        with pytest.raises(ConfigError, match="leave out --observe"):
            recorded(tmp_path, model, stated, "keyword", True)


def test_exports_show_the_screenshots_and_count_the_videos_that_they_leave_out(
    tmp_path: Path, model: Qwen2VL, processor: Processor, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, trajectory = recorded(tmp_path / "run", model, processor, "keyword", True)
    outcome = trajectory.header.outcome
    for kind in ("swift", "atif", "lerobot"):
        out = tmp_path / kind
        assert main(["export", str(folder), "--format", kind, "--out", str(out), "--outcome", str(outcome)]) == 0
        assert "warning: 4 videos are not in the export" in " ".join(capsys.readouterr().out.split())
    row = json.loads((tmp_path / "swift" / "data.jsonl").read_text("utf-8"))
    assert len(row["images"]) == 4
    assert sum(turn["content"].count("<image>") for turn in row["messages"]) == 4


def test_a_blind_agent_sees_grey_videos(tmp_path: Path, model: Qwen2VL, processor: Processor) -> None:
    folder, trajectory = recorded(tmp_path / "run", model, processor, "keyword", True, blind=True)
    assert {frame for step in trajectory.steps for frame in step.frames} == {trajectory.steps[0].frame}
    assert load_frame(folder, trajectory.steps[0].frame).getcolors() == [(56 * 112, (128, 128, 128))]


def test_videos_are_painted_over_carried_and_damaged_like_screens(
    tmp_path: Path, model: Qwen2VL, processor: Processor
) -> None:
    folder, trajectory = recorded(tmp_path / "run", model, processor, "keyword", False)
    names = {f"{frame.sha256}.png" for step in trajectory.steps for frame in step.frames}
    assert len(names) > 4
    assert set(pack_episode(folder).frames) == names
    redact(folder, regions=[(0, 0, 1000, 500)])
    clip = read_episode(folder).steps[1].clip
    assert clip is not None
    for frame in clip.frames:
        assert load_frame(folder, frame).crop((0, 0, 56, 56)).getcolors() == [(56 * 56, (0, 0, 0))]
    assert not names & {path.name for path in (folder / "frames").iterdir()}
    for odd in ("5", '"../../secret"'):
        damaged = (folder / "steps.jsonl").read_text().replace(f'"{clip.frames[0].sha256}"', odd)
        with pytest.raises(RecordError, match="not a step"):
            parse_step(damaged.splitlines()[1].encode(), None, folder)
    (folder / "frames" / f"{clip.frames[0].sha256}.png").write_bytes(b"")
    with pytest.raises(RecordError, match="damaged"):
        verify_episode(folder, model, processor)


def test_a_model_behind_an_api_is_not_shown_less_than_it_should_see() -> None:
    env = MovingCorridor(alone=True)
    context = Context(
        dialogue=Dialogue("Go.", ()),
        actions=(),
        turns=(),
        observation=env.observation,
        frame=StoredFrame("", 56, 112),
        index=0,
    )
    with pytest.raises(ConfigError, match="screenshots only"):
        messages_for(context, "inside", lambda image: "")
