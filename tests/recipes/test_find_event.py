"""The small model that finds an event: what it sees of a film, and a run from nothing to an answer."""

import pytest

from qwen2vl_agent.data.synthetic.videos import WHICH_COLOUR, EventSource
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes import registry
from qwen2vl_agent.recipes.find_event import make_processor, train
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.messages import Message, TextPart, VideoPart


def test_twenty_minutes_are_one_token_for_each_second():
    example = EventSource(seconds=(1200,)).example(0)
    inputs = example.encode(make_processor()).inputs
    assert inputs.video_grid_thw.tolist() == [[1200, 2, 2]]


def test_a_film_shows_its_event_for_two_seconds_and_the_answer_is_its_colour():
    for number in range(20):
        example = EventSource(seconds=(10,)).example(number)
        _, user, told = example.messages
        assert user.parts[1].text == WHICH_COLOUR
        pictures = [picture.tobytes() for picture in user.parts[0].video]
        assert len(pictures) == 20
        assert told.parts[0].text in ("red", "green", "blue", "yellow", "black", "pink")


def test_a_run_from_nothing_gives_a_model_that_answers(tmp_path):
    assert registry.get("find-event") is train
    small = {"steps": "2", "batch_tokens": "64", "width": "64", "layers": "1", "vision_layers": "1"}
    folder = train(out=tmp_path / "run", overrides=small)
    model, processor = Qwen2VL.from_pretrained(folder), Processor.from_pretrained(folder)
    assert processor.video_processor.max_pixels == 28 * 28
    film = VideoPart(EventSource(seconds=(6,)).example(0).messages[1].parts[0].video)
    inputs = processor([Message("user", (film, TextPart(WHICH_COLOUR)))])
    assert len(model.generate(inputs, max_new_tokens=2).token_ids) <= 2


def test_fields_that_cannot_be_used_are_told(tmp_path):
    with pytest.raises(ConfigError, match="no field 'depth'"):
        train(out=tmp_path, overrides={"depth": "3"})
    with pytest.raises(ConfigError, match="expected int"):
        train(out=tmp_path, overrides={"steps": "many"})
    with pytest.raises(ConfigError, match="steps is too small: 0"):
        train(out=tmp_path, overrides={"steps": "0"})
