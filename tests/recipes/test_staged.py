"""The recipes of the three stages: what they take, what they refuse, and a run from files to a model."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from qwen2vl_agent.cli import main
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes import registry
from qwen2vl_agent.recipes.staged import plan_stage
from qwen2vl_agent.recipes.stages import STAGE_RECIPES, with_overrides
from qwen2vl_agent.schema.errors import ConfigError


def test_stages_differ_in_what_trains_and_what_is_predicted():
    recipes = list(STAGE_RECIPES.values())
    assert [recipe.stage for recipe in recipes] == ["stage1", "stage2", "stage3", "stage3"]
    assert list(STAGE_RECIPES) == ["stage1", "stage2", "stage3", "lora"]
    assert [recipe.targets for recipe in recipes] == ["text", "text", "assistant", "assistant"]
    assert [recipe.train_config().train_merger for recipe in recipes] == [True, True, None, None]
    assert [recipe.token_budget for recipe in recipes[:2]] == [600e9, 800e9]
    assert all(registry.get(name) for name in STAGE_RECIPES)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"size": "3b"}, "no size '3b'"),
        ({"recompute": "some"}, "recompute"),
        ({"dtype": "int8"}, "dtype"),
        ({"stage": "stage2"}, "no field 'stage'"),
        ({"lr": "fast"}, "expected float"),
        ({"train_merger": "1"}, "true or false"),
        ({"lora_rank": "8"}, "for stage3"),
        ({"tp": "0"}, "--tp is 0"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_in_one_line(overrides, said):
    with pytest.raises(ConfigError, match=said):
        _ = with_overrides(STAGE_RECIPES["stage1"], overrides).layout


def test_fields_are_read_as_their_types():
    recipe = with_overrides(STAGE_RECIPES["stage3"], {"tp": "2", "lora_rank": "8", "lr": "1e-4", "first_layers": "3"})
    assert (recipe.tp, recipe.lora_rank, recipe.lr) == (2, 8, 1e-4)
    assert recipe.layout.first_layers == 3


def test_what_is_missing_is_asked_for(tmp_path, capsys):
    assert main(["train", "stage2", "--out", str(tmp_path)]) == 2
    assert "give --data" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="are not the 7 processes"):
        plan_stage(STAGE_RECIPES["stage2"], 7, {"size": "72b"})


@pytest.mark.slow
def test_a_stage_trains_on_conversations_in_a_file(tmp_path):
    lines = []
    for number, colour in enumerate(("red", "green", "blue", "grey")):
        Image.new("RGB", (56 + 28 * number, 56), colour).save(tmp_path / f"{number}.png")
        asked = [{"type": "image", "image": f"{number}.png"}, {"type": "text", "text": "which colour?"}]
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": colour}]
        lines.append(json.dumps({"messages": turns}))
    (tmp_path / "colours.jsonl").write_text("\n".join(lines), "utf-8")
    settings = {"steps": 2, "rows_per_step": 2, "batch_tokens": 120, "checkpoint_every_steps": 1}
    command = [sys.executable, "-m", "qwen2vl_agent", "train", "stage1", "--data", str(tmp_path / "colours.jsonl")]
    command += [
        "--out",
        str(tmp_path / "run"),
        "--json",
        *(w for k, v in settings.items() for w in ("--set", f"{k}={v}")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert Qwen2VL.from_pretrained(told["model"]).config.text.num_hidden_layers == 5
    job = json.loads((tmp_path / "run" / "checkpoints" / "step-00000002" / "job.json").read_text("utf-8"))
    assert all(name.startswith("visual.") for name in job["trained"])
    again = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert again.returncode == 2
    assert "holds a run already" in again.stderr
