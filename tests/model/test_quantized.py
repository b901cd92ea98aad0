"""Quantised weights: near the plain ones, exact with respect to their own numbers, and kept as checkpoints."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen2vl_agent.model.calibrate import scale_channels
from qwen2vl_agent.model.config import Qwen2VLConfig, TextConfig, VisionConfig
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.int4_products import MIDDLE, block_of_kernel, in_blocks, in_order, repacked
from qwen2vl_agent.model.int8_products import SAFE
from qwen2vl_agent.model.linears import Linear
from qwen2vl_agent.model.quantize import quantize
from qwen2vl_agent.model.quantized import (
    KINDS,
    Int8Linear,
    QuantizedLinear,
    group_size,
    joined,
    linear_of,
    paired,
    rounded,
    unpaired,
)
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError

CONFIG = Qwen2VLConfig(
    text=TextConfig(
        vocab_size=99,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=192,
        mrope_section=(4, 6, 6),
    ),
    vision=VisionConfig(depth=2, embed_dim=64, num_heads=4),
    tie_word_embeddings=True,
    image_token_id=90,
    video_token_id=91,
    vision_start_token_id=92,
    vision_end_token_id=93,
    vision_token_id=94,
    bos_token_id=95,
    pad_token_id=95,
    eos_token_ids=(96,),
)
ERRORS = {"fp16": 0.004, "int8": 0.02, "int4": 0.15}
"""Largest relative errors of a product of random numbers: about a step of rounding over the root of 12."""


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def picture_inputs() -> ModelInputs:
    ids = torch.tensor([1, 2, 92, *[90] * 4, 93, 3, 4, 5])
    positions = torch.arange(len(ids)).expand(3, -1)
    return ModelInputs(ids, positions, numbers(16, 1176), torch.tensor([[1, 4, 4]]))


@given(st.integers(1, 5), st.integers(1, 9))
def test_pairs_hold_two_numbers_each(rows, half):
    written = torch.randint(0, 16, (rows, 2 * half), dtype=torch.uint8)
    assert paired(written).shape == (rows, half)
    assert torch.equal(unpaired(paired(written)), written)


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_is_off_by_half_a_step_at_most(kind):
    weight = numbers(40, 256)
    kept = rounded(weight, kind)
    step = kept.scales.float().repeat_interleave(256 // kept.scales.view(40, -1).shape[1]).view(40, -1)
    assert ((kept.dequantised() - weight).abs() <= 0.52 * step + 0.02).all()
    assert kept.kind == kind


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 3, 60])
@settings(max_examples=10, deadline=None)
@given(outputs=st.sampled_from([40, 63, 64, 100, 200, 700]), inputs=st.sampled_from([32, 96, 256]))
def test_a_layer_multiplies_by_its_rounded_weights(kind, rows, dtype, outputs, inputs):
    weight, bias, x = numbers(outputs, inputs), numbers(outputs, seed=1), numbers(rows, inputs, seed=2).to(dtype)
    kept = rounded(weight, kind)
    found = linear_of(kept, bias.to(dtype))(x)
    assert found.dtype == dtype
    found = found.float()
    wanted = x.float() @ kept.dequantised().T + bias
    assert found.shape == (rows, outputs)
    size = x.float().norm() * weight.norm() / inputs**0.5  # of a product of random numbers
    assert (found - wanted).norm() <= 0.02 * size
    assert (found - x.float() @ weight.T - bias).norm() <= ERRORS[kind] * size


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 3, 60])
@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_of_one_sign_do_not_overflow(kind, rows, sign):
    """The largest products that there are: processors without VNNI cut off pairs of them."""
    weight, x = 1 + 0.1 * numbers(64, 512).clamp(-1, 1), torch.ones(rows, 512)
    found = linear_of(rounded(weight, kind))(sign * x)
    torch.testing.assert_close(found, sign * x @ weight.T, rtol=0.02, atol=0)


def test_7_bits_of_weights_are_kept_where_products_overflow(monkeypatch):
    """And no more are lost where they are saved and loaded again."""
    monkeypatch.setattr("qwen2vl_agent.model.int8_products.products_overflow", lambda: True)
    once = linear_of(rounded(numbers(64, 256), "int8")).kept()
    again = Int8Linear(**once).kept()
    assert once["values"].abs().max() == SAFE
    assert all(torch.equal(again[name], once[name]) for name in once)
    weight = once["values"] * once["scales"][:, None]
    assert (weight - numbers(64, 256)).norm() <= 0.02 * numbers(64, 256).norm()


def test_a_row_of_zeros_stays_zero():
    layer = linear_of(rounded(numbers(64, 64), "int8"))
    assert layer(torch.zeros(2, 64, dtype=torch.bfloat16)).abs().max() == 0


def test_the_kernels_order_is_known():
    written = torch.randint(0, 16, (2 * block_of_kernel(), 96), dtype=torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(written, 1).view(torch.uint8)
    assert torch.equal(in_blocks(written.to(torch.uint8), block_of_kernel()), packed)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_joined_are_the_layers_one_after_the_other(kind):
    one, other, x = numbers(64, 128), numbers(32, 128, seed=1), numbers(1, 128, seed=2).bfloat16()
    both = linear_of(joined([rounded(one, kind), rounded(other, kind)]))(x)
    apart = torch.cat([linear_of(rounded(weight, kind))(x) for weight in (one, other)], dim=-1)
    torch.testing.assert_close(both, apart)


def test_inputs_that_fall_in_no_groups_are_refused():
    assert [group_size(inputs) for inputs in (1536, 192, 96)] == [128, 64, 32]
    with pytest.raises(ConfigError, match="100 inputs"):
        group_size(100)


@pytest.mark.parametrize("vision", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_quantised_model_is_near_the_plain_one(kind, vision):
    inputs = picture_inputs()
    plain = Qwen2VL(CONFIG, seed=1).to(torch.bfloat16).eval()
    with torch.inference_mode():
        wanted = plain(inputs).float()
        model = quantize(plain, kind, vision)
        found = model(inputs).float()
    assert (found - wanted).norm() <= 2 * ERRORS[kind] * wanted.norm()
    left = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    assert all(name.startswith("visual.") for name in left)
    assert bool(left) != vision
    assert len(model.generate(inputs, max_new_tokens=4).token_ids) > 0


@pytest.mark.parametrize("vision", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_one_is_the_one_that_is_rounded_on_loading(kind, vision, tmp_path):
    inputs = picture_inputs()
    Qwen2VL(CONFIG, seed=1).save_pretrained(tmp_path / "plain", dtype="bfloat16")
    on_loading = Qwen2VL.from_pretrained(tmp_path / "plain", "bfloat16", quantize=kind, quantize_vision=vision)
    on_loading.save_pretrained(tmp_path / "small")
    saved = Qwen2VL.from_pretrained(tmp_path / "small", "bfloat16")
    with torch.inference_mode():
        assert torch.equal(saved(inputs), on_loading(inputs))
    assert any(isinstance(module, QuantizedLinear) for module in saved.modules())
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("small", "plain")]
    assert sizes[0] < sizes[1] or kind == "fp16"


@pytest.fixture
def saved(tmp_path):
    quantize(Qwen2VL(CONFIG, seed=1).to(torch.bfloat16), "int4").save_pretrained(tmp_path)
    return tmp_path


def test_what_cannot_be_done_is_told(saved):
    with pytest.raises(ConfigError, match="quantised already"):
        Qwen2VL.from_pretrained(saved, quantize="int8")
    with pytest.raises(ConfigError, match="no quantisation 'int3'"):
        quantize(Qwen2VL(CONFIG, seed=1), "int3")
    (saved / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="cut short"):
        Qwen2VL.from_pretrained(saved)


@pytest.mark.parametrize(
    ("there", "instead", "told"),
    [
        ('"qwen2vl_agent"', '"awq"', "quantised by 'awq'"),
        ('"int4"', '"int8"', "cannot be made of"),
        ('"intermediate_size": 192', '"intermediate_size": 96', "outputs, as config.json asks"),
        ('"num_hidden_layers": 2', '"num_hidden_layers": 1', "does not fit"),
    ],
)
def test_a_config_that_does_not_suit_the_weights_is_refused(there, instead, told, saved):
    config = (saved / "config.json").read_text()
    assert there in config
    (saved / "config.json").write_text(config.replace(there, instead))
    with pytest.raises(CheckpointError, match=told):
        Qwen2VL.from_pretrained(saved)


def test_other_machines_blocks_hold_the_same_numbers():
    written = torch.randint(0, 16, (128, 96), dtype=torch.uint8)
    by_64 = in_blocks(written, 64)
    assert torch.equal(repacked(by_64, 64, 32), in_blocks(written, 32))
    assert torch.equal(repacked(repacked(by_64, 64, 32), 32, 64), by_64)
    assert torch.equal(in_order(by_64, 64, torch.int32).T + MIDDLE, written.int())


@pytest.mark.parametrize("bias", [True, False])
def test_one_row_in_half_precision_is_the_same_product(bias):
    layer = Linear(96, 40, bias=bias).to(torch.bfloat16)
    x = numbers(1, 1, 96).bfloat16()
    with torch.no_grad():
        found = layer(x)
        wanted = torch.nn.functional.linear(x, layer.weight, layer.bias)
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0.02)


def uneven_model() -> Qwen2VL:
    """A model with a few channels that are much larger than the others, as trained ones have."""
    model = Qwen2VL(CONFIG, seed=1).eval()
    with torch.no_grad():
        for layer in model.language_model.layers:
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                norm.weight[::50] *= 30
    return model


def test_scaling_changes_nothing_and_rounding_loses_less():
    inputs, model = picture_inputs(), uneven_model()
    with torch.inference_mode():
        wanted = model(inputs)
        plainly = quantize(uneven_model().to(torch.bfloat16), "int4")(inputs).float()
    powers = scale_channels(model, [inputs], "int4")
    with torch.inference_mode():
        torch.testing.assert_close(model(inputs), wanted, atol=1e-4, rtol=1e-4)
        scaled = quantize(model.to(torch.bfloat16), "int4")(inputs).float()
    assert len(powers) == 3 * CONFIG.text.num_hidden_layers
    assert max(powers) > 0
    assert (scaled - wanted).norm() < 0.9 * (plainly - wanted).norm()


def test_scales_need_examples():
    with pytest.raises(ValueError, match="no examples"):
        scale_channels(Qwen2VL(CONFIG, seed=1), [], "int4")


def test_a_weight_too_large_for_16_bits_is_refused():
    with pytest.raises(ConfigError, match="7e\\+04 has no form of 16 bits"):
        rounded(torch.tensor([[1.0, 70_000.0]]), "fp16")
