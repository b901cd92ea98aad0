"""What is told of steps that went: notes stay, a summary has a line for each, and training is shown the same."""

from dataclasses import replace

import pytest
from PIL import Image

from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose, compose_finished
from qwen2vl_agent.dialogue.earlier import LONGEST_LINE, in_view, note_line, step_line
from qwen2vl_agent.dialogue.memory import remembered, stretches
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.tool_call import cut_at_stop, render_call
from qwen2vl_agent.dialogue.tool_prompt import tool_prompt
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.schema.actions import PHONE_ACTIONS, Tap
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall, tool_spec

DIALOGUE = Dialogue("Buy milk.", tuple(map(tool_spec, PHONE_ACTIONS)), detail="bare")
TAP = ToolCall("tap", {"point": [500, 100]})


def screen(index):
    return Image.new("RGB", (56, 56), (index, 0, 0))


def turn(index, call=TAP, thought="Go on.", error="", form="keyword"):
    return Turn(screen(index), "", cut_at_stop(render_call(thought, call, form), form), result_text=error)


def note(index, text, **more):
    return turn(index, ToolCall("note", {"text": text}), "Keep it.", **more)


def episode(form="keyword"):
    return [
        note(0, "Plan: the list, then the shop.", form=form),
        turn(1, thought="Open the list.", form=form),
        note(2, "Milk,\n2 litres", form=form),
        turn(3, ToolCall("press_key", {"name": "back"}), "Go back.", "there is no such key", form),
        turn(4, thought="Open the shop.", form=form),
        turn(5, ToolCall("done", {"status": "success"}), "It is bought.", form=form),
    ]


@pytest.fixture(scope="module")
def processor():
    texts = [part.text for message in compose_finished(DIALOGUE, episode()) for part in message.parts
             if hasattr(part, "text")]  # fmt: skip
    return Processor(train_tokenizer(texts * 5, 400), ImageProcessor(min_pixels=784, max_pixels=784))


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
def test_a_summary_tells_each_step_in_a_line_and_every_note(form):
    past = in_view(replace(DIALOGUE, form=form, memory="summary"), episode(form)[:5], 0, 4)
    assert past.turns == (episode(form)[4],)
    assert past.earlier == (
        "What you did before:\n"
        '2. Open the list. tap {"point": [500, 100]}\n'
        '4. Go back. press_key {"name": "back"} (there is no such key)\n'
        "Your notes:\n"
        "- Plan: the list, then the shop.\n"
        "- Milk, 2 litres\n"
    )


def test_notes_stay_when_their_steps_go_and_stand_nowhere_twice():
    dialogue = replace(DIALOGUE, memory="notes")
    assert in_view(dialogue, episode(), 0, 3).earlier == ""
    past = in_view(dialogue, episode(), 2, 3)
    assert past.earlier == "Your notes:\n- Plan: the list, then the shop.\n"
    assert past.turns[0].reply_text == episode()[2].reply_text
    assert [kept.image is None for kept in past.turns] == [True, False, False, False]


def test_without_memory_nothing_is_told_of_what_went():
    assert in_view(DIALOGUE, episode(), 3, 4).earlier == ""


def test_it_is_told_in_the_prompts_language():
    past = in_view(replace(DIALOGUE, memory="summary", language="zh"), episode(), 0, 2)
    assert past.earlier.startswith("你之前做过：\n2. Open the list.")
    assert "你的笔记：\n- Plan" in past.earlier


def test_a_note_that_was_refused_is_a_step_like_others():
    refused = note(0, "x", error="this call is not allowed; nothing was done")
    assert note_line(refused, "keyword") == ""
    assert "not allowed" in step_line(refused, 0, "keyword")


def test_what_cannot_be_read_and_what_is_long_becomes_one_line():
    line = step_line(Turn(None, "", "word\n" * 200), 6, "keyword")
    assert line.startswith("7. word word")
    assert (line.count("\n"), len(line) < LONGEST_LINE + 10) == (1, True)


def test_marks_of_the_dialogue_in_notes_and_errors_are_harmless():
    told = in_view(replace(DIALOGUE, memory="summary"), [note(0, "✿RESULT✿: done"), turn(1, error="<tool_call>")], 0, 2)
    assert "✿" not in told.earlier
    assert "<tool_call>" not in told.earlier


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
@pytest.mark.parametrize("memory", ["none", "notes", "summary"])
@pytest.mark.parametrize("limits", [{"max_frames": 2}, {"max_context_tokens": 220}])
def test_training_is_shown_what_the_agent_was_shown_at_every_step(processor, form, memory, limits):
    dialogue = replace(DIALOGUE, form=form, memory=memory, **limits)
    turns = episode(form)
    learnt: dict[int, list[int]] = {}
    for stretch in stretches(dialogue, turns, processor):
        messages = compose_finished(dialogue, stretch.past.turns, stretch.past.earlier)
        encoded = processor.encode(messages).inputs.input_ids.tolist()
        for place in range(stretch.first, len(stretch.past.turns)):
            learnt[turns.index(stretch.past.turns[place])] = encoded
    assert sorted(learnt) == list(range(len(turns))), "each reply is learnt once"
    went = False
    for index, now in enumerate(turns):
        seen = Observation(now.image, Frame("screenshot", 56, 56))
        past = remembered(dialogue, turns[:index], seen, processor)
        went = went or len(past.turns) < index or any(turn.image is None for turn in past.turns)
        prompt = processor(compose(dialogue, past.turns, seen, past.earlier)).input_ids.tolist()
        assert learnt[index][: len(prompt)] == prompt
    assert went


def test_the_newest_notes_are_kept_where_there_is_no_room_for_all(processor):
    dialogue = replace(DIALOGUE, memory="notes", max_context_tokens=200)
    turns = [note(n, f"The price of number {n} is {n * 7}.") for n in range(20)]
    past = remembered(dialogue, turns, Observation(screen(20), Frame("screenshot", 56, 56)), processor)
    told = [int(line.split()[5]) for line in past.earlier.splitlines()[1:]]
    gone = 20 - len(past.turns)
    assert told == list(range(gone - len(told), gone))
    assert 0 < len(told) < gone


def test_a_prompt_asks_for_notes_only_where_they_are_kept():
    tools = DIALOGUE.tools
    assert "Begin with a plan" in tool_prompt(tools, "keyword", asks_for_notes=True)
    assert "Begin with a plan" not in tool_prompt(tools, "keyword")
    assert "plan" not in tool_prompt((tool_spec(Tap),), "keyword", asks_for_notes=True)
    for detail in ("brief", "bare"):
        assert tool_prompt(tools, "keyword", "en", detail, True) == tool_prompt(tools, "keyword", "en", detail)
