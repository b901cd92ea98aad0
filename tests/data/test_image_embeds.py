"""Embeds of a locked encoder: the model reads the same as from the pixels, and nothing half done counts."""

import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image

from qwen2vl_agent.data.image_embeds import ImageEmbeds, write_embeds
from qwen2vl_agent.data.packing import Row, from_wire, pack, to_wire
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes import tiny_data, tiny_model
from qwen2vl_agent.recipes.tiny import TinyRecipe
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart

RECIPE = TinyRecipe()
PARTS = [ImagePart(Image.effect_noise((56, 84), 60 + number).convert("RGB")) for number in range(3)]
MESSAGES = [
    Message("user", (PARTS[0], TextPart("Which?"), PARTS[2])),
    Message("assistant", (TextPart("This one.", target=True),)),
]


@pytest.fixture(scope="module")
def processor() -> Processor:
    return tiny_data.processor(RECIPE)


@pytest.fixture(scope="module")
def model(processor) -> Qwen2VL:
    return tiny_model.create(RECIPE, processor).to(torch.bfloat16).eval()


@pytest.fixture
def folder(tmp_path, model, processor) -> Path:
    write_embeds(tmp_path, 0, model, processor.image_processor, PARTS[:2])
    write_embeds(tmp_path, 1, model, processor.image_processor, PARTS[2:])
    return tmp_path


def test_the_model_reads_the_same_from_embeds_as_from_pixels(folder, model, processor):
    seen = processor.encode(MESSAGES)
    kept = processor.with_embeds(ImageEmbeds(folder)).encode(MESSAGES)
    assert kept.inputs.pixel_values is None
    assert kept.inputs.image_embeds.shape == (12, 256)
    for name in ("input_ids", "position_ids", "image_grid_thw"):
        assert torch.equal(getattr(kept.inputs, name), getattr(seen.inputs, name))
    assert torch.equal(kept.labels, seen.labels)
    with torch.inference_mode():
        seen.inputs.pixel_values = seen.inputs.pixel_values.to(torch.bfloat16)
        torch.testing.assert_close(
            model.hidden_states(kept.inputs), model.hidden_states(seen.inputs), atol=0.1, rtol=0.05
        )


def test_the_embeds_travel_with_their_row(folder, processor):
    encoded = processor.with_embeds(ImageEmbeds(folder)).encode(MESSAGES)
    row = from_wire(to_wire(Row(encoded.inputs, encoded.labels, "s"), torch.bfloat16), torch.bfloat16)
    assert torch.equal(row.inputs.image_embeds, encoded.inputs.image_embeds)
    batch = pack([row, row])
    assert torch.equal(batch.inputs.image_embeds, torch.cat([encoded.inputs.image_embeds] * 2))


def test_a_picture_that_was_not_encoded_is_named(folder):
    with pytest.raises(RecordError, match="no embeds of the picture"):
        ImageEmbeds(folder).get(ImagePart(Image.new("RGB", (56, 84))))


def test_a_shard_without_its_index_is_not_there(folder):
    (folder / "embeds-0001.json").unlink()
    assert len(ImageEmbeds(folder)) == 2
    with pytest.raises(RecordError, match="holds no embeds"):
        ImageEmbeds(folder / "none")


def test_another_process_maps_the_same_files(folder):
    copy = pickle.loads(pickle.dumps(ImageEmbeds(folder)))
    assert torch.equal(copy.get(PARTS[1])[0], ImageEmbeds(folder).get(PARTS[1])[0])


def test_pictures_of_several_sizes_make_no_shard(tmp_path, model, processor):
    with pytest.raises(RecordError, match="several sizes"):
        write_embeds(tmp_path, 0, model, processor.image_processor, [PARTS[0], ImagePart(Image.new("RGB", (56, 56)))])
    assert not list(tmp_path.glob("*.json"))
