"""Failed episodes, done again: the first step that is not the solution's is found and shown."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.bench.failures import PAGE, PICTURES, difference, first_departure, write_failures
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import Reply, Step, StoredFrame
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


ROWS = [Element(text=name, bounds=(0, top, 100, top + 100), role="row", clickable=True) for name, top in
        (("Ann", 0), ("Bob", 100))]  # fmt: skip


def step(text: str, call: ToolCall | None, error: str = "") -> Step:
    return Step(0, StoredFrame("0" * 64, 100, 200), "", Reply(text), call, error, None, 0.0)


def tap(x: int, y: int) -> ToolCall:
    return ToolCall("tap", {"point": [x, y]})


@pytest.mark.parametrize(
    ("said", "call", "wanted", "thought", "kind"),
    [
        ('"Ann" is here: tap it.', tap(900, 400), tap(500, 250), '"Ann" is here: tap it.', ""),
        ('"Ann" is here: tap it.', tap(500, 750), tap(500, 250), '"Ann" is here: tap it.', "right name"),
        ('"Bob" is here: tap it.', tap(500, 750), tap(500, 250), '"Ann" is here: tap it.', "another name"),
        ('"Ann" is here: tap it.', tap(500, 250), ToolCall("swipe", {}), '"Ann" is not here: scroll down.', "it sees"),
        ('"Ann" is not here: scroll down.', ToolCall("swipe", {}), tap(1, 1), '"Ann" is here: tap it.', "it misses"),
        ("Done.", ToolCall("done", {}), tap(1, 1), '"Ann" is here: tap it.', "it ends too early"),
        ("", None, tap(1, 1), "", "cannot be read"),
        ("x", ToolCall("answer", {"text": "3"}), ToolCall("answer", {"text": "4"}), "y", "read wrongly"),
        ("x", ToolCall("type_text", {"text": "3"}), ToolCall("type_text", {"text": "4"}), "y", "another text"),
    ],
)
def test_what_sets_two_steps_apart(said, call, wanted, thought, kind):
    found = difference(step(said, call), wanted, thought, ROWS, Frame("device", 100, 200))
    assert kind in found
    assert bool(kind) == bool(found)
