"""Our own kernels give the numbers of their plain forms, whatever else is computed beside, and can be done without."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen2vl_agent.commands.checkup import findings
from qwen2vl_agent.model import attention as seam
from qwen2vl_agent.model import layers
from qwen2vl_agent.model.int4_products import ByOurs, ByPyTorch, pack_int4
from qwen2vl_agent.model.int8_products import ByOneDNN
from qwen2vl_agent.model.layers import RMSNorm
from qwen2vl_agent.model.linears import Linear, together
from qwen2vl_agent.model.masks import CAUSAL
from qwen2vl_agent.model.native import attention, build, int4, pointwise, rows
from qwen2vl_agent.model.products import attend_by_products
from qwen2vl_agent.model.quantized import Int4Linear, linear_of, rounded

HALF = torch.bfloat16
needs_attention = pytest.mark.skipif(
    build.kernel("attention") is None, reason="needs g++ and a processor with AVX-512 and bfloat16"
)
needs_pointwise = pytest.mark.skipif(
    build.kernel("pointwise") is None, reason="needs g++ and a processor with AVX-512 and bfloat16"
)
needs_rows = pytest.mark.skipif(
    build.kernel("rows") is None, reason="needs g++ and a processor with AVX-512 and bfloat16"
)
needs_int4 = pytest.mark.skipif(build.kernel("int4") is None, reason="needs g++ and a processor with AVX2")


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(q, k, v, causal):
    """Attention by the formula in float64."""
    group = q.shape[1] // k.shape[1]
    q, k, v = q.double(), *(x.double().repeat_interleave(group, 1) for x in (k, v))
    scores = torch.einsum("tnh,snh->nts", q, k) / q.shape[-1] ** 0.5
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[1:]).triu(1 + len(k) - len(q)).bool(), float("-inf"))
    return torch.einsum("nts,snh->tnh", scores.softmax(-1), v).flatten(1)


def off_by(found, truth):
    return float((found.double() - truth).norm() / truth.norm())


@needs_attention
@settings(max_examples=60, deadline=None)
@given(
    queries=st.integers(1, 150),
    before=st.integers(0, 300),
    kv_heads=st.integers(1, 3),
    group=st.sampled_from([1, 2, 6, 7]),
    width=st.sampled_from(attention.WIDTHS),
    causal=st.booleans(),
)
def test_attention_is_that_of_the_formula(queries, before, kv_heads, group, width, causal):
    shapes = ((queries, kv_heads * group), (queries + before, kv_heads), (queries + before, kv_heads))
    q, k, v = (numbers(tokens, heads, width, seed=tokens).to(HALF) for tokens, heads in shapes)
    truth = plain(q, k, v, causal)
    assert off_by(attention.attend(q, k, v, causal), truth) < 0.004  # two roundings, which a few numbers may both meet


@needs_attention
@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_nearer_to_the_formula_than_products_in_bfloat16(causal):
    q, k, v = (numbers(200, heads, 80, seed=heads).to(HALF) for heads in (4, 2, 2))
    truth = plain(q, k, v, causal)
    assert off_by(attention.attend(q, k, v, causal), truth) < 0.7 * off_by(attend_by_products(q, k, v, causal), truth)


@needs_attention
def test_attention_reads_heads_where_they_lie():
    """Views of one projection, as in the vision encoder, and of a cache with spare room."""
    qkv = numbers(70, 3, 4, 80).to(HALF)
    q, k, v = qkv.unbind(1)
    assert not k.is_contiguous()
    apart = attention.attend(q.contiguous(), k.contiguous(), v.contiguous(), False)
    assert torch.equal(attention.attend(q, k, v, False), apart)
    turned = k.transpose(0, 2).contiguous().transpose(0, 2)
    assert torch.equal(attention.attend(q, turned, v, False), apart)


@needs_attention
@pytest.mark.parametrize("causal", [False, True])
def test_a_query_s_numbers_do_not_depend_on_its_neighbours(causal):
    """As many threads as one likes, too: texts written together are those written alone."""
    q, k, v = (
        numbers(90, 12, 128).to(HALF),
        numbers(260, 2, 128, seed=1).to(HALF),
        numbers(260, 2, 128, seed=2).to(HALF),
    )
    whole = attention.attend(q, k, v, causal)
    for query in (0, 7, 8, 41, 89):
        seen = len(k) - len(q) + query + 1 if causal else len(k)
        assert torch.equal(attention.attend(q[query : query + 1], k[:seen], v[:seen], causal), whole[query : query + 1])
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert torch.equal(attention.attend(q, k, v, causal), whole)
    finally:
        torch.set_num_threads(threads)


@needs_attention
def test_large_scores_do_not_overflow_and_what_is_no_number_is_not_hidden():
    q, k, v = (100 * numbers(40, 2, 32, seed=seed).to(HALF) for seed in range(3))
    assert off_by(attention.attend(q, k, v, True), plain(q, k, v, True)) < 0.003
    k[30, 1, 5] = float("nan")
    found = attention.attend(q, k, v, True).unflatten(1, (2, 32))
    assert found[:30].isfinite().all()
    assert found[30:, 1].isnan().all()
    assert found[30:, 0].isfinite().all()


@needs_attention
@torch.inference_mode()
def test_the_seam_takes_the_kernel_for_what_it_is_written_for(monkeypatch):
    asked = []
    monkeypatch.setattr(seam.native, "attend", lambda *given: asked.append(given) or attend_by_products(*given))
    for width, dtype in ((32, HALF), (24, HALF), (32, torch.float32)):
        q, k = numbers(1, 9, 4, width).to(dtype), numbers(1, 9, 2, width).to(dtype)
        seam.attend(q, k, k, CAUSAL)
    assert [(tuple(given[0].shape), given[0].dtype) for given in asked] == [((9, 4, 32), HALF)]


SHAPES = [(1, 16), (3, 7, 1536), (70, 640)]


@needs_pointwise
@torch.inference_mode()
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_norms_are_those_of_the_plain_form(shape, monkeypatch):
    norm = RMSNorm(shape[-1], 1e-6).to(HALF)
    norm.weight.data = numbers(shape[-1]).to(HALF)
    x = 3 * numbers(*shape, seed=1).to(HALF)
    found = norm(x)
    monkeypatch.setattr(layers.pointwise, "serves", lambda *given: False)
    torch.testing.assert_close(found, norm(x), rtol=1 / 128, atol=0)  # where a sum is a toss-up, one step of bfloat16
    assert (found != norm(x)).float().mean() < 0.01


@needs_pointwise
@torch.inference_mode()
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gates_are_rounded_once(shape):
    both = 5 * numbers(*shape[:-1], 2 * shape[-1]).to(HALF)
    gate, up = both.chunk(2, dim=-1)
    truth = torch.nn.functional.silu(gate.float()) * up.float()
    torch.testing.assert_close(layers.gated(gate, up).float(), truth, rtol=1 / 250, atol=1e-30)
    torch.testing.assert_close(layers.gated(gate, up.contiguous()).float(), truth, rtol=1 / 250, atol=1e-30)
    hidden = gate.contiguous()
    truth = hidden.float() * torch.sigmoid(1.702 * hidden.float())
    torch.testing.assert_close(pointwise.quick_gelu_(hidden).float(), truth, rtol=1 / 250, atol=1e-30)


@needs_pointwise
@torch.inference_mode()
def test_a_gate_is_closed_far_below_zero_open_far_above_and_no_number_where_it_is_none():
    x = torch.tensor([-3e38, -1e4, -200, 200, 1e4, 3e38, float("inf"), float("nan")] * 2).to(HALF)
    found = pointwise.quick_gelu_(x.clone())
    assert (found[:3].abs() < 1e-30).all()
    assert torch.equal(found[3:7], x[3:7])
    assert found[7].isnan()


@needs_pointwise
@torch.inference_mode()
@pytest.mark.parametrize(("batch", "tokens", "heads", "width"), [(1, 5, 3, 16), (2, 9, 2, 128), (1, 300, 4, 80)])
@pytest.mark.parametrize("table", [HALF, torch.float32])
def test_heads_are_turned_and_rounded_once(batch, tokens, heads, width, table):
    angles = numbers(batch, tokens + 2, 1, width // 2, seed=1)
    rotary = layers.Rotary(angles.cos().to(table), angles.sin().to(table)).tokens(1, tokens + 1)
    x = numbers(batch, tokens, 3, heads, width).to(HALF)[:, :, 1]
    found = rotary.rotate(x)
    truth = layers.Rotary(rotary.cos.float(), rotary.sin.float()).rotate(x.float())
    assert found.dtype == HALF
    torch.testing.assert_close(found.float(), truth, rtol=1 / 250, atol=1e-6)


@needs_pointwise
@torch.inference_mode()
@pytest.mark.parametrize("count", [1, 5, 200])
def test_rows_are_rounded_to_8_bits_as_by_the_plain_form(count, monkeypatch):
    values = torch.randint(-127, 128, (70, 640), dtype=torch.int8)
    product = ByOneDNN(values, 0.1 + numbers(70).abs())
    x = numbers(count, 1280, seed=1).to(HALF)[:, :640]
    found = product(x)
    monkeypatch.setattr(pointwise, "serves", lambda *given: False)
    assert off_by(found, product(x).double()) < 0.005


@needs_pointwise
@torch.inference_mode()
def test_rounded_rows_end_at_127_and_say_where_a_number_is_none():
    x = numbers(5, 32).to(HALF)
    x[1], x[2, 3], x[3, 4] = 0, float("nan"), float("inf")
    found, largest = pointwise.rounded(x)
    for row in (0, 4):
        assert (found[row].int() - 128).abs().max() == 127
        assert largest[row] == x[row].abs().max()
    assert (found[1] == 128).all()
    assert largest[2:4].isnan().all()


def linears(inputs: int, *outputs: int) -> list[Linear]:
    torch.manual_seed(inputs)
    found = [Linear(inputs, count, bias=count % 8 == 0) for count in outputs]
    return [layer.to(HALF).requires_grad_(False) for layer in found]


@needs_rows
@torch.inference_mode()
@pytest.mark.parametrize("count", range(1, rows.MOST + 1))
@pytest.mark.parametrize("inputs", [32, 160, 1536, 8960])
def test_few_rows_are_multiplied_by_several_layers_at_once(count, inputs):
    layers_, x = linears(inputs, 8, 133, 4), numbers(2, count, inputs)[:1].to(HALF)
    assert rows.serve(x, layers_)
    found = together(x, *layers_)
    for out, layer in zip(found, layers_, strict=True):
        bias = 0 if layer.bias is None else layer.bias.double()
        assert off_by(out, x.double() @ layer.weight.double().T + bias) < 0.003
        assert torch.equal(layer(x), out)
    alone = [together(x[:, place : place + 1], *layers_) for place in range(count)]
    for index, out in enumerate(found):
        assert torch.equal(torch.cat([outs[index] for outs in alone], dim=1), out)


@needs_rows
@torch.inference_mode()
def test_what_is_more_than_a_product_is_not_passed_over():
    """Thin matrices that train, as LoRA's, and hooks, as calibration's."""
    plain, hooked = linears(32, 8, 8)
    hooked.register_forward_hook(lambda layer, given, out: out + 1)
    thin = linears(32, 8)[0]
    thin.__class__ = type("Other", (Linear,), {"forward": lambda self, x: torch.zeros(1, 8)})
    x = numbers(1, 32).to(HALF)
    assert torch.equal(together(x, plain, hooked)[1], hooked(x))
    assert (together(x, plain, thin)[1] == 0).all()
    assert not rows.serve(numbers(1, 32), [plain.float()])
    assert not rows.serve(numbers(rows.MOST + 1, 32).to(HALF), [plain])


def quantised(outputs: int, inputs: int) -> tuple[Int4Linear, torch.Tensor]:
    weights = rounded(numbers(outputs, inputs), "int4")
    return linear_of(weights), weights.dequantised()


@pytest.fixture(params=["this processor", "AVX2"])
def processor(request, monkeypatch):
    """The kernel for 4 bits as it is compiled here, and as it is for processors with AVX2 alone."""
    if request.param == "AVX2":
        monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-mno-avx512f", "-mno-avxvnni"))
        older = build.load("int4")
        monkeypatch.setattr(int4, "kernel", lambda name: older)


@needs_int4
@pytest.mark.parametrize("dtype", [HALF, torch.float32, torch.float16])
@pytest.mark.parametrize(("outputs", "inputs"), [(64, 128), (100, 96), (700, 256), (33, 1536)])
def test_products_with_4_bits_are_those_of_rounded_rows(processor, outputs, inputs, dtype):
    layer, weight = quantised(outputs, inputs)
    assert isinstance(layer.packed, ByOurs)
    x = numbers(19, inputs).to(dtype)
    groups = x.float().unflatten(1, (-1, 128 if inputs % 128 == 0 else 32))
    steps = groups.abs().amax(-1, keepdim=True) / 127
    truth = ((groups / steps).round() * steps).flatten(1) @ weight.T
    assert off_by(layer(x), truth.double()) < {HALF: 0.003, torch.float32: 1e-5, torch.float16: 0.001}[dtype]
    assert off_by(layer(x), (x.float() @ weight.T).double()) < 0.01
    alone = torch.cat([layer(row[None]) for row in x])
    assert torch.equal(layer(x), alone), "a row's numbers do not depend on its neighbours"


@needs_int4
def test_4_bits_take_the_largest_products_that_there_are(processor):
    """15 times 127 everywhere, where sums of 16 bits are nearest to their end."""
    weight = torch.ones(64, 512)
    weight[:, ::32] = 0  # so that ones are the number 15
    layer = linear_of(rounded(weight, "int4"))
    for sign in (1, -1):
        found = layer(torch.full((3, 512), float(sign)))
        torch.testing.assert_close(found, sign * weight.sum(1).expand(3, -1), rtol=0.01, atol=0)


@needs_int4
def test_rows_that_are_no_numbers_give_none(processor):
    layer, _ = quantised(64, 128)
    x = numbers(4, 128)
    x[1, 3], x[2, 100], x[3] = float("nan"), float("inf"), 0
    found = layer(x)
    assert found[0].isfinite().all()
    assert found[1].isnan().all()
    assert found[2].isnan().all()
    assert (found[3] == 0).all()


@needs_int4
@settings(max_examples=20, deadline=None)
@given(blocks=st.integers(1, 9), inputs=st.sampled_from([32, 96, 256]))
def test_4_bits_are_packed_without_loss(blocks, inputs):
    """Checkpoints are the same whichever kernel there is, and so are the numbers turned back."""
    packed = torch.randint(0, 256, (64 * blocks, inputs // 2), dtype=torch.uint8)
    factors = numbers(inputs // 32, 64 * blocks, 2).bfloat16()
    ours, theirs = ByOurs(packed, factors), ByPyTorch(packed, factors)
    for name, value in theirs.kept().items():
        assert torch.equal(ours.kept()[name], value)
    part = slice(64 * (blocks // 2), 64 * blocks)
    for dtype, error in ((torch.float32, 1e-5), (HALF, 0.05)):
        found, wanted = (each.turned_back(part, dtype).float() for each in (ours, theirs))
        torch.testing.assert_close(found, wanted, rtol=error, atol=error)


def test_without_a_compiler_the_plain_forms_serve(monkeypatch, caplog):
    monkeypatch.delenv(build.SWITCH, raising=False)
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    with pytest.raises(build.NoKernel, match=r"no C\+\+ compiler; install g\+\+"):
        build.load("int4")
    monkeypatch.setattr(build, "kernel", build.kernel.__wrapped__)
    monkeypatch.setattr(int4, "kernel", build.kernel)
    monkeypatch.setattr(attention, "kernel", build.kernel)
    monkeypatch.setattr(pointwise, "kernel", build.kernel)
    monkeypatch.setattr(rows, "kernel", build.kernel)
    with caplog.at_level(logging.INFO):
        assert isinstance(pack_int4(torch.zeros(64, 32, dtype=torch.uint8), torch.ones(2, 64, 2).bfloat16()), ByPyTorch)
        assert not attention.serves(numbers(2, 2, 32).to(HALF))
        with torch.inference_mode():
            assert not pointwise.serves(numbers(2, 32).to(HALF))
            assert not rows.serve(numbers(2, 32).to(HALF), linears(32, 8))
    assert "without the native kernel int4: there is no C++ compiler" in caplog.text


def test_they_are_switched_off_by_the_environment(monkeypatch):
    monkeypatch.setenv(build.SWITCH, "off")
    for name in build.KERNELS:
        with pytest.raises(build.NoKernel, match="QWEN2VL_AGENT_NATIVE is off"):
            build.load(name)


@needs_int4
def test_a_kernel_is_compiled_once_and_anew_for_another_source(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.load("int4")
    (first,) = tmp_path.rglob("*.so")
    made = first.stat().st_mtime_ns
    build.load("int4")
    assert first.stat().st_mtime_ns == made
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DOTHER"))
    build.load("int4")
    assert len(list(tmp_path.rglob("*.so"))) == 2


@needs_int4
def test_what_keeps_a_kernel_from_being_built_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(build.NoKernel, match="Not a directory"):
        build.load("int4")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-mno-avx2"))
    with pytest.raises(build.NoKernel, match="these kernels are written for AVX2 and AVX-512"):
        build.load("int4")
    assert not list(tmp_path.rglob("*.so"))


def test_doctor_tells_which_there_are():
    (found,) = [finding for finding in findings() if finding.name == "native kernels"]
    there = [name for name in build.KERNELS if build.kernel(name) is not None]
    assert found.state == ("good" if len(there) == len(build.KERNELS) else "note")
    assert all(name in found.found for name in there)
