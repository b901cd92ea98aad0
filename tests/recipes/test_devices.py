"""A recipe says at once that its device is not here."""

import pytest
import torch

from qwen2vl_agent.recipes.registry import RECIPES, get
from qwen2vl_agent.schema.errors import ConfigError


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_draws_a_picture_for_a_device_that_is_not_here(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = {"device": "cuda", **({"replicas": "1"} if recipe == "tiny" else {})}
    with pytest.raises(ConfigError, match=r"finds no GPU|built for the CPU"):
        get(recipe)(out=tmp_path / "run", resume=False, overrides=settings)
    assert not (tmp_path / "run").exists()
