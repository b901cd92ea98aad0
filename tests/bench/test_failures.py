"""Failed episodes, done again: the first step that is not the solution's is found and shown."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.bench.failures import PAGE, PICTURES, first_departure, write_failures
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.trajectory.store import read_episode

TASKS = ("contacts.open", "settings.toggle", "notes.add")


def recorded(out: Path, noise: float) -> tuple[EpisodeResult, ...]:
    jobs = [
        Job(task=task, seed=seed, noise=noise, env_kwargs={"size": [270, 600]}) for task in TASKS for seed in range(3)
    ]
    return tuple(collect_episodes(jobs, out, 1).results)


def test_the_solution_never_parts_from_itself(tmp_path):
    assert all(first_departure(episode.folder) is None for episode in recorded(tmp_path, noise=0.0))


def test_an_episode_parts_from_the_solution_at_its_first_mistake(tmp_path):
    parted = 0
    for episode in recorded(tmp_path, noise=0.5):
        steps = read_episode(episode.folder).steps
        mistakes = [step.index for step in steps if not step.reply.target]
        departure = first_departure(episode.folder)
        if departure:
            assert departure.step.index in mistakes
            assert departure.wanted != departure.step.call
            parted += 1
    assert parted >= 3


def test_the_page_counts_the_kinds_and_shows_a_few(tmp_path):
    results = [replace(episode, outcome="failure") for episode in recorded(tmp_path, noise=0.9)]
    page = write_failures(results, tmp_path)
    text = page.read_text()
    assert page == tmp_path / PAGE
    assert f"{len(results)} episodes failed" in text
    pictures = sorted((tmp_path / PICTURES).glob("*.png"))
    assert pictures
    assert all(f"{PICTURES}/{picture.name}" in text for picture in pictures)
    with Image.open(pictures[0]) as picture:
        colours = {colour for _, colour in picture.getcolors(1 << 20)}
    assert colours & {(0x16, 0xA3, 0x4A), (0xFF, 0x2D, 0x55)}


def test_a_game_parts_from_its_solution_by_the_arguments_of_a_call(tmp_path):
    env, plan = make_env("gym"), EpisodePlan(out=tmp_path / "one", task="cards.ezpoint", seed=3, split="test")
    trajectory = run_episode(env, scripted_policy("noop"), plan, drive=drive_plainly)
    departure = first_departure(tmp_path / "one")
    assert departure is not None
    assert departure.kind == "other arguments"
    assert departure.wanted.arguments != trajectory.steps[0].call.arguments


def test_an_environment_without_a_solution_has_nothing_to_part_from(tmp_path):
    pytest.importorskip("pygame", reason="CartPole is drawn with the extra [games]")
    task = "CartPole-v1"
    env = make_env("gym", env_id=task)
    plan = EpisodePlan(out=tmp_path / "one", task=task, seed=3, notes={"job": {"env_kwargs": {"env_id": task}}})
    run_episode(env, scripted_policy("random"), plan, drive=drive_plainly)
    assert first_departure(tmp_path / "one") is None
