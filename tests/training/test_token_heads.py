"""A vision encoder that is asked of every token what it shows learns it, and nothing else of the model moves."""

import random

import pytest
import torch

from qwen2vl_agent.data.marked import MarkedLoader, MarkedPages, marked_batch
from qwen2vl_agent.data.synthetic.marks import BLANK
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.recipes import tiny_data, tiny_model
from qwen2vl_agent.recipes.tiny import PHASES, TinyRecipe, phase_config
from qwen2vl_agent.recipes.tiny_look import ICONS, Lines, load_reading, save_reading
from qwen2vl_agent.schema.errors import CheckpointError
from qwen2vl_agent.training.optim import make_optimizer
from qwen2vl_agent.training.stages import freeze_all_but, trainable_names
from qwen2vl_agent.training.step import train_step
from qwen2vl_agent.training.token_heads import SHARES, TokenReader, reading_loss

LINES = Lines(3, 2)
IMAGES = ImageProcessor(min_pixels=28 * 28)


def pages(seed: int = 0) -> MarkedPages:
    return MarkedPages([LINES(random.Random(number)) for number in range(5)], LINES, seed, drawn=0.5)


@pytest.fixture
def reader() -> TokenReader:
    recipe = TinyRecipe()
    return TokenReader(tiny_model.create(recipe, tiny_data.processor(recipe)), icons=len(ICONS))


def test_a_picture_is_a_pure_function_of_its_number():
    one, other = pages(), pages()
    for number in (7, 0, 3):
        assert one.page(number).image.tobytes() == other.page(number).image.tobytes()
    assert {number: one.page(number).marks for number in range(6)} != {n: pages(1).page(n).marks for n in range(6)}


def test_replicas_share_the_pictures_and_a_resumed_run_goes_on_with_the_next():
    whole = MarkedLoader(pages(), IMAGES, 4, ICONS)
    batch = next(whole)
    parts = [next(MarkedLoader(pages(), IMAGES, 2, ICONS, rank=rank, count=2)) for rank in (0, 1)]
    places = [0, 2, 1, 3]
    joined = torch.cat([part.pixel_values for part in parts]).unflatten(0, (4, -1))
    torch.testing.assert_close(joined, batch.pixel_values.unflatten(0, (4, -1))[places])
    again = MarkedLoader(pages(), IMAGES, 4, ICONS)
    again.seek(batch.position)
    assert torch.equal(next(again).pixel_values, next(whole).pixel_values)


def test_one_picture_is_soon_known_and_only_the_encoder_moved(reader):
    config = phase_config(TinyRecipe(look_steps=40), next(phase for phase in PHASES if phase.name == "look"))
    names = trainable_names(reader, config)
    freeze_all_but(reader, names)
    before = {name: value.clone() for name, value in reader.model.state_dict().items()}
    optimizer = make_optimizer(reader, config)
    for group in optimizer.param_groups:
        group["lr"] = 2e-3
    batch = marked_batch([LINES(random.Random(3))], IMAGES, ICONS)
    first = train_step(reader, optimizer, [batch], config, loss=reading_loss).losses
    for _ in range(39):
        last = train_step(reader, optimizer, [batch], config, loss=reading_loss).losses
    assert set(first) == set(SHARES)
    assert last["letters"] < first["letters"] / 2
    moved = {name for name, value in reader.model.state_dict().items() if not value.equal(before[name])}
    assert moved
    assert all(name.startswith("visual.") for name in moved)


def test_a_class_of_its_own_says_that_there_is_no_letter(reader):
    batch = marked_batch([LINES(random.Random(3))], IMAGES, ICONS)
    answers = reader.answers(batch)
    assert answers["letters"].shape[:2] == batch.targets["letters"].shape
    assert answers["patches"].shape[0] == batch.num_patches == 4 * batch.num_tokens
    assert (batch.targets["letters"] == BLANK).any()


def test_the_lesson_is_kept_with_the_model(reader, tmp_path):
    batch = marked_batch([LINES(random.Random(4))], IMAGES, ICONS)
    reader.save_pretrained(tmp_path)
    back = TokenReader.from_pretrained(tmp_path)
    with torch.no_grad():
        for name, answer in reader.answers(batch).items():
            torch.testing.assert_close(back.answers(batch)[name], answer)


def test_the_lesson_goes_on_from_what_was_kept(reader, tmp_path):
    save_reading(reader, tmp_path / "reading.safetensors")
    recipe = TinyRecipe(seed=1)
    other = TokenReader(tiny_model.create(recipe, tiny_data.processor(recipe)), icons=len(ICONS))
    load_reading(other, tmp_path / "reading.safetensors")
    batch = marked_batch([LINES(random.Random(4))], IMAGES, ICONS)
    with torch.no_grad():
        torch.testing.assert_close(other.answers(batch)["icon"], reader.answers(batch)["icon"], atol=0.05, rtol=0.05)
    with pytest.raises(CheckpointError, match="cannot be gone on from"):
        load_reading(other, tmp_path / "none.safetensors")
