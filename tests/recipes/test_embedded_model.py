"""The model that comes with the package: its size, its heads for seeing, and that it acts on the virtual phone."""

import pytest
import torch

from qwen2vl_agent import Agent, Processor, Qwen2VL, make_env
from qwen2vl_agent.agent.settings import taught_settings
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.recipes.tiny_skills import measure

MEGABYTES = 12


@pytest.fixture(scope="module")
def embedded() -> tuple[Qwen2VL, Processor]:
    torch.set_num_threads(1)
    return Qwen2VL.from_pretrained(EMBEDDED).eval(), Processor.from_pretrained(EMBEDDED)


def test_its_weights_fit_in_twelve_megabytes():
    assert 0 < sum(path.stat().st_size for path in EMBEDDED.glob("*.safetensors")) <= MEGABYTES * 10**6


def test_it_knows_the_dialogue_that_it_was_taught():
    assert taught_settings(str(EMBEDDED)).detail == "bare"


@pytest.mark.slow
def test_it_finds_on_screens_it_never_saw_what_it_cannot_find_on_grey_ones(embedded):
    seen, blind = (measure(*embedded, seed=31, pages=12, blind=grey) for grey in (False, True))
    assert seen.found.share > 0.6
    assert seen.found.share > 3 * blind.found.share


@pytest.mark.slow
def test_it_opens_apps_on_phones_it_never_saw(embedded, tmp_path):
    agent = Agent(*embedded)
    phones = ((seed, make_env("virtual-phone", seed=seed)) for seed in range(50, 54))
    ended = [agent.run(env, task="launcher.open_app", out=tmp_path / str(seed)) for seed, env in phones]
    assert sum(trajectory.header.outcome == "success" for trajectory in ended) >= 2
