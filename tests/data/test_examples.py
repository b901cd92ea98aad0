"""A recorded episode comes back, token for token, as an example to learn."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from qwen2vl_agent.data.examples import EpisodeSource, episode_example
from qwen2vl_agent.data.loader import Loader
from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.tool_call import cut_at_stop, render_call
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.schema.actions import Done, PressKey, Tap
from qwen2vl_agent.schema.errors import ConfigError, OperatorError, RecordError
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall, tool_spec
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Reply, Step
from qwen2vl_agent.trajectory.record import Recorder
from qwen2vl_agent.trajectory.store import read_episode

TOOLS = (tool_spec(Tap), tool_spec(PressKey), tool_spec(Done))
TAP, BACK, DONE = ToolCall("tap", {"point": [1, 2]}), ToolCall("press_key", {"name": "back"}), ToolCall("done")


@pytest.fixture(scope="module")
def processor() -> Processor:
    texts = [render_call("Tap it.", TAP, "keyword"), render_call("Done.", DONE, "tool_call")]
    return Processor(train_tokenizer(texts * 5, 400), ImageProcessor(min_pixels=28 * 28, max_pixels=56 * 56))


def record(folder: Path, processor: Processor, form: str = "keyword", outcome: str = "success") -> None:
    """Three steps as an agent would record them: composed, encoded, written to by a model."""
    header = EpisodeHeader(
        task="text",
        goal="Go back.",
        device="virtual-phone",
        policy="model",
        seed=0,
        form=form,
        tools=tuple(tool.name for tool in TOOLS),
        config={"agent": {"language": "zh", "detail": "brief"}},
    )
    dialogue = Dialogue(header.goal, TOOLS, header.form, "zh", "brief")
    turns: list[Turn] = []
    with Recorder(folder, header, sync=False) as recorder:
        for index, (call, target, error) in enumerate(
            [(TAP, False, ""), (BACK, True, "no such key"), (DONE, True, "")]
        ):
            screen = Image.new("RGB", (56, 56), (index * 40, 10, 10))
            observation = Observation(screen, Frame("screenshot", 56, 56), "told" if index == 1 else "")
            prompt = processor(compose(dialogue, turns, observation)).input_ids.tolist()
            written = render_call("Now.", call, header.form)
            ids = tuple(processor.tokenizer.encode(written[:7]) + processor.tokenizer.encode(written[7:]))
            reply = Reply(cut_at_stop(written, header.form), ids, tuple(0.0 for _ in ids), tuple(prompt), target=target)
            step = Step(index, recorder.frame(screen), observation.text, reply, call, error, {}, 0.0)
            recorder.append(step)
            turns.append(Turn(screen, observation.text, reply.text, ids, error))
        recorder.finish(outcome)


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
def test_the_example_encodes_to_the_recorded_ids(form, tmp_path, processor):
    record(tmp_path, processor, form)
    encoded = processor.encode(episode_example(tmp_path).messages)
    ids, labels = encoded.inputs.input_ids.tolist(), encoded.labels
    for step in read_episode(tmp_path).steps:
        start = len(step.reply.prompt_ids)
        context = [*step.reply.prompt_ids, *step.reply.token_ids]
        assert ids[: len(context)] == context
        learnt = labels[start : len(context)] != -100
        assert bool(learnt.all()) == (step.index == 2)  # the first is no target, the second was rejected
        assert bool(learnt.any()) == (step.index == 2)
    assert int(encoded.labels[-2]) == processor.tokenizer.special.im_end
    assert encoded.inputs.pixel_values.shape == (3 * 16, 1176)


def test_the_exact_pixels_of_the_record_are_encoded(tmp_path, processor):
    record(tmp_path, processor)
    pixels = processor.encode(episode_example(tmp_path).messages).inputs.pixel_values
    for index in range(3):
        screen = Image.new("RGB", (56, 56), (index * 40, 10, 10))
        assert torch.equal(pixels[index * 16 : index * 16 + 16], processor.image_processor(screen)[0])


def test_frames_are_read_only_when_the_example_is_encoded(tmp_path, processor):
    record(tmp_path, processor)
    for frame in (tmp_path / "frames").iterdir():
        frame.unlink()
    example = episode_example(tmp_path)
    assert example.has_targets
    fresh = Processor(processor.tokenizer, processor.image_processor)  # the other one remembers the patches
    with pytest.raises(OperatorError, match="png"):
        fresh.encode(example.messages)


def test_a_source_gives_every_episode_once_an_epoch_in_another_order(tmp_path, processor):
    for number in range(6):
        record(tmp_path / f"e{number}", processor, outcome="success" if number < 5 else "failure")
    source = EpisodeSource.below(tmp_path, seed=1)
    assert len(source.folders) == 5
    orders = [[_frame_folder(source.example(epoch * 5 + place)) for place in range(5)] for epoch in range(3)]
    assert all(len(set(order)) == 5 for order in orders)
    assert orders[0] != orders[1]
    assert len(EpisodeSource.below(tmp_path, outcomes=("success", "failure")).folders) == 6


def test_an_episodes_beginning_is_learned_from_alone_and_stays_open(tmp_path, processor):
    record(tmp_path / "e", processor)
    whole = EpisodeSource.below(tmp_path)
    encoded = whole.example(0).encode(processor)
    for steps in (1, 2, 3):
        begun = replace(whole, first_steps=steps).example(0).encode(processor)
        ids = begun.inputs.input_ids
        assert torch.equal(ids, encoded.inputs.input_ids[: len(ids)])
        assert len(begun.inputs.image_grid_thw) == steps
        assert (processor.tokenizer.special.im_end in ids[-2:]) == (steps == 3)
    with pytest.raises(ValueError, match="first_steps"):
        replace(whole, first_steps=0)


def test_episodes_travel_through_worker_processes(tmp_path, processor):
    for number in range(2):
        record(tmp_path / f"e{number}", processor)
    mixture = Mixture(((EpisodeSource.below(tmp_path), 1),))
    with Loader(mixture, processor, 2000, workers=1) as apart, Loader(mixture, processor, 2000) as here:
        one, other = next(apart), next(here)
    assert torch.equal(one.inputs.input_ids, other.inputs.input_ids)
    assert torch.equal(one.inputs.pixel_values, other.inputs.pixel_values)


def test_what_cannot_be_learnt_from_is_refused(tmp_path, processor):
    with pytest.raises(ConfigError, match="no episodes"):
        EpisodeSource.below(tmp_path)
    record(tmp_path / "e", processor)
    header = json.loads((tmp_path / "e" / "episode.json").read_text("utf-8"))
    (tmp_path / "e" / "episode.json").write_text(json.dumps({**header, "tools": ["tap", "fly"]}), "utf-8")
    with pytest.raises(RecordError, match="fly"):
        episode_example(tmp_path / "e")
    header = EpisodeHeader(task="t", goal="g", device="gym", policy="noop", seed=0)
    with Recorder(tmp_path / "empty", replace(header, outcome="failure"), sync=False):
        pass
    with pytest.raises(RecordError, match="without steps"):
        episode_example(tmp_path / "empty")


def _frame_folder(example) -> Path:
    return example.folder
