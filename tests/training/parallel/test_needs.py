"""A torch that lacks what parallel training is built on is refused in one line, before anything is built."""

import pytest
import torch
from torch.distributed.fsdp import FSDPModule
from torch.distributed.pipelining import stage

from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.parallel.needs import check_torch


@pytest.mark.skipif(torch.__version__ < "2.13", reason="needs torch 2.13")
def test_torch_2_13_has_all_of_it():
    check_torch()


@pytest.mark.parametrize(
    ("owner", "name"), [(stage, "InferenceMode"), (FSDPModule, "set_reduce_scatter_unused_params")]
)
def test_what_is_missing_is_named_with_the_version_that_has_it(owner, name, monkeypatch):
    monkeypatch.delattr(owner, name)
    with pytest.raises(ConfigError, match=rf"has no {name}.*needs torch 2\.13"):
        check_torch()
