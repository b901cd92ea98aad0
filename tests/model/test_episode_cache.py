"""The cache over whole episodes: after every step, branch, eviction and in every batch it equals computing afresh."""

import pytest
import torch
from model_sequences import LAYOUTS, SMALL, continued, randomise, sequence, with_ids

from qwen2vl_agent.model import vision_cache
from qwen2vl_agent.model.cache import FIRST_CAPACITY, Cache, LayerCache
from qwen2vl_agent.model.generate import Ending
from qwen2vl_agent.model.generate_many import Request, generate_many
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.sampling import Sampler, SamplingConfig
from qwen2vl_agent.model.vision_cache import VisionCache

STEPS = 50
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def model():
    return randomise(Qwen2VL(SMALL)).eval()


@pytest.fixture
def encoded(model):
    """Counts of the patches that the vision encoder was given, call by call."""
    counts = []
    hook = model.visual.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    yield counts
    hook.remove()


def step_layout(number):
    """What a step of an episode shows: mostly screens, sometimes a video, sizes vary."""
    kind = ("image", 1, 4, 6) if number % 3 else ("video", 1 + number % 4, 4, 4 if number % 2 else 8)
    return (1 + number % 3, kind, 2 + number % 4)


def joined(*rows: ModelInputs) -> ModelInputs:
    """The sequences one after the other as one."""
    vision = {}
    for name in ("pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw"):
        parts = [getattr(row, name) for row in rows if getattr(row, name) is not None]
        vision[name] = torch.cat(parts) if parts else None
    return with_ids([i for row in rows for i in row.input_ids.tolist()], **vision)


def episode(steps, seed=0):
    return joined(sequence((5,), seed=seed), *(sequence(step_layout(n), seed=100 * seed + n) for n in range(steps)))


def logits_afresh(model, inputs):
    with torch.no_grad():
        return model(inputs)


@torch.inference_mode()
def logits_kept(model, inputs, cache):
    return model.lm_head(model.hidden_states(inputs, cache=cache))


def ending(count=6):
    return Ending(max_new_tokens=count, eos_token_ids=SMALL.eos_token_ids)


def requests(rows, caches, samplers=None):
    samplers = samplers or [Sampler(SamplingConfig()) for _ in rows]
    parts = zip(rows, caches, samplers, strict=True)
    return [Request(inputs=row, cache=cache, sampler=sampler, ending=ending()) for row, cache, sampler in parts]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_step_of_a_long_episode_has_the_logits_of_a_full_pass(model, seed):
    cache, inputs = Cache(VisionCache()), sequence((5,), seed=seed)
    for number in range(STEPS):
        before = cache.length
        inputs = joined(inputs, sequence(step_layout(number), seed=seed * 100 + number))
        kept, whole = logits_kept(model, inputs, cache), logits_afresh(model, inputs)
        assert len(kept) == len(whole) - before or number == 0
        torch.testing.assert_close(kept, whole[-len(kept) :], atol=TOLERANCE, rtol=0)
    assert cache.length == len(inputs.input_ids) > 600


def test_writing_through_a_long_episode_is_what_is_written_without_a_cache(model):
    cache, inputs = Cache(VisionCache()), sequence((5,))
    for number in range(STEPS):
        inputs = joined(inputs, sequence(step_layout(number), seed=number))
        kept = model.generate(inputs, max_new_tokens=3, cache=cache)
        assert kept.token_ids == model.generate(inputs, max_new_tokens=3).token_ids
        inputs = continued(inputs, kept.token_ids)
    assert cache.length == len(inputs.input_ids) - 1


def test_what_was_cached_read_and_written_is_counted(model):
    cache, inputs = Cache(), episode(4)
    first = model.generate(inputs, max_new_tokens=3, cache=cache)
    assert first.tokens == {"cached": 0, "read": len(inputs.input_ids), "written": 3}
    longer = continued(inputs, [*first.token_ids, 7, 7])
    assert model.generate(longer, max_new_tokens=2, cache=cache).tokens == {
        "cached": len(inputs.input_ids) + 2,
        "read": 3,
        "written": 2,
    }


def test_a_shortened_dialogue_equals_a_fresh_one_and_encodes_nothing_again(model, encoded):
    """Every ten steps the oldest screens but four go; the words stay."""
    cache, shown = Cache(VisionCache()), []
    for number in range(STEPS):
        if number % 10 == 9:
            shown[:-4] = [sequence((3,), seed=n) for n in range(len(shown) - 4)]
        shown.append(sequence((2, ("image", 1, 4, 6), 3), seed=1000 + number))
        inputs = joined(*shown)
        del encoded[:]
        kept = logits_kept(model, inputs, cache)
        assert encoded == [24], "only the new screen"
        torch.testing.assert_close(kept, logits_afresh(model, inputs)[-len(kept) :], atol=TOLERANCE, rtol=0)


def test_branches_go_their_own_ways_from_one_reading(model, encoded):
    base, inputs = Cache(VisionCache()), episode(12)
    model.hidden_states(inputs, cache=base)
    del encoded[:]
    found = []
    for number in range(4):
        branch = base.branch()
        for grown in (continued(inputs, [number, 5, 6]), joined(inputs, sequence((number, ("image", 1, 4, 4), 2)))):
            found.append((grown, logits_kept(model, grown, branch)))
    assert len(encoded) == 4, "the new picture of each branch, and none of the others"
    for grown, kept in found:
        assert len(kept) < 15
        torch.testing.assert_close(kept, logits_afresh(model, grown)[-len(kept) :], atol=TOLERANCE, rtol=0)


def test_a_base_can_go_on_after_its_branches(model):
    base, inputs = Cache(), episode(6)
    model.hidden_states(inputs, cache=base)
    branch = base.branch()
    model.generate(continued(inputs, [1, 2]), max_new_tokens=9, cache=branch)
    for cache, more in ((base, [3, 4]), (branch, [1, 2, 3])):
        grown = continued(inputs, more)
        kept = logits_kept(model, grown, cache)
        torch.testing.assert_close(kept, logits_afresh(model, grown)[-len(kept) :], atol=TOLERANCE, rtol=0)


def test_a_branch_copies_only_when_it_writes():
    layer = LayerCache()
    layer.append(torch.ones(1, 5, 2, 4), torch.ones(1, 5, 2, 4))
    branch = layer.branch()
    assert branch.kept()[0].data_ptr() == layer.kept()[0].data_ptr()
    branch.append(torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4))
    assert branch.kept()[0].data_ptr() != layer.kept()[0].data_ptr()
    assert branch.nbytes == layer.nbytes == 2 * FIRST_CAPACITY * 8 * 4, "a copy is no larger"
    assert (layer.length, branch.length) == (5, 6)


def test_sequences_of_a_batch_with_caches_are_written_as_if_alone(model):
    vision = VisionCache()
    rows = [episode(steps, seed=steps) for steps in (1, 7, 3, 12)]
    caches = [Cache(vision) for _ in rows]
    alone_caches = [Cache() for _ in rows]
    for number in range(8):
        together = generate_many(model, requests(rows, caches))
        for place, (row, result) in enumerate(zip(rows, together, strict=True)):
            alone = model.generate(row, max_new_tokens=6, cache=alone_caches[place])
            assert result.token_ids == alone.token_ids
            assert result.logprobs == pytest.approx(alone.logprobs, abs=TOLERANCE)
            assert result.stopped_by == alone.stopped_by
            assert result.tokens == alone.tokens
            assert caches[place].length == alone_caches[place].length
            assert set(result.timings) == {"vit", "prefill", "decode"}
            rows[place] = joined(
                continued(row, result.token_ids), sequence(step_layout(number + place), seed=number * 4 + place)
            )


def test_a_batch_leaves_caches_that_equal_a_full_pass(model):
    rows = [sequence(layout, seed=seed) for seed, layout in enumerate(LAYOUTS.values())]
    caches = [Cache() for _ in rows]
    model.hidden_states(rows[0], cache=caches[0])
    results = generate_many(model, requests(rows, caches))
    for row, cache, result in zip(rows, caches, results, strict=True):
        longer = continued(row, [*result.token_ids, 9, 9, 9])
        kept = logits_kept(model, longer, cache)
        assert len(kept) == 4
        torch.testing.assert_close(kept, logits_afresh(model, longer)[-4:], atol=TOLERANCE, rtol=0)


def test_several_answers_to_one_prompt_share_its_reading(model, encoded):
    base, inputs = Cache(VisionCache()), episode(8)
    model.hidden_states(inputs, cache=base)
    del encoded[:]
    branches = [base.branch() for _ in range(3)]
    samplers = [Sampler(SamplingConfig(temperature=3.0), seed) for seed in range(3)]
    answers = generate_many(model, requests([inputs] * 3, branches, samplers))
    assert encoded == []
    assert all(answer.tokens["read"] == 1 for answer in answers)
    alone = [model.generate(inputs, max_new_tokens=6, temperature=3.0, seed=seed) for seed in range(3)]
    assert [answer.token_ids for answer in answers] == [answer.token_ids for answer in alone]
    assert len({tuple(answer.token_ids) for answer in answers}) == 3


def test_a_cache_cannot_hold_two_sequences_at_once(model):
    row, cache = episode(1), Cache()
    with pytest.raises(ValueError, match="given twice"):
        generate_many(model, requests([row, row], [cache, cache]))


def test_a_picture_is_encoded_once_wherever_it_stands(model, encoded):
    vision, row = VisionCache(), sequence((2, ("video", 3, 4, 6), 1, ("image", 1, 4, 6), 2))
    model.hidden_states(row, cache=Cache(vision))
    assert encoded == [24, 72]
    del encoded[:]
    still = with_ids(
        [9, SMALL.vision_start_token_id, *[SMALL.image_token_id] * 6, 4, *[SMALL.video_token_id] * 12, 5],
        pixel_values=row.pixel_values_videos[24:48],
        image_grid_thw=torch.tensor([[1, 4, 6]]),
        pixel_values_videos=torch.cat((row.pixel_values, row.pixel_values_videos[:24])),
        video_grid_thw=torch.tensor([[2, 4, 6]]),
    )
    kept = logits_kept(model, still, Cache(vision))
    assert encoded == [], "a frame pair of a video as an image, and an image as a frame pair"
    torch.testing.assert_close(kept, logits_afresh(model, still), atol=TOLERANCE, rtol=0)


def test_pictures_that_differ_in_one_value_or_in_shape_are_not_one(model, encoded):
    vision, row = VisionCache(), sequence((2, ("image", 1, 4, 6), 1))
    with torch.inference_mode():
        for change in (0.0, 1e-6):
            pixels = row.pixel_values.clone()
            pixels[17, 500] += change
            vision.encode(model.visual, pixels, row.image_grid_thw)
        vision.encode(model.visual, row.pixel_values, torch.tensor([[1, 6, 4]]))
        vision.encode(model.visual, row.pixel_values, torch.tensor([[1, 6, 4]]))
    assert encoded == [24, 24, 24]


def test_the_vision_cache_keeps_to_its_bytes_and_forgets_the_least_used(model, encoded):
    size = 6 * SMALL.text.hidden_size * 4
    vision = VisionCache(max_bytes=2 * size)
    pictures = [sequence((1, ("image", 1, 4, 6)), seed=seed) for seed in range(3)]
    with torch.inference_mode():
        for number in (0, 1, 0, 2, 0, 1):
            picture = pictures[number]
            made = vision.encode(model.visual, picture.pixel_values, picture.image_grid_thw)
            torch.testing.assert_close(made, model.visual(picture.pixel_values, picture.image_grid_thw))
    assert vision.bytes_held == 2 * size
    assert len(vision) == 2
    assert len(encoded) == 6 + 4, "number 1 was forgotten, number 0 never"


def test_a_vision_cache_without_room_still_gives_what_it_is_asked_for(model):
    row = sequence((2, ("video", 3, 4, 6), 1))
    kept = logits_kept(model, row, Cache(VisionCache(max_bytes=0)))
    torch.testing.assert_close(kept, logits_afresh(model, row), atol=TOLERANCE, rtol=0)


def test_a_long_video_is_encoded_in_pieces(model, encoded, monkeypatch):
    monkeypatch.setattr(vision_cache, "PATCHES_AT_ONCE", 50)
    row = sequence((2, ("video", 7, 4, 4), 1))
    kept = logits_kept(model, row, Cache(VisionCache()))
    assert encoded == [48, 48, 16]
    torch.testing.assert_close(kept, logits_afresh(model, row), atol=TOLERANCE, rtol=0)


def test_grids_that_do_not_account_for_the_patches_are_refused(model):
    with pytest.raises(ValueError, match="do not fit"):
        VisionCache().encode(model.visual, torch.zeros(5, 1176), torch.tensor([[1, 2, 2]]))
