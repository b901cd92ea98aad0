"""Tensor and sequence parallelism: vision encoder and language model sharded together, from outside.

A module gets another class, of which everything stays but where its weights come from: stored as DTensors over the
tensor-parallel processes, used as this process's plain part. Patch embedding and merger are the same on every process
and cost no message: their gradients are equal but for rounding (`reduction.py`). Vision encoder and vocabulary stay
whole where their heads or words do not divide.
Norms and residuals hold each process's own tokens or patches only (sequence parallelism), so that the gradients of
norms, and of biases that are added there, are summands; `Stage.partial` names them, to be summed once a step.

Source: Qwen2-VL technical report §2.3; Megatron-LM, arXiv 1909.08053 and 2205.05198.
"""

import math
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard

from qwen2vl_agent.model.layers import Rotary
from qwen2vl_agent.training.parallel import collectives, vocabulary
from qwen2vl_agent.training.parallel.activation_checkpoint import computed_again
from qwen2vl_agent.training.parallel.lora import THIN, LoraLinear
from qwen2vl_agent.training.parallel.stage import Stage


class Local:
    """A module that, while it computes, sees only this process's part of its DTensor weights."""

    computing = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.computing = True
        try:
            return super().__call__(*args, **kwargs)  # type: ignore[misc]
        finally:
            self.computing = False

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)  # type: ignore[misc]
        if self.computing and isinstance(value, DTensor):
            return value.to_local(grad_placements=value.placements)
        return value


class RowLinear(Local, nn.Linear):
    """A product of which each process has some columns of the weight; the summands are summed before the bias."""

    add_up: Any

    def forward(self, x: Tensor) -> Tensor:
        with computed_again():
            out = self.summand(x)
        out = self.add_up(out)
        return out if self.bias is None else out + self.bias

    def summand(self, x: Tensor) -> Tensor:
        """What this process's columns give."""
        return F.linear(x, self.weight)


class RowLoraLinear(RowLinear, LoraLinear):
    """The same with thin matrices beside it: of A, too, each process has some columns."""

    def summand(self, x: Tensor) -> Tensor:
        return super().summand(x) + self.beside(x)


class VocabularyEmbedding(Local, nn.Embedding):
    """An embedding of which each process has a stretch of the vocabulary."""

    group: Any

    def forward(self, ids: Tensor) -> Tensor:
        return vocabulary.embed_ids(ids, self.weight, self.group)


def apply_tensor_parallel(stage: Stage, mesh: DeviceMesh) -> None:
    """Shard a stage over `mesh` (one dimension). The weights may be on the meta device."""
    stage.group = mesh.get_group()
    stage.cut_vision = stage.visual is not None and stage.config.vision.num_heads % mesh.size() == 0
    if stage.cut_vision:
        _vision_encoder(stage.visual, mesh)
    for layer in stage.language_model.layers.values():
        _decoder_layer(layer, mesh)
    stage.cut_vocabulary = stage.config.text.vocab_size % mesh.size() == 0
    if stage.cut_vocabulary:
        _vocabulary(stage, mesh)
    for module in stage.modules():
        _replicate_rest(module, mesh)
    if stage.lm_head is not None and stage.config.tie_word_embeddings:
        stage.lm_head.weight = stage.language_model.embed_tokens._parameters["weight"]
    stage.partial = {name for name, _ in stage.named_parameters() if _is_partial(stage, name)}


def _is_partial(stage: Stage, name: str) -> bool:
    """Whether each process finds a summand of the gradient: it saw its own tokens, or its own part of a product."""
    owner, _, own_name = name.rpartition(".")
    row = isinstance(stage.get_submodule(owner), RowLinear)
    if own_name in THIN:
        return own_name == ("lora_b" if row else "lora_a")
    if row and own_name == "bias":
        return True
    own_tokens = stage.cut_vision or name.startswith("language_model.")
    return own_tokens and "norm" in owner.rsplit(".", 1)[-1]


def _vocabulary(stage: Stage, mesh: DeviceMesh) -> None:
    embedding, head = stage.language_model.embed_tokens, stage.lm_head
    if embedding is not None:
        _shard(embedding, mesh, weight=0)
        _become(embedding, VocabularyEmbedding)
        embedding.group = mesh.get_group()
    if head is not None and not stage.config.tie_word_embeddings:
        _columns(head, mesh)
    elif head is not None:
        _become(head, _local(type(head)))


def _vision_encoder(visual: Any, mesh: DeviceMesh) -> None:
    """Between patch embedding and merger each process holds its own patches.

    Their number is made a multiple of the processes' and of a merge group by rows of zeros, which attention never sees
    and whose tokens are dropped behind the merger. Worked example, 8 processes: 20 patches, 24 rows, 3 on each; 6
    tokens, of which 5 go on.
    """
    group = mesh.get_group()
    merged = visual.config.spatial_merge_size**2
    rows = math.lcm(mesh.size(), merged)
    visual.patch_embed.register_forward_hook(
        lambda _, args, out: collectives.split(collectives.filled(out, rows), group)
    )
    for block in visual.blocks:
        _vision_block(block, mesh, rows)
    visual.merger.register_forward_pre_hook(lambda _, args: collectives.unite(args[0], group))
    visual.register_forward_hook(lambda _, args, out: collectives.cut(out, len(args[0]) // merged))


def _vision_block(block: Any, mesh: DeviceMesh, rows: int) -> None:
    group = mesh.get_group()
    block.attn.num_heads //= mesh.size()
    block.attn.register_forward_pre_hook(lambda _, args: (_all_patches(args[0], args[1], group), *args[1:]))
    block.mlp.register_forward_pre_hook(lambda _, args: collectives.gather(args[0], group))
    _columns(block.attn.qkv, mesh)
    _rows(block.attn.proj, mesh, lambda x: collectives.scatter_sum(collectives.filled(x, rows), group))
    _columns(block.mlp.fc1, mesh)
    _rows(block.mlp.fc2, mesh, lambda x: collectives.scatter_sum(x, group))


def _all_patches(x_PD: Tensor, rotary: Rotary, group: Any) -> Tensor:
    """Those that there are: as many as have places."""
    return collectives.cut(collectives.gather(x_PD, group), rotary.cos.shape[1])


def _decoder_layer(layer: Any, mesh: DeviceMesh) -> None:
    group = mesh.get_group()
    for part in (layer.self_attn, layer.mlp):
        part.register_forward_pre_hook(lambda _, args: (collectives.gather(args[0], group), *args[1:]))
    for name in ("q_proj", "k_proj", "v_proj"):
        _columns(getattr(layer.self_attn, name), mesh)
    _rows(layer.self_attn.o_proj, mesh, lambda x: collectives.scatter_sum(x, group))
    for name in ("gate_proj", "up_proj"):
        _columns(getattr(layer.mlp, name), mesh)
    _rows(layer.mlp.down_proj, mesh, lambda x: collectives.scatter_sum(x, group))


def _columns(linear: nn.Module, mesh: DeviceMesh) -> None:
    _shard(linear, mesh, weight=0, bias=0, lora_b=0)
    _become(linear, _local(type(linear)))


def _rows(linear: nn.Module, mesh: DeviceMesh, add_up: Any) -> None:
    _shard(linear, mesh, weight=1, lora_a=1)
    _become(linear, RowLoraLinear if isinstance(linear, LoraLinear) else RowLinear)
    linear.add_up = add_up


def _shard(module: nn.Module, mesh: DeviceMesh, **dims: int) -> None:
    """Keep this process's part of each named parameter, cut along its dimension."""
    for name, dim in dims.items():
        whole = module._parameters.get(name)
        if whole is not None:
            part = whole.detach().chunk(mesh.size(), dim)[mesh.get_local_rank()].clone()
            _put(module, name, DTensor.from_local(part, mesh, [Shard(dim)], run_check=False))


def _replicate_rest(module: nn.Module, mesh: DeviceMesh) -> None:
    """Make DTensors of what is not sharded, so that optimizer, clipping and checkpoints meet one kind of parameter."""
    plain = {name: p for name, p in module._parameters.items() if p is not None and not isinstance(p, DTensor)}
    for name, parameter in plain.items():
        _put(module, name, DTensor.from_local(parameter.detach(), mesh, [Replicate()], run_check=False))
    if plain and not isinstance(module, Local):
        _become(module, _local(type(module)))


def _put(module: nn.Module, name: str, tensor: DTensor) -> None:
    module._parameters[name] = nn.Parameter(tensor)


def _become(module: nn.Module, kind: type) -> None:
    module.__class__ = kind


def _local(kind: type) -> type:
    """The class of a module that computes so; one for each kind."""
    return _local_kinds.setdefault(kind, _made_local(kind))


_local_kinds: dict[type, type] = {}


def _made_local(kind: type) -> type:
    return type(f"Local{kind.__name__}", (Local, kind), {})


def sum_partial_gradients(stage: Stage) -> None:
    """Add up over the tensor-parallel processes the gradients of which each has a summand, in one message."""
    found = [p.grad for name, p in stage.named_parameters() if name in stage.partial and p.grad is not None]
    if not found:
        return
    local = [gradient.to_local() if isinstance(gradient, DTensor) else gradient for gradient in found]
    flat = torch.cat([gradient.flatten() for gradient in local])
    dist.all_reduce(flat, group=stage.group)
    for gradient, total in zip(local, flat.split([g.numel() for g in local]), strict=True):
        gradient.copy_(total.view_as(gradient))
