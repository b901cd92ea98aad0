"""What parallel training needs of torch. The rest of the package asks for 2.9 or later."""

import importlib

import torch

from qwen2vl_agent.schema.errors import ConfigError

NEEDED = {
    "torch.distributed.pipelining.stage": ("_RecvInfo", "_TensorMeta", "InferenceMode"),
    "torch.distributed.fsdp.FSDPModule": ("set_force_sum_reduction_for_comms", "set_reduce_scatter_unused_params"),
}
"""Names that came with 2.13, some of them private, which a later version may lack again."""


def check_torch() -> None:
    """See that this torch has all that is needed, before anything is built on it.

    Raises:
        ConfigError: it has not.
    """
    for where, names in NEEDED.items():
        owner = _at(where)
        if missing := [name for name in names if not hasattr(owner, name)]:
            raise ConfigError(
                f"torch {torch.__version__} has no {missing[0]} in {where}; the stages' training needs torch 2.13: "
                "pip install 'torch==2.13.*'"
            )


def _at(where: str) -> object:
    """The module or class of this name; None where there is none."""
    try:
        return importlib.import_module(where)
    except ImportError:
        module, _, name = where.rpartition(".")
        return getattr(importlib.import_module(module), name, None)
