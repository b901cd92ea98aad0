"""The plan of a large job, made by the code that a job runs."""

import json
import subprocess
import sys

import pytest

from qwen2vl_agent.cli import main
from qwen2vl_agent.model.config import preset
from qwen2vl_agent.recipes.staged import plan_stage
from qwen2vl_agent.recipes.stages import STAGE_RECIPES
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.parallel.layout import Layout, stage_layers

WATCHED = """
import resource, sys
from qwen2vl_agent.cli import main
status = main(["train", "stage2", "--size", "72b", "--dry-run", "512", "--json"])
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
sys.exit(status)
"""


def test_72b_on_512_processes_takes_little_memory_and_time_and_adds_up():
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told, usage = done.stdout.strip().splitlines()[-2:]
    kilobytes, seconds = map(float, usage.split())
    stages = json.loads(told)["stages"]
    assert kilobytes < 4_000_000
    assert seconds < 30  # of the processor, as other programs change little of it
    assert sum(stage["parameters"] for stage in stages) == pytest.approx(73.4e9, rel=1e-3)
    assert sum(stage["layers"] for stage in stages) == 80
    assert [stage["has_vision"] for stage in stages] == [True] + [False] * 7
    assert [stage["has_head"] for stage in stages] == [False] * 7 + [True]
    middle = stages[3]
    sharded = middle["parameters"] - middle["shared_parameters"]
    assert middle["own_parameters"] == sharded // 8 + middle["shared_parameters"]
    assert middle["optimizer_gib"] == pytest.approx(12 * middle["own_parameters"] / 8 / 2**30, rel=1e-3)
    assert 60e6 < stages[0]["shared_parameters"] < 80e6  # the merger, mostly


def test_the_layout_must_make_up_the_processes(capsys):
    assert main(["train", "stage2", "--size", "72b", "--tp", "8", "--pp", "8", "--dry-run", "100"]) == 2
    assert "are not the 100 processes" in capsys.readouterr().err
    assert main(["train", "tiny", "--dry-run", "2"]) == 2
    assert "has no --dry-run" in capsys.readouterr().err


def test_first_stage_has_few_layers_and_the_rest_is_even():
    stages = [len(layers) for layers in stage_layers(preset("72b"), Layout(pp=8))]
    assert sum(stages) == 80
    assert stages[0] < min(stages[1:])
    assert max(stages[1:]) - min(stages[1:]) <= 1
    by_hand = [len(layers) for layers in stage_layers(preset("72b"), Layout(pp=4, first_layers=5))]
    assert by_hand == [5, 25, 25, 25]
    assert [len(layers) for layers in stage_layers(preset("tiny"), Layout(pp=5))] == [0, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("layout", "said"), [(Layout(tp=3), "--tp 3"), (Layout(pp=81), "--pp 81"), (Layout(tp=16), "key and value heads")]
)
def test_what_does_not_divide_is_refused(layout, said):
    with pytest.raises(ConfigError, match=said):
        layout.check(preset("72b"))


def test_a_plan_with_lora_trains_the_thin_matrices_only():
    whole = plan_stage(STAGE_RECIPES["stage3"], 4, {"size": "7b"})
    thin = plan_stage(STAGE_RECIPES["stage3"], 4, {"size": "7b", "lora_rank": "16"})
    widths = {"q": (3584, 3584), "k": (3584, 512), "v": (3584, 512), "o": (3584, 3584)}
    widths |= {"gate": (3584, 18944), "up": (3584, 18944), "down": (18944, 3584)}
    assert sum(stage.trained_parameters for stage in thin) == 28 * 16 * sum(map(sum, widths.values()))
    assert thin[0].total_gib < whole[0].total_gib
