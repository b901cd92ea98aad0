"""Failed episodes, done again: the first step that is not the solution's is found and shown."""

from dataclasses import replace
from pathlib import Path

from PIL import Image

from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.bench.failures import PAGE, PICTURES, first_departure, write_failures
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
