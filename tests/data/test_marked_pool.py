"""Pictures drawn once and kept are the very ones that would be drawn when their turn comes."""

import random

import numpy as np
import pytest
import torch

from qwen2vl_agent.data.marked import MarkedPages, marked_batch
from qwen2vl_agent.data.marked_pool import SHARD, PooledLoader
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.recipes.harvest import draw_pool
from qwen2vl_agent.recipes.tiny_look import ICONS, Lines
from qwen2vl_agent.schema.errors import RecordError

LINES = Lines(2, 2)
IMAGES = ImageProcessor(min_pixels=28 * 28)


@pytest.fixture(scope="module")
def mixture():
    return MarkedPages([LINES(random.Random(number)) for number in range(5)], LINES, 3, drawn=0.5)


@pytest.fixture(scope="module")
def pool(tmp_path_factory, mixture):
    folder = tmp_path_factory.mktemp("pool")
    draw_pool(folder, mixture, ICONS, SHARD, workers=1)
    return folder


def test_an_epoch_shows_every_picture_once_with_its_own_patches_and_targets(pool, mixture):
    loader = PooledLoader(pool, mixture, IMAGES, 16, "cpu")
    shown = [next(loader) for _ in range(SHARD // 16)]
    pages = [mixture.page(number) for number in range(SHARD)]
    drawn = marked_batch(pages, IMAGES, ICONS)
    patches = drawn.pixel_values.unflatten(0, (SHARD, -1)).flatten(1)
    places = {row.numpy().tobytes(): number for number, row in enumerate(patches)}
    for batch in shown:
        found = batch.pixel_values.unflatten(0, (16, -1)).flatten(1)
        numbers = [places[row.numpy().tobytes()] for row in found]
        for name, values in drawn.targets.items():
            expected = values.unflatten(0, (SHARD, -1))[numbers].flatten(0, 1)
            assert torch.equal(batch.targets[name], expected), name
        assert torch.equal(batch.image_grid_thw, drawn.image_grid_thw[numbers])
    assert sum(batch.num_examples for batch in shown) == SHARD


def test_another_epoch_has_another_order_and_a_resumed_run_goes_on_with_it(pool, mixture):
    loader = PooledLoader(pool, mixture, IMAGES, 64, "cpu")
    batches = [next(loader) for _ in range(6)]
    assert not torch.equal(batches[0].pixel_values, batches[4].pixel_values)
    again = PooledLoader(pool, mixture, IMAGES, 64, "cpu")
    again.seek(batches[4].position)
    assert torch.equal(next(again).pixel_values, batches[5].pixel_values)


def test_what_is_drawn_already_stays(pool, mixture):
    before = {file: file.stat().st_mtime_ns for file in pool.iterdir()}
    draw_pool(pool, mixture, ICONS, SHARD, workers=1)
    assert {file: file.stat().st_mtime_ns for file in pool.iterdir()} == before


@pytest.mark.parametrize("content", ["missing", "empty", "no zip", "other arrays"])
def test_a_missing_or_damaged_pool_is_told(tmp_path, mixture, content):
    file = tmp_path / "marked-00000.npz"
    if content == "other arrays":
        np.savez(file, pictures=np.zeros((4, 28, 28, 3), np.uint8))
    elif content != "missing":
        file.write_bytes(b"PK\x03\x04 not a zip" if content == "no zip" else b"")
    with pytest.raises(RecordError, match="marked"):
        PooledLoader(tmp_path, mixture, IMAGES, 16, "cpu")
