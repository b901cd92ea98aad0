"""Where a head is taught to look: the places are found in the text, and the attention is the model's own."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from qwen2vl_agent.data.gaze import POINTING, READING, GazeFinder, find_gaze, reading_gaze
from qwen2vl_agent.data.packing import Batch, from_wire, pack, to_wire
from qwen2vl_agent.data.worker import encode_row
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes import tiny, tiny_data, tiny_model
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart
from qwen2vl_agent.training.loss import target_loss
from qwen2vl_agent.training.pointing_loss import HEADS, HEADS_OF, SHARE, PointingLoss, attention_loss

RECIPE = tiny.TinyRecipe(max_pixels=28 * 28 * 24)
TAP = '✿FUNCTION✿: tap\n✿ARGS✿: {"point": [%d, %d]}\n'
SIZE = (4 * 28, 6 * 28)
"""Four columns and six rows of tokens."""


@pytest.fixture(scope="module")
def processor() -> Processor:
    return tiny_data.processor(RECIPE)


@pytest.fixture(scope="module")
def model(processor) -> Qwen2VL:
    return tiny_model.create(RECIPE, processor)


@pytest.fixture(scope="module")
def find(processor) -> GazeFinder:
    return GazeFinder(processor.tokenizer)


@pytest.fixture(scope="module")
def loss(find) -> PointingLoss:
    return PointingLoss(find)


class Told:
    """A mixture of fixed conversations."""

    name = "told"

    def __init__(self, *conversations):
        self.conversations = conversations

    def pick(self, position):
        return self, position

    def example(self, position):
        from qwen2vl_agent.data.example import Example

        return Example(list(self.conversations[position]), "told")


def picture(seed: int) -> Image.Image:
    noise = torch.randint(0, 255, (*SIZE[::-1], 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image.fromarray(noise.numpy())


def asked(*parts) -> Message:
    return Message("user", tuple(TextPart(part) if isinstance(part, str) else ImagePart(part) for part in parts))


def said(text: str) -> Message:
    return Message("assistant", (TextPart(text, target=True),))


def packed(processor, *conversations) -> Batch:
    told = Told(*conversations)
    return pack([encode_row(told, processor, position, torch.float32) for position in range(len(conversations))])


def images(batch: Batch, model: Qwen2VL) -> torch.Tensor:
    return (batch.inputs.input_ids == model.config.image_token_id).nonzero().flatten()


def vars_of(gaze):
    return gaze.queries, gaze.keys, gaze.counts


def shown(gaze, batch, model) -> list[int]:
    """Tokens of the first picture that the first query may look at."""
    return (gaze.keys[0][: int(gaze.counts[0])] - images(batch, model)[0]).tolist()


def test_the_middle_of_a_token_is_that_token_alone(processor, model, find):
    batch = packed(processor, [asked(picture(0)), said(TAP % (624, 250))])
    gaze = find_gaze(batch, find.texts, model.config.image_token_id)
    assert shown(gaze, batch, model) == [1 * 4 + 2]


def test_between_four_tokens_all_are_looked_at(processor, model, find):
    batch = packed(processor, [asked(picture(0)), said("<|box_start|>(249,499)<|box_end|>")])
    gaze = find_gaze(batch, find.texts, model.config.image_token_id)
    assert shown(gaze, batch, model) == [2 * 4, 2 * 4 + 1, 3 * 4, 3 * 4 + 1]


def test_a_row_of_a_list_is_looked_at_along_its_width(processor, model, find):
    batch = packed(processor, [asked(picture(0)), said(TAP % (499, 250) + TAP % (624, 250))])
    gaze = find_gaze(batch, find.texts, model.config.image_token_id)
    assert shown(gaze, batch, model) == [4, 5, 6, 7]
    assert gaze.counts.tolist() == [4] * 8 + [1] * 8


@pytest.mark.parametrize("point", [(0, 0), (999, 999), (0, 999)])
def test_the_edges_of_the_picture_have_tokens_too(point, processor, model, find):
    batch = packed(processor, [asked(picture(0)), said(TAP % point)])
    gaze = find_gaze(batch, find.texts, model.config.image_token_id)
    assert shown(gaze, batch, model) == [(5 if point[1] else 0) * 4 + (3 if point[0] else 0)]


def test_queries_write_the_digits_of_the_place(processor, model, find):
    batch = packed(processor, [asked(picture(0)), said(TAP % (376, 45))])
    gaze = find_gaze(batch, find.texts, model.config.image_token_id)
    written = batch.inputs.input_ids[gaze.queries + 1].tolist()
    assert processor.decode(written) == "376, 45"


def test_a_place_belongs_to_the_last_picture_before_it_in_its_own_conversation(processor, model, find):
    two = [asked(picture(0)), said("no"), asked(picture(1)), said(TAP % (10, 10))]
    batch = packed(processor, two, [asked("(1,1)"), said("<|box_start|>(5,5)<|box_end|>")], two)
    gaze = find_gaze(batch, find.texts, model.config.image_token_id)
    starts = images(batch, model)[::24]
    assert set(gaze.keys[:, 0].tolist()) == {int(starts[1]), int(starts[3])}


def test_only_what_the_assistant_wrote_is_taught(processor, model, find):
    batch = packed(processor, [asked(picture(0), TAP % (5, 5)), said("swipe [5, 5]")])
    assert find_gaze(batch, find.texts, model.config.image_token_id) is None


def test_the_attention_is_that_of_the_model(processor, model, find):
    """Against the layer's own output, computed again from explicit weights of all tokens."""
    conversations = [[asked(picture(n)), said(TAP % (300 * n, 500))] for n in range(2)]
    batch = packed(processor, *conversations)
    gaze = find_gaze(batch, find.texts, model.config.image_token_id)
    seen = []
    attention = model.language_model.layers[HEADS_OF[POINTING][0]].self_attn
    hook = attention.register_forward_hook(lambda _, args, out: seen.append((*args, out)))
    with torch.no_grad():
        model.hidden_states(batch.inputs)
        hook.remove()
        x, rotary, _, _, out = seen[0]
        q, k, v = (attention._heads(layer(x))[0] for layer in (attention.q_proj, attention.k_proj, attention.v_proj))
        q, k = rotary.rotate(q[None])[0], rotary.rotate(k[None])[0].repeat_interleave(2, 1)
        (first, _), places = batch.inputs.segment_lengths, torch.arange(len(q))
        later = places[None] > places[:, None]
        apart = (places[None] < first) != (places[:, None] < first)
        scores = torch.einsum("tnh,snh->nts", q, k) * attention.head_dim**-0.5
        weights = scores.masked_fill(later | apart, float("-inf")).softmax(-1)
        made = torch.einsum("nts,snh->tnh", weights, v.repeat_interleave(2, 1)).flatten(1)
        torch.testing.assert_close(attention.o_proj(made), out[0], rtol=1e-4, atol=1e-5)
        spread = [weights[:HEADS, query, keys[:count]] for query, keys, count in zip(*vars_of(gaze), strict=True)]
        expected = torch.stack([-each.sum(-1).log().mean() for each in spread])
        torch.testing.assert_close(attention_loss(attention, x, rotary, gaze, batch.inputs.segment_lengths), expected)


def test_it_is_added_to_the_loss_of_the_text_and_told_apart(processor, model, loss):
    batch = packed(processor, [asked(picture(0)), said(TAP % (376, 45))])
    with torch.no_grad():
        plain, taught = target_loss(model, batch), loss(model, batch)
    assert taught.sources == (*plain.sources, POINTING)
    assert torch.equal(taught.by_source[:-1], plain.by_source)
    assert int(taught.counts[-1]) == len("376, 45")
    assert float(taught.total) == pytest.approx(float(plain.total + SHARE * taught.by_source[-1]), rel=1e-6)


def test_without_a_place_it_is_the_loss_of_the_text(processor, model, loss):
    batch = packed(processor, [asked("Hello."), said("Good day.")])
    with torch.no_grad():
        assert float(loss(model, batch).total) == float(target_loss(model, batch).total)


def test_following_it_turns_the_attention_to_the_place(processor, loss):
    model = tiny_model.create(RECIPE, processor)
    batch = packed(processor, [asked(picture(0)), said(TAP % (376, 45))])
    optimizer = torch.optim.AdamW(model.language_model.parameters(), lr=1e-3)
    found = []
    for _ in range(12):
        sums = loss(model, batch)
        sums.total.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(float(sums.by_source[-1] / sums.counts[-1]))
    assert found[-1] < found[0] - 0.5


def first_picture(batch: Batch, model: Qwen2VL) -> int:
    return int(images(batch, model)[0])


def queried(gaze, batch, find) -> list[str]:
    """What is written right after each place that looks."""
    return [find.texts[int(batch.inputs.input_ids[place + 1])] for place in gaze.queries]


def test_before_it_says_that_something_is_here_it_looks_at_it(processor, model, find):
    batch = packed(processor, [asked(picture(0)), said('"Bob" is here: tap it.\n' + TAP % (624, 250))])
    gaze = find_gaze(batch, find.texts, model.config.image_token_id)
    said_at = queried(gaze, batch, find).index('" is here: tap it.')
    assert (gaze.keys[said_at] - first_picture(batch, model)).unique().tolist() == [1 * 4 + 2]


def test_a_part_of_a_row_is_looked_for_along_the_row(processor, model, find):
    batch = packed(processor, [asked(picture(0)), said('"Bob" is here: tap its star.\n' + TAP % (874, 250))])
    gaze = find_gaze(batch, find.texts, model.config.image_token_id)
    looked = dict(zip(queried(gaze, batch, find), gaze.keys - first_picture(batch, model), strict=True))
    assert looked['" is here: tap its '].tolist() == [4, 5, 6, 7]
    assert looked["8"].unique().tolist() == [7]


def test_what_is_not_here_is_looked_for_before_the_picture(processor, model, find):
    batch = packed(processor, [asked(picture(0)), said('"Bob" is not here: scroll down.\n')])
    gaze = find_gaze(batch, find.texts, model.config.image_token_id)
    assert queried(gaze, batch, find) == ['" is not here: scroll down.']
    assert gaze.keys.tolist() == [[first_picture(batch, model) - 1]]


def test_letters_that_are_read_are_looked_at_by_the_other_heads(processor, model, loss, find):
    text = TextPart("ab c", target=True, looks=(5, 6, -1, 6))
    conversation = [asked(picture(0)), Message("assistant", (text,))]
    batch = packed(processor, [asked(picture(1)), said("x")], conversation)
    gaze, first = reading_gaze(batch), int(images(batch, model)[24])
    assert (gaze.keys[:, 0] - first).tolist() == [5, 6, 6]
    assert queried(gaze, batch, find) == ["a", "b", "c"]
    sums = loss(model, batch)
    assert READING in sums.sources
    assert POINTING not in sums.sources
    plain = target_loss(model, batch)
    added = SHARE * sums.by_source[sums.sources.index(READING)]
    torch.testing.assert_close(sums.total, plain.total + added)
    assert reading_gaze(packed(processor, [asked(picture(0)), said("x")])) is None


def test_a_worker_finds_in_each_example_what_is_found_in_the_whole_row(processor, find):
    text = TextPart("ab c", target=True, looks=(5, 6, -1, 6))
    told = [[asked(picture(n)), said(TAP % (300 * n + 9, 500))] for n in range(2)]
    told += [[asked(picture(2)), Message("assistant", (text,))], [asked("Hello."), said("Good day.")]]
    rows = [encode_row(Told(*told), processor, n, torch.float32) for n in range(len(told))]
    found = [from_wire(to_wire(replace(row, gazes=find(row)), torch.float32), torch.float32) for row in rows]
    batch = pack(found)
    assert set(batch.gazes) == {POINTING, READING}
    for name, whole in find(pack(rows)).items():
        for expected, made in zip(vars_of(whole), vars_of(batch.gazes[name]), strict=True):
            assert torch.equal(expected, made)
    assert pack(rows).gazes is None
    assert pack([found[0], rows[1]]).gazes is None
