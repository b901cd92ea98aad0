"""A recorded episode is done again as long as the screens are those of the record."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from corridor import Corridor, Says, call
from PIL import Image, ImageDraw

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.likeness import likeness
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.replaying import Diverged, ReplayPolicy
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.trajectory.store import load_frame, read_episode

TASK = "clock.add_alarm"


def phone_run(out: Path, policy: Any, seed: int = 3, **options: Any) -> Any:
    env = make_env("virtual-phone", seed=seed, size=options.pop("size", (540, 1200)))
    return run_episode(env, policy, EpisodePlan(out=out, task=TASK, seed=seed, **options), drive=drive_plainly)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    assert phone_run(folder, scripted_policy("oracle")).header.outcome == "success"
    return folder


def replaying(folder: Path, then: Any = None) -> ReplayPolicy:
    return ReplayPolicy(read_episode(folder), functools.partial(load_frame, folder), then)


def test_the_same_phone_is_led_to_the_same_end(recorded: Path, tmp_path: Path) -> None:
    policy = replaying(recorded)
    trajectory = phone_run(tmp_path, policy)
    assert trajectory.header.outcome == "success"
    assert [step.call for step in trajectory.steps] == [step.call for step in read_episode(recorded).steps]
    assert [(found.distance, round(found.structure, 3)) for found in policy.found] == [(0, 1.0)] * len(policy.found)


def test_a_phone_of_another_size_is_too(recorded: Path, tmp_path: Path) -> None:
    policy = replaying(recorded)
    assert phone_run(tmp_path, policy, size=(1080, 2400)).header.outcome == "success"
    assert max(found.distance for found in policy.found) > 0 or min(f.structure for f in policy.found) < 1


def test_another_phone_gets_none_of_the_actions(recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="step 0 shows another screen"):
        phone_run(tmp_path, replaying(recorded), seed=4)
    assert read_episode(tmp_path).steps == []
    assert read_episode(tmp_path).header.outcome == "error"


def test_a_dialog_on_top_is_noticed_where_it_comes_up(recorded: Path, tmp_path: Path) -> None:
    env = make_env("virtual-phone", seed=3, size=(540, 1200))
    take, looks = env.device.screenshot, []

    def screenshot() -> Image.Image:
        looks.append(1)
        image = take().copy()
        if len(looks) > 2:
            ImageDraw.Draw(image).rounded_rectangle((60, 400, 480, 800), 30, fill="white", outline="black", width=4)
        return image

    env.device.screenshot = screenshot
    with pytest.raises(Diverged, match="step 2"):
        run_episode(env, replaying(recorded), EpisodePlan(out=tmp_path, task=TASK, seed=3), drive=drive_plainly)
    assert len(read_episode(tmp_path).steps) == 2


def test_after_a_divergence_another_policy_may_go_on(recorded: Path, tmp_path: Path) -> None:
    policy = replaying(recorded, scripted_policy("oracle"))
    trajectory = phone_run(tmp_path, policy, seed=4)
    assert "step 0" in policy.diverged
    assert trajectory.header.outcome == "success"


def test_what_was_not_done_is_not_done_again(tmp_path: Path) -> None:
    on = call("tap", '{"point": [750, 500]}')
    said = Says("What?", call("type_text", '{"text": "x"}'), on, on, on, call("done"))
    run_episode(Corridor(), said, EpisodePlan(out=tmp_path / "one"))
    env = Corridor()
    trajectory = run_episode(env, replaying(tmp_path / "one"), EpisodePlan(out=tmp_path / "two"))
    assert [type(action).__name__ for action in env.received] == ["Tap", "Tap", "Tap", "Done"]
    assert trajectory.header.outcome == "success"


def test_a_record_that_was_cut_off_ends_the_replay(tmp_path: Path) -> None:
    run_episode(Corridor(interrupt_at=2), scripted_policy("oracle"), EpisodePlan(out=tmp_path / "one"))
    trajectory = run_episode(Corridor(), replaying(tmp_path / "one"), EpisodePlan(out=tmp_path / "two"))
    assert (trajectory.header.outcome, trajectory.header.message) == ("failure", "the record ends here")
    assert len(trajectory.steps) == 3


def test_likeness_forgives_size_and_clock_and_nothing_else() -> None:
    page = Image.new("RGB", (540, 1200), "white")
    brush = ImageDraw.Draw(page)
    for row in range(8):
        brush.rectangle((40, 100 + 130 * row, 300 + 20 * row, 150 + 130 * row), fill="black")
    assert likeness(page, page.resize((1080, 2400))).same()
    ticked = page.copy()
    ticked.paste("black", (10, 10, 120, 40))
    assert likeness(page, ticked).distance == 0
    assert not likeness(page, page.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).same()
    assert not likeness(page, page.rotate(90, expand=True)).same()
    assert not likeness(page, Image.new("RGB", (540, 1200), "white")).same()


def test_the_command_says_what_it_compared_and_where_it_stopped(
    recorded: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    import contextlib

    from qwen2vl_agent import cli
    from qwen2vl_agent.commands import phones
    from qwen2vl_agent.commands.devices import AtHand

    @contextlib.contextmanager
    def at_hand(wish: Any) -> Any:
        yield AtHand(make_env("virtual-phone", seed=wish.seed, size=(540, 1200)), "the phone of the test")

    monkeypatch.setattr(phones, "phone_at_hand", at_hand)
    assert cli.main(["replay", str(recorded), "--out", str(tmp_path / "a"), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out.splitlines()[-1])["outcome"] == "success"
    assert "all as recorded" in shown.err
    assert cli.main(["replay", str(recorded), "--seed", "4", "--out", str(tmp_path / "b")]) == 2
    assert "step 0 shows another screen" in capsys.readouterr().err
