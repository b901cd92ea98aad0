"""Robots' episodes as LeRobot sets: what was sent moves the robot as it was recorded, at the robot's own rate."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.data import lerobot
from qwen2vl_agent.data.exports.formats import export
from qwen2vl_agent.data.readers.formats import reader
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.model.video_file import open_video_at
from qwen2vl_agent.trajectory.store import read_episode

STEPS, RATE = 6, 25


class Arm(gymnasium.Env):
    """A hand that is moved in a plane; its height is what the picture shows.

    ## Action Space

    | Num | Action | Min | Max | Name |
    |-----|--------|-----|-----|------|
    | 0   | along  | -1  | 1   | dx   |
    | 1   | up     | -1  | 1   | dz   |
    """

    metadata = {"render_modes": [], "render_fps": RATE}  # noqa: RUF012

    def __init__(self, joints=2):
        self.action_space = spaces.Box(-1, 1, (joints,), np.float32)
        self.observation_space = spaces.Dict(
            {"image": spaces.Box(0, 255, (112, 112, 3), np.uint8), "hand": spaces.Box(-9, 9, (joints,), np.float32)}
        )

    def _seen(self):
        shade = int(np.clip(128 + 60 * self.hand[-1], 0, 255))
        return {"image": np.full((112, 112, 3), shade, np.uint8), "hand": self.hand}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.hand = self.np_random.uniform(-1, 1, self.action_space.shape).astype(np.float32)
        return self._seen(), {}

    def step(self, action):
        assert action.dtype == np.float32
        self.hand = np.clip(self.hand + action / 4, -9, 9).astype(np.float32)
        return self._seen(), 0.0, False, False, {}


@pytest.fixture(scope="module", autouse=True)
def arms():
    for name, joints in (("Arm-v0", 2), ("ThreeArm-v0", 3)):
        gymnasium.register(f"tests/{name}", entry_point=Arm, kwargs={"joints": joints})
    yield
    for name in ("tests/Arm-v0", "tests/ThreeArm-v0"):
        del gymnasium.registry[name]


def recorded(folder, env_id="tests/Arm-v0", seed=3, **options):
    env = make_env("gym", env_id=env_id, max_steps=STEPS, **options)
    run_episode(env, scripted_policy("random"), EpisodePlan(out=folder, seed=seed), drive=drive_plainly)
    env.close()
    return folder


def exported(out, folders):
    export(folders, "lerobot", out)
    info = json.loads((out / "meta" / "info.json").read_text("utf-8"))
    return info, [record for record, _ in lerobot.episodes(out, 0, len(folders))]


@pytest.mark.parametrize("repeat", [1, 2])
def test_actions_sent_again_lead_to_the_recorded_measurements(repeat, tmp_path):
    folders = [recorded(tmp_path / str(seed), seed=seed, action_repeat=repeat) for seed in (1, 2)]
    info, episodes = exported(tmp_path / "out", folders)
    assert (info["fps"], info["robot_type"]) == (RATE / repeat, "gym")
    assert info["features"]["action"]["names"] == ["dx", "dz"]
    assert info["features"]["observation.state"]["names"] == ["hand.0", "hand.1"]
    for seed, episode in zip((1, 2), episodes, strict=True):
        arm = Arm()
        arm.reset(seed=seed)
        assert len(episode["rows"]) == STEPS
        for number, row in enumerate(episode["rows"]):
            assert np.array_equal(np.float32(row["observation.state"]), arm.hand)
            assert row["timestamp"] == pytest.approx(number * repeat / RATE)
            for _ in range(repeat):
                arm.step(np.float32(row["action"]))


def test_the_film_shows_each_step_at_its_time(tmp_path):
    folders = [recorded(tmp_path / str(seed), seed=seed) for seed in (1, 2)]
    _, episodes = exported(tmp_path / "out", folders)
    for episode in episodes:
        ((film, begin),) = episode["videos"].values()
        times = [begin + row["timestamp"] for row in episode["rows"]]
        for picture, row in zip(open_video_at(film, times).pictures(), episode["rows"], strict=True):
            expected = int(np.clip(128 + 60 * np.float32(row["observation.state"][-1]), 0, 255))
            assert np.asarray(picture).mean() == pytest.approx(expected, abs=4)
    example = reader("lerobot")(episodes[0], MediaRoot(), "again")
    assert json.loads(example.messages[1].parts[0].text).keys() == {"dx", "dz"}


def test_calls_that_were_refused_are_no_frames_and_a_short_last_step_changes_no_rate(tmp_path):
    folder = recorded(tmp_path / "a", action_repeat=2)
    lines = [json.loads(line) for line in (folder / "steps.jsonl").read_text("utf-8").splitlines()]
    lines[2] |= {"performed": None, "error": "no such function"}
    lines[-1]["performed"] |= {"times": 1, "lasted_s": 1 / RATE}
    (folder / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    info, (episode,) = exported(tmp_path / "out", [folder])
    assert info["fps"] == RATE / 2
    kept = [step.numbers["hand"] for step in read_episode(folder).steps if step.performed]
    assert [row["observation.state"] for row in episode["rows"]] == [pytest.approx(hand) for hand in kept]
    assert [row["next.done"] for row in episode["rows"]] == [False] * (STEPS - 2) + [True]


def test_robots_that_differ_share_a_set_by_their_calls(tmp_path):
    folders = [recorded(tmp_path / "a"), recorded(tmp_path / "b", "tests/ThreeArm-v0")]
    info, (_, other) = exported(tmp_path / "out", folders)
    assert (info["fps"], info["robot_type"]) == (1, "screen")
    assert info["features"]["action"]["names"][0] == "function"
    assert "observation.state" not in info["features"]
    assert len(other["rows"]) == STEPS


def test_measurements_are_recorded_and_told_only_when_asked(tmp_path):
    plain, told = recorded(tmp_path / "a"), recorded(tmp_path / "b", tell_numbers=True)
    quiet, loud = (read_episode(folder).steps[0] for folder in (plain, told))
    assert quiet.numbers == loud.numbers
    assert (quiet.observation_text, loud.observation_text[:5]) == ("", "hand:")
