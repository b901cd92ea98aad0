"""How a model is taken up, and that a record says how."""

import pytest
import torch

from qwen2vl_agent.agent import loading
from qwen2vl_agent.agent.loading import LoadSettings, full_size_dtype, load, recorded_settings
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model import fbgemm
from qwen2vl_agent.model.linears import Linear
from qwen2vl_agent.model.quantized import Fp16Linear, Int8Linear
from qwen2vl_agent.model.quantized_checkpoint import is_quantised
from qwen2vl_agent.schema.trajectory import EpisodeHeader


@pytest.fixture(autouse=True)
def same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def header(**config):
    return EpisodeHeader("text", "a goal", "android", "model", 1, config=config)


def test_a_small_model_keeps_its_own_limits_in_float32():
    model, processor = load(str(EMBEDDED), LoadSettings(dtype="auto"))
    assert model.dtype == torch.float32
    assert processor.image_processor == Processor.from_pretrained(EMBEDDED).image_processor
    assert torch.get_num_threads() == 1


def test_a_full_size_model_does_not_look_closer_than_a_phone_needs(monkeypatch):
    monkeypatch.setattr(loading, "SMALL", 1)
    monkeypatch.setattr(loading, "PHONE_PIXELS", 50_000)
    model, processor = load(str(EMBEDDED), LoadSettings(dtype="auto", threads=2))
    assert model.dtype == full_size_dtype(model.config.parameters)
    assert processor.image_processor.max_pixels == 50_000
    assert torch.get_num_threads() == 2
    assert load(str(EMBEDDED), LoadSettings(max_pixels=0))[1].image_processor.max_pixels == 112_896


def test_a_limit_holds_for_pictures_and_frames_and_keeps_the_rest():
    processor = load(str(EMBEDDED), LoadSettings(max_pixels=20_000))[1]
    assert processor.image_processor.max_pixels == processor.video_processor.max_pixels == 20_000
    assert processor.video_processor.images == processor.image_processor
    assert processor.source == str(EMBEDDED.resolve())
    assert processor.agent_settings["detail"] == "bare"


@pytest.mark.parametrize("vision", [False, True])
def test_weights_are_rounded_on_the_way(vision):
    model, _ = load(str(EMBEDDED), LoadSettings(quantize="int4", quantize_vision=vision))
    assert is_quantised(model.language_model)
    assert is_quantised(model.visual) == vision


@pytest.mark.parametrize(
    ("kind", "avx2", "layer"), [("none", True, Fp16Linear), ("none", False, Linear), ("int8", True, Int8Linear)]
)
def test_a_full_size_model_keeps_16_bits_where_bfloat16_is_emulated(kind, avx2, layer, monkeypatch):
    """And whatever its weights, nothing is computed in bfloat16."""
    monkeypatch.setattr("qwen2vl_agent.model.precision.bf16_instructions", lambda: ())
    if not avx2:
        monkeypatch.setattr(fbgemm, "available", lambda: False)
    plain, processor = load(str(EMBEDDED), LoadSettings(dtype="float32"))
    monkeypatch.setattr(loading, "SMALL", 1)
    model, _ = load(str(EMBEDDED), LoadSettings(dtype="auto", quantize=kind))
    assert type(model.lm_head) is layer
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    inputs = processor([{"role": "user", "content": "Turn Wi-Fi off."}])
    with torch.inference_mode():
        wanted, found = plain(inputs), model(inputs)
    assert (found - wanted).norm() <= {"none": 0.01, "int8": 0.2}[kind] * wanted.norm()


@pytest.mark.parametrize("wrong", [{"max_pixels": 100}, {"threads": 0}, {"quantize_vision": True}])
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LoadSettings(**wrong)


def test_a_record_tells_how_its_model_was_loaded():
    settings = LoadSettings(dtype="bfloat16", max_pixels=5_000)
    assert recorded_settings(header(loading={**settings.to_json(), "added later": 1})) == settings
    assert recorded_settings(header()) == LoadSettings(dtype="float32", max_pixels=0), (
        "older records knew the checkpoint's own only"
    )


@pytest.mark.parametrize(
    ("instructions", "parameters", "expected"),
    [
        (("AVX-512",), 2_000_000_000, torch.bfloat16),
        ((), 2_000, torch.float32),
        ((), 10**15, torch.bfloat16),
    ],
    ids=["multiplies bfloat16", "emulates it", "emulates it, and memory holds no float32"],
)
def test_a_full_size_model_computes_in_what_the_processor_multiplies(instructions, parameters, expected, monkeypatch):
    monkeypatch.setattr("qwen2vl_agent.model.precision.bf16_instructions", lambda: instructions)
    assert full_size_dtype(parameters) is expected
