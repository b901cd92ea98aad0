"""What backward computes again: everything, or all but products and attention."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from training_doubles import SMALL, small_model

from qwen2vl_agent.model.masks import CAUSAL
from qwen2vl_agent.training.parallel.activation_checkpoint import recompute_block

LINEARS = 7


class Counting(TorchDispatchMode):
    """How often each operation ran."""

    def __init__(self):
        super().__init__()
        self.counts = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function)
        self.counts[name] = self.counts.get(name, 0) + 1
        return function(*args, **(kwargs or {}))


def backward_of(recompute):
    """The gradient of a layer's input, and the operations that its backward ran."""
    model = small_model()
    layer = model.language_model.layers[0]
    if recompute != "none":
        recompute_block(layer, recompute)
    x = torch.randn(1, 6, SMALL.text.hidden_size, generator=torch.Generator().manual_seed(0), requires_grad=True)
    out = layer(x, model.rotary(torch.arange(6).expand(3, 1, 6)), CAUSAL)
    with Counting() as counting:
        out.square().sum().backward()
    products = counting.counts.get("aten.mm.default", 0) + counting.counts.get("aten.addmm.default", 0)
    attentions = sum(
        count for name, count in counting.counts.items() if "dot_product" in name and "backward" not in name
    )
    return x.grad, products, attentions, counting.counts.get("aten.silu.default", 0)


def test_full_computes_products_again_and_selective_only_what_is_cheap():
    found = {recompute: backward_of(recompute) for recompute in ("none", "selective", "full")}
    for gradient, *_ in found.values():
        assert torch.equal(gradient, found["none"][0])
    needed = found["none"][1]
    assert found["none"][1:] == (needed, 0, 0)
    assert found["selective"][1:] == (needed, 0, 1)
    assert found["full"][2:] == (1, 1)
    assert needed + LINEARS - 1 <= found["full"][1] <= needed + LINEARS  # the last product need not be known
