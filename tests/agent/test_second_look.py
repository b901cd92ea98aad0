"""A second look: the model judges its last step, a doubt is told with the next screen, nothing is asked twice."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from corridor import Corridor, Says, call
from PIL import Image

from qwen2vl_agent.agent.effects import DOUBTED_TEXT
from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.loading import load
from qwen2vl_agent.agent.model_policy import ModelPolicy
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan, taught_settings
from qwen2vl_agent.agent.verify import verify_episode
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.dialogue.second_look import NO, YES, SecondLook, question, read_answer
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.trajectory.store import read_episode

ON = call("tap", '{"point": [750, 500]}', "Go on.")
DONE = call("done")
LOOKING = AgentConfig(second_look=True)


class Judges(Says):
    """Says texts, and finds the given chances of its steps, the last one for ever."""

    def __init__(self, *texts: str, chances: tuple[float | None, ...]) -> None:
        super().__init__(*texts)
        self.looks: list[SecondLook] = []
        self._chances = chances

    def effect(self, look: SecondLook) -> float | None:
        self.looks.append(look)
        return self._chances[min(len(self.looks), len(self._chances)) - 1]


def test_a_doubt_is_recorded_and_told_with_the_next_screen(tmp_path: Path) -> None:
    policy = Judges(ON, ON, ON, DONE, chances=(0.9, 0.2, None))
    trajectory = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path), LOOKING)
    assert [step.effect for step in trajectory.steps] == [0.9, 0.2, None, None]
    assert [step.events for step in trajectory.steps] == [(), ("doubted",), (), ()]
    assert [context.observation.text for context in policy.contexts] == ["", "", DOUBTED_TEXT, ""]
    assert all("second_look" in step.timings for step in trajectory.steps[:3])
    assert read_episode(tmp_path) == trajectory


def test_the_question_shows_the_screens_before_and_after_and_what_was_done(tmp_path: Path) -> None:
    policy = Judges(ON, ON, ON, DONE, chances=(1.0,))
    trajectory = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path), LOOKING)
    frames = [step.frame.sha256 for step in trajectory.steps]
    assert [(look.before.sha256, look.after.sha256) for look in policy.looks] == list(itertools.pairwise(frames))
    (message,) = question(policy.looks[0])
    text = "".join(getattr(part, "text", "") for part in message.parts)
    assert "Walk to the end." in text
    assert "Go on. tap(point=[750, 500])" in text
    assert [part.sha256 for part in message.parts if isinstance(part, ImagePart)] == frames[:2]


def test_nothing_is_asked_where_it_is_known_or_unwanted(tmp_path: Path) -> None:
    back, wait, lost = call("press_key", '{"name": "back"}'), call("wait"), "no call"
    policy = Judges(back, wait, lost, ON, ON, ON, DONE, chances=(1.0,))
    run_episode(Corridor(), policy, EpisodePlan(out=tmp_path / "on"), LOOKING)
    assert len(policy.looks) == 3, "the taps alone: one key changed nothing, and the rest shows no effect"
    usual = Judges(ON, ON, ON, DONE, chances=(0.0,))
    run_episode(Corridor(), usual, EpisodePlan(out=tmp_path / "off"))
    assert usual.looks == []


def test_a_resumed_episode_tells_the_doubt_and_asks_nothing_twice(tmp_path: Path) -> None:
    run_episode(Corridor(interrupt_at=2), Judges(ON, ON, chances=(0.9, 0.1)), EpisodePlan(out=tmp_path), LOOKING)
    policy = Judges(ON, ON, ON, DONE, chances=(0.9,))
    trajectory = run_episode(Corridor(), policy, EpisodePlan(out=tmp_path, resume="replay"))
    assert policy.contexts[0].observation.text == DOUBTED_TEXT
    assert [step.effect for step in trajectory.steps] == [0.9, 0.1, 0.9, None]
    assert len(policy.looks) == 1


def test_marks_of_the_dialogue_in_a_goal_are_harmless() -> None:
    part = ImagePart(Image.new("RGB", (28, 28)))
    (message,) = question(SecondLook(goal="{0} ✿RESULT✿", said="<tool_call>", before=part, after=part, language="zh"))
    text = "".join(getattr(part, "text", "") for part in message.parts)
    assert "{0}" in text
    assert "✿" not in text
    assert "<tool_call>" not in text


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("yes", 1.0),
        ("No.", 0.0),
        (" **Yes**, it is open.", 1.0),
        ("<think>no idea</think>\nyes", 1.0),
        ("nothing", None),
        ("I see no change", None),
        ("", None),
    ],
)
def test_an_answer_in_words_is_read(said: str, found: float | None) -> None:
    assert read_answer(said) == found


def test_a_models_own_probability_counts_and_its_conversation_stays_as_it_was(tmp_path: Path) -> None:
    model, processor = load(str(EMBEDDED))
    looks: list[tuple[SecondLook, float]] = []

    class Kept(ModelPolicy):
        def effect(self, look: SecondLook) -> float:
            looks.append((look, super().effect(look)))
            return 1.0  # a doubt would be told, and change what is said

    env = make_env("virtual-phone", size=(540, 1200))
    taught = AgentConfig.from_json({**taught_settings(str(EMBEDDED)).to_json(), "max_steps": 3})
    said = []
    for name, config in (
        ("usual", taught),
        ("twice", AgentConfig.from_json({**taught.to_json(), "second_look": True})),
    ):
        plan = EpisodePlan(out=tmp_path / name, task="settings.toggle", seed=3)
        said.append([step.reply.token_ids for step in run_episode(env, Kept(model, processor), plan, config).steps])
    assert said[0] == said[1]
    assert verify_episode(tmp_path / "twice", model, processor).equal()
    look, found = looks[0]
    with torch.inference_mode():
        chances: Any = model(processor(question(look)))[-1].softmax(-1)
    yes, no = (sum(float(chances[i]) for i in {processor.tokenizer.encode(w)[0] for w in words}) for words in (YES, NO))
    assert found == pytest.approx(yes / (yes + no), abs=1e-4)
    assert 0 < found < 1
