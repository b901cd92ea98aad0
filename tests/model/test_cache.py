"""An episode's cache: what is in it is not read again, and nothing else is taken for it."""

import pytest
import torch
from model_sequences import SMALL, continued, randomise, sequence, with_ids

from qwen2vl_agent.model.cache import FIRST_CAPACITY, Cache, LayerCache
from qwen2vl_agent.model.qwen2vl import Qwen2VL

SCREEN = ("image", 1, 4, 6)


@pytest.fixture(scope="module")
def model():
    return randomise(Qwen2VL(SMALL)).eval()


@pytest.fixture
def encoded(model, monkeypatch):
    """Counts of the patches that the vision encoder was given, call by call."""
    counts = []
    hook = model.visual.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    yield counts
    hook.remove()


def episode(steps, seed=0):
    """A conversation to which every step adds a screen and a reply."""
    return sequence([5, *[SCREEN, 6] * steps], seed=seed)


def grown(inputs, by):
    """`inputs` with more steps, everything before unchanged."""
    more = sequence([SCREEN, 6] * by, seed=99)
    return with_ids(
        [*inputs.input_ids.tolist(), *more.input_ids.tolist()],
        pixel_values=torch.cat((inputs.pixel_values, more.pixel_values)),
        image_grid_thw=torch.cat((inputs.image_grid_thw, more.image_grid_thw)),
    )


def assert_same_writing(model, inputs, cache):
    kept = model.generate(inputs, max_new_tokens=8, cache=cache)
    fresh = model.generate(inputs, max_new_tokens=8)
    assert kept.token_ids == fresh.token_ids
    assert kept.logprobs == pytest.approx(fresh.logprobs, abs=1e-4)


def test_every_step_of_an_episode_encodes_its_new_screen_only(model, encoded):
    cache = Cache()
    inputs = episode(1)
    for _ in range(4):
        before = cache.length
        assert cache.rest(inputs, SMALL).input_ids.numel() == len(inputs.input_ids) - before
        kept = model.generate(inputs, max_new_tokens=5, cache=cache)
        assert encoded[-1] == 24
        fresh = model.generate(inputs, max_new_tokens=5)
        assert kept.token_ids == fresh.token_ids
        assert kept.logprobs == pytest.approx(fresh.logprobs, abs=1e-4)
        inputs = grown(continued(inputs, kept.token_ids), 1)


def test_the_same_sequence_again_reads_its_last_token_only(model, encoded):
    cache, inputs = Cache(), episode(2)
    model.generate(inputs, max_new_tokens=3, cache=cache)
    del encoded[:]
    assert len(cache.rest(inputs, SMALL).input_ids) == 1
    assert_same_writing(model, inputs, cache)
    assert len(encoded) == 1, "only the pass without the cache looks at the pictures"


def test_another_picture_behind_the_same_tokens_is_not_taken_for_the_first(model):
    cache = Cache()
    model.generate(episode(2, seed=1), max_new_tokens=3, cache=cache)
    other = episode(2, seed=1)
    other.pixel_values = other.pixel_values.clone()
    other.pixel_values[30] += 1
    rest = cache.rest(other, SMALL)
    assert rest.image_grid_thw.tolist() == [[1, 4, 6]], "the first picture is the same"
    assert int(rest.input_ids[0]) == SMALL.image_token_id
    assert_same_writing(model, other, cache)


def test_another_text_is_read_from_where_it_differs(model):
    cache, inputs = Cache(), episode(1)
    model.generate(inputs, max_new_tokens=3, cache=cache)
    changed = episode(1)
    changed.input_ids = changed.input_ids.clone()
    changed.input_ids[-3] = (changed.input_ids[-3] + 1) % 280
    assert len(cache.rest(changed, SMALL).input_ids) == 3
    assert_same_writing(model, changed, cache)


def test_a_picture_of_another_size_is_never_cut_in_two(model):
    cache = Cache()
    model.generate(sequence((5, ("image", 1, 4, 4), 6)), max_new_tokens=3, cache=cache)
    larger = sequence((5, ("image", 1, 4, 8), 6))
    assert len(cache.rest(larger, SMALL).input_ids) == 8 + 1 + 6
    assert_same_writing(model, larger, cache)


def test_the_same_ids_at_other_positions_are_read_again(model):
    cache = Cache()
    model.generate(sequence((5, ("image", 1, 4, 6), 6), seed=1), max_new_tokens=3, cache=cache)
    turned = sequence((5, ("image", 1, 6, 4), 6), seed=1)
    assert len(cache.rest(turned, SMALL).input_ids) > 6
    assert_same_writing(model, turned, cache)


def test_videos_are_kept_like_images(model, encoded):
    cache, inputs = Cache(), sequence((3, ("video", 3, 4, 4), 4, ("image", 1, 4, 4), 2, ("video", 2, 4, 4), 3))
    start = with_ids(
        inputs.input_ids[:18].tolist(), pixel_values_videos=inputs.pixel_values_videos[:48],
        video_grid_thw=inputs.video_grid_thw[:1],
    )  # fmt: skip
    model.generate(start, max_new_tokens=1, cache=cache)
    del encoded[:]
    model.hidden_states(inputs, cache=cache)
    assert encoded == [16, 32]
    assert_same_writing(model, inputs, cache)


def test_an_interrupted_writing_leaves_a_usable_cache(model):
    cache, inputs, seen = Cache(), episode(1), []

    def interrupt(token_id):
        seen.append(token_id)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.generate(inputs, max_new_tokens=8, cache=cache, on_token=interrupt)
    assert cache.length == len(inputs.input_ids) + 2
    assert_same_writing(model, continued(inputs, seen), cache)


def test_a_layer_keeps_what_it_was_given_while_its_buffers_grow():
    layer, pieces = LayerCache(), []
    for count in (1, FIRST_CAPACITY - 2, 5, 3 * FIRST_CAPACITY, 1):
        pieces.append(torch.randn(1, count, 2, 4))
        keys, values = layer.append(pieces[-1], -pieces[-1])
    assert torch.equal(keys, torch.cat(pieces, dim=1))
    assert torch.equal(values, -keys)
    assert layer.length == keys.shape[1]
