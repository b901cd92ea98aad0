"""What is let go of a long past: by number of screens, by tokens, always alike for the same record."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model_sequences import SMALL, randomise
from PIL import Image

from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose
from qwen2vl_agent.dialogue.earlier import Past
from qwen2vl_agent.dialogue.memory import TurnCost, first_kept, remembered, turn_cost
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.tool_call import cut_at_stop, render_call
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.model.vision_cache import VisionCache
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall, tool_spec

DIALOGUE = Dialogue("Turn on the dark theme.", tuple(map(tool_spec, PHONE_ACTIONS)), detail="bare")
SCREEN = 8
"""Tokens of a screen of 56 x 84 pixels, with the two around it."""


@pytest.fixture(scope="module")
def processor():
    reply = render_call('Tap "Display".', ToolCall("tap", {"point": [1, 2]}), "keyword")
    return Processor(train_tokenizer([f"{reply}: \n✿RETURN✿: Done."] * 9, 450), ImageProcessor(min_pixels=784))


def screen(index):
    return Image.new("RGB", (56, 84), (index % 256, index // 256, 9))


def observation(index, text=""):
    return Observation(screen(index), Frame("screenshot", 56, 84), text)


def turns(count, form="keyword"):
    call = ToolCall("tap", {"point": [500, 100]})
    return [
        Turn(screen(n), "It is dark." if n % 3 == 0 else "", cut_at_stop(render_call("Go on.", call, form), form), None,
             "no such place" if n % 5 == 0 else "")
        for n in range(count)
    ]  # fmt: skip


def noted(turn, form):
    call = ToolCall("note", {"text": "The milk costs 1.09."})
    return replace(turn, reply_text=cut_at_stop(render_call("Keep it.", call, form), form), result_text="")


def in_view(kept):
    return 1 + sum(turn.image is not None for turn in kept)


def test_half_of_the_screens_go_when_there_are_too_many_and_the_words_stay(processor):
    dialogue = replace(DIALOGUE, max_frames=8)
    views = []
    for count in range(20):
        kept = remembered(dialogue, turns(count), observation(count), processor).turns
        assert [turn.reply_text for turn in kept] == [turn.reply_text for turn in turns(count)]
        views.append(in_view(kept))
        assert [turn.image is None for turn in kept] == sorted((turn.image is None for turn in kept), reverse=True)
    assert views == [1, 2, 3, 4, 5, 6, 7, 8, 4, 5, 6, 7, 8, 4, 5, 6, 7, 8, 4, 5]


def test_one_screen_alone_can_be_kept(processor):
    kept = remembered(replace(DIALOGUE, max_frames=1), turns(5), observation(5), processor).turns
    assert in_view(kept) == 1
    assert len(kept) == 5


def test_without_limits_nothing_goes(processor):
    past = turns(30)
    assert remembered(DIALOGUE, past, observation(30), processor) == Past(tuple(past))


def test_screens_go_before_words_when_tokens_run_out():
    """Ten tokens of head, five of words and twenty of screen a turn: three turns are 85, a fourth would be 110.

    At most 50 are to be left: 10 + 4 x 5 + one screen of 20.
    """
    costs = [TurnCost(5, 20)] * 4
    limited = replace(DIALOGUE, max_context_tokens=100)
    assert first_kept(costs[:3], 10, limited) == (0, 0)
    assert first_kept(costs, 10, limited) == (0, 3)


def test_the_oldest_words_go_when_screens_were_not_enough():
    """Words of 40 a turn: after three turns 10 + 120 + 3 are too many, and only 10 + 40 + 1 is within half of 104."""
    costs = [TurnCost(40, 1)] * 3
    assert first_kept(costs, 10, replace(DIALOGUE, max_context_tokens=104)) == (2, 2)


COSTS = st.tuples(st.integers(1, 40), st.integers(0, 60), st.integers(0, 12), st.integers(0, 30))


@pytest.mark.parametrize("memory", ["none", "notes", "summary"])
@given(st.lists(COSTS, min_size=1, max_size=40), st.integers(160, 900))
def test_whatever_the_turns_cost_the_limit_holds_and_the_present_stays(memory, given_costs, limit):
    costs = [TurnCost(*(cost if memory != "none" else cost[:2])) for cost in given_costs]
    before = (0, 0)
    for now in range(len(costs)):
        told, seen = first_kept(costs[: now + 1], 10, replace(DIALOGUE, max_context_tokens=limit, memory=memory))
        assert told <= seen <= now
        assert (told, seen) >= before
        gone = seen if memory == "summary" else told
        kept = 10 + sum(c.words for c in costs[gone : now + 1]) + sum(c.screen for c in costs[seen : now + 1])
        earlier = sum(c.line for c in costs[told:gone]) + min(sum(c.note for c in costs[:gone]), limit / 4)
        assert kept + earlier <= limit
        before = (told, seen)


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
@pytest.mark.parametrize("limit", [500, 900, 1500])
@pytest.mark.parametrize("memory", ["none", "notes", "summary"])
def test_the_encoded_conversation_keeps_to_its_limit(processor, form, limit, memory):
    dialogue = replace(DIALOGUE, form=form, max_context_tokens=limit, memory=memory)
    lengths = []
    for count in range(25):
        past = [noted(turn, form) if n % 4 == 0 else turn for n, turn in enumerate(turns(count, form))]
        kept = remembered(dialogue, past, observation(count, "It is dark."), processor)
        messages = compose(dialogue, kept.turns, observation(count, "It is dark."), kept.earlier)
        lengths.append(len(processor.encode(messages, add_generation_prompt=True).inputs.input_ids))
    assert max(lengths) <= limit
    assert max(lengths) > 0.6 * limit, "nothing goes before it has to"


def test_a_turn_costs_what_its_picture_and_its_words_do(processor):
    plain = turn_cost(Turn(screen(1), "", "abc", (1, 2, 3)), "keyword", processor)
    assert plain.screen == SCREEN
    told = turn_cost(Turn(ImagePart("never opened", size=(56, 84)), "", "abc", (1, 2, 3, 4)), "keyword", processor)
    assert told == TurnCost(plain.words + 1, SCREEN)
    assert turn_cost(Turn(None, "", "abc", (1, 2, 3)), "keyword", processor).screen == 0


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
def test_an_episode_that_lets_go_equals_a_fresh_computation_at_every_step(processor, form):
    text = replace(SMALL.text, vocab_size=len(processor.tokenizer), num_hidden_layers=1)
    config = Qwen2VLConfig(text=text, vision=replace(SMALL.vision, depth=1), tie_word_embeddings=True, dtype="float32")
    model = randomise(Qwen2VL(config.with_tokens(processor.tokenizer.special))).eval()
    encoded = []
    hook = model.visual.register_forward_pre_hook(lambda _, arguments: encoded.append(len(arguments[0])))
    dialogue, cache = replace(DIALOGUE, form=form, max_frames=6), Cache(VisionCache())
    reread = []
    for count in range(26):
        kept = remembered(dialogue, turns(count, form), observation(count), processor)
        inputs = processor(compose(dialogue, kept.turns, observation(count), kept.earlier))
        del encoded[:]
        found = model.generate(inputs, max_new_tokens=1, cache=cache)
        assert encoded == [24], "the new screen only, even where old ones went"
        reread.append(found.tokens["read"])
        with torch.no_grad():
            logprobs = model(inputs)[-1].log_softmax(-1)
        assert found.token_ids == [int(logprobs.argmax())]
        assert found.logprobs == pytest.approx([float(logprobs.max())], abs=1e-4)
    hook.remove()
    steps_that_let_go = {6 + 4 * n for n in range(6)}
    assert {count for count in range(1, 26) if reread[count] > 1.5 * max(reread[1:6])} <= steps_that_let_go
