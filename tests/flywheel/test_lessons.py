"""Lessons of the embedded model beside a round's episodes: made ready once, learned along, and nothing else changes."""

import dataclasses
import json
import random
from pathlib import Path

import pytest
import torch

from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.scripted import OraclePolicy
from qwen2vl_agent.agent.settings import EpisodePlan, taught_settings
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.data.synthetic.drills import lines_page
from qwen2vl_agent.data.synthetic.page_store import SHARD, write_pages
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.tasks.explore import random_pages
from qwen2vl_agent.flywheel.learn import imitate
from qwen2vl_agent.flywheel.lessons import prepare_lessons
from qwen2vl_agent.flywheel.selection import Selected
from qwen2vl_agent.flywheel.settings import ImproveSettings
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes.harvest import record_page
from qwen2vl_agent.schema.errors import ConfigError

SETTINGS = ImproveSettings(
    suite="launcher", model=str(EMBEDDED), steps=3, batch_tokens=1500, workers=1, lessons_share=0.8
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The least folder of lessons: small screens and small pictures of lines."""
    folder = tmp_path_factory.mktemp("lessons")
    screens = (record_page(screen, 28 * 28 * 40) for screen in random_pages(0, (270, 600)))
    write_pages(folder / "pages", 0, screens)
    (folder / "readings").symlink_to("pages")
    write_pages(folder / "lines", 0, (lines_page(random.Random(number), 2, 2) for number in range(SHARD)))
    return folder


def test_a_round_learns_the_lessons_along(data: Path, tmp_path: Path) -> None:
    env = make_env("virtual-phone", size=(540, 1200))
    plan = EpisodePlan(out=tmp_path / "one", task="launcher.open_app", seed=3, split="train", sync=False)
    run_episode(env, OraclePolicy(), plan, taught_settings(str(EMBEDDED)), drive=drive_plainly)
    env.close()
    settings = dataclasses.replace(SETTINGS, lessons=str(data))
    lessons = prepare_lessons(settings, tmp_path / "embeds")
    assert lessons is not None
    assert sum(share for _, share in lessons.sources) == pytest.approx(1.0)
    model = imitate(settings, str(EMBEDDED), [Selected(tmp_path / "one", 1.0)], [], tmp_path / "train", lessons)
    rows = [json.loads(line) for line in (tmp_path / "train" / "metrics.jsonl").read_text("utf-8").splitlines()]
    learned = {name for row in rows for name in row.get("losses", {})}
    assert {"round", "drills", "texts"} <= learned, "episodes of the round and lessons"
    before, after = (Qwen2VL.from_pretrained(folder, dtype="float32") for folder in (EMBEDDED, model))
    seen, now = before.visual.state_dict(), after.visual.state_dict()
    assert all(torch.equal(value, now[name]) for name, value in seen.items()), "the vision encoder stays"
    assert not torch.equal(before.language_model.norm.weight, after.language_model.norm.weight)


def test_a_folder_without_lessons_is_told(tmp_path: Path) -> None:
    assert prepare_lessons(SETTINGS, tmp_path) is None, "none are asked for"
    with pytest.raises(ConfigError, match=r"no lessons.*train tiny"):
        prepare_lessons(dataclasses.replace(SETTINGS, lessons=str(tmp_path)), tmp_path / "out")
