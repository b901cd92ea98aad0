"""Each stage trains its own parameters, by name, and leaves the others untouched."""

import pytest
import torch
from training_doubles import loader, small_model

from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.stages import freeze_all_but, trainable_names
from qwen2vl_agent.training.trainer import Trainer

VISION = {"visual.patch_embed", "visual.blocks"}
MERGER = {"visual.merger"}
LANGUAGE = {"language_model"}


def parts(names) -> set[str]:
    return {"language_model" if name.startswith("language_model.") else ".".join(name.split(".")[:2]) for name in names}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TrainConfig(steps=1, stage="stage1"), VISION | MERGER),
        (TrainConfig(steps=1, stage="stage1", train_merger=False), VISION),
        (TrainConfig(steps=1, stage="stage2"), VISION | MERGER | LANGUAGE),
        (TrainConfig(steps=1, stage="stage3"), LANGUAGE),
        (TrainConfig(steps=1, stage="stage3", train_merger=True), LANGUAGE | MERGER),
        (TrainConfig(steps=1, stage="stage1", trainable=("",)), VISION | MERGER | LANGUAGE),
        (TrainConfig(steps=1, trainable=("visual.merger.",)), MERGER),
    ],
)
def test_the_trainable_set_of_each_stage(config, expected):
    model = small_model()
    names = trainable_names(model, config)
    assert parts(names) == expected
    freeze_all_but(model, names)
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == names
    assert {name for name, _ in model.named_parameters() if parts([name]) <= expected} == set(names)


def test_a_prefix_that_fits_nothing_is_refused():
    with pytest.raises(ConfigError, match="visual"):
        trainable_names(small_model(), TrainConfig(steps=1, trainable=("vision.",)))


@pytest.mark.parametrize("stage", ["stage1", "stage2", "stage3"])
def test_frozen_parameters_do_not_change_and_all_others_do(stage, tmp_path):
    model = small_model()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    config = TrainConfig(stage=stage, steps=2, warmup_steps=1, dtype="float32")
    trainer = Trainer(config, model, loader(), tmp_path)
    trainer.fit()
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == set(trainer.trained)
