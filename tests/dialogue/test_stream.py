"""A stream's answer is, at any moment, that of a fresh computation on the frames in view; its memory stays flat."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_sequences import SMALL, randomise
from PIL import Image

from qwen2vl_agent.dialogue import stream
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.dialogue.stream import StreamConfig, StreamSession
from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.model.video_processor import VideoProcessor

WIDTH, HEIGHT = 84, 56
QUESTION = "What changed?"
SHORT = StreamConfig(window_s=6.0, max_tokens=200)
"""Six pairs of six tokens, three of which go at once."""


@pytest.fixture(scope="module")
def processor():
    tokenizer = train_tokenizer([f"You are a helpful assistant. {QUESTION} user assistant system"] * 3, 320)
    videos = VideoProcessor(WIDTH * HEIGHT, WIDTH * HEIGHT)  # this very size, however many frames there are
    return Processor(tokenizer, ImageProcessor(min_pixels=28 * 28), videos)


@pytest.fixture(scope="module")
def model(processor):
    text = replace(SMALL.text, vocab_size=len(processor.tokenizer), num_hidden_layers=2)
    config = Qwen2VLConfig(text=text, vision=replace(SMALL.vision, depth=1), tie_word_embeddings=True, dtype="float32")
    return randomise(Qwen2VL(config.with_tokens(processor.tokenizer.special))).eval()


@pytest.fixture
def read(model):
    """Tokens that the language model read in one go, call by call."""
    counts = []
    hook = model.language_model.register_forward_pre_hook(lambda _, arguments: counts.append(arguments[0].shape[1]))
    yield counts
    hook.remove()


def picture(number):
    pixels = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def fresh_inputs(processor, frames):
    content = [{"type": "video", "video": list(frames)}, {"type": "text", "text": QUESTION}]
    return processor([{"role": "user", "content": content}])


def assert_same_answer(session, frames, model, processor):
    result = session.ask(QUESTION, max_new_tokens=5)
    fresh = model.generate(fresh_inputs(processor, frames), max_new_tokens=5)
    assert result.token_ids == fresh.token_ids
    assert result.logprobs == pytest.approx(fresh.logprobs, abs=1e-4)


def test_every_answer_is_that_of_a_fresh_computation_on_the_window(model, processor):
    session, frames = StreamSession(model, processor, SHORT), []
    for number in range(45):
        frames.append(picture(number))
        session.add(frames[-1])
        assert session.window.stop == len(frames)
        assert len(session.window) <= 12 + 1
        assert_same_answer(session, frames[session.window.start :], model, processor)
    assert session.window.start == 2 * 3 * 6


def test_a_pair_is_read_as_it_comes_and_a_full_window_is_read_again_in_blocks(model, processor, read):
    session = StreamSession(model, processor, SHORT)
    for number in range(2 * 9):
        session.add(picture(number))
    head, rest = read[0], read[1:]
    assert rest == [6] * 6 + [4 * 6] + [6] * 2
    session.add(picture(18))
    session.add(picture(19))
    assert read[-1] == 4 * 6
    del read[:]
    result = session.ask(QUESTION, max_new_tokens=3)
    assert read[1:] == [1, 1], "an answer reads its question and itself"
    assert result.tokens == {"cached": head + 4 * 6, "read": read[0], "written": 3}
    assert set(result.timings) == {"vit", "prefill", "decode"}


def test_text_goes_on_after_the_greatest_of_all_three_components(model, processor):
    """Two pairs of 2 x 3 cells from p on reach p + 2 in width, so the question begins at p + 3; seven reach p + 6."""
    head = len(StreamSession(model, processor)._around("")[0])
    for pairs, after in ((2, 3), (7, 7)):
        session = StreamSession(model, processor, StreamConfig(window_s=60.0, max_tokens=400))
        for number in range(2 * pairs):
            session.add(picture(number))
        found = session._question(QUESTION, pairs).position_ids
        assert found[:, 0].tolist() == [head + after] * 3
        inputs = fresh_inputs(processor, [picture(0)] * 2 * pairs)
        expected = mrope_positions(inputs.input_ids, None, inputs.video_grid_thw, model.config)
        assert torch.equal(found, expected[:, -found.shape[1] :])


def test_a_frame_is_on_show_until_the_next_one(model, processor):
    """By the clock 0, 0.2, 1.1 and 2.5 s, asked at 3.1 s: instants 0, 0.5 … 3.0 show 0, 1, 1, 2, 2, 3, 3."""
    session = StreamSession(model, processor, StreamConfig(window_s=20.0, max_tokens=200))
    for number, at in enumerate((100.0, 100.2, 101.1, 102.5)):
        session.add(picture(number), at_s=at)
    frames = [picture(number) for number in (0, 1, 1, 2, 2, 3, 3)]
    result = session.ask(QUESTION, at_s=103.1, max_new_tokens=5)
    assert session.window == range(7)
    assert result.token_ids == model.generate(fresh_inputs(processor, frames), max_new_tokens=5).token_ids
    with pytest.raises(ValueError, match="comes after"):
        session.add(picture(9), at_s=101.0)


@pytest.mark.parametrize("idle_s", [2.0, 9.0, 30.5, 31.0, 600.0, 601.5])
def test_a_long_silence_leaves_the_window_that_every_instant_of_it_would(model, processor, idle_s):
    waited, stepped = (StreamSession(model, processor, SHORT) for _ in range(2))
    for number in range(9):
        waited.add(picture(number), at_s=number / 2)
        stepped.add(picture(number))
    end = 4.0 + idle_s
    waited.add(picture(9), at_s=end)
    for _ in range(round(idle_s * 2) - 1):
        stepped.add(picture(8))
    stepped.add(picture(9))
    assert waited.window == stepped.window
    one, other = (session.ask(QUESTION, max_new_tokens=4) for session in (waited, stepped))
    assert one.token_ids == other.token_ids
    assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_days_of_silence_cost_no_more_than_a_window(model, processor, read):
    session = StreamSession(model, processor, SHORT)
    session.add(picture(0), at_s=0.0)
    session.add(picture(1), at_s=10 * 86_400.0)
    assert session.window.stop == 2 * 10 * 86_400 + 1
    assert len(read) < 4 * SHORT.pairs


def test_a_question_leaves_no_trace(model, processor):
    asked, silent = (StreamSession(model, processor, SHORT) for _ in range(2))
    for number in range(7):
        for session in (asked, silent):
            session.add(picture(number))
        asked.ask("And now?", max_new_tokens=4)
    one, other = (session.ask(QUESTION, max_new_tokens=4) for session in (asked, silent))
    assert one.logprobs == other.logprobs


def test_an_interrupted_answer_leaves_the_stream_as_it_was(model, processor):
    session, frames = StreamSession(model, processor, SHORT), [picture(number) for number in range(5)]
    for frame in frames:
        session.add(frame)

    def interrupt(token_id):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.ask(QUESTION, on_token=interrupt)
    assert_same_answer(session, frames, model, processor)


def test_a_window_fits_its_tokens_whatever_the_frames_are(model, processor):
    ordinary = Processor(processor.tokenizer)
    for size in ((640, 480), (1080, 2400), (1280, 720)):
        session = StreamSession(model, ordinary, StreamConfig(window_s=30.0, max_tokens=2000))
        session.add(Image.new("RGB", size))
        rows, columns = session._cells()
        assert 1000 < session.config.pairs * rows * columns <= 2000


@pytest.mark.parametrize(
    ("wrong", "says"), [({"fps": 0.0}, "at least 4 frames"), ({"window_s": 1.0}, "4 frames"), ({"move": 1.0}, "move")]
)
def test_settings_that_make_no_sense_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        StreamConfig(**wrong)


def test_there_is_nothing_to_ask_about_before_the_first_frame(model, processor):
    with pytest.raises(ValueError, match="no frame yet"):
        StreamSession(model, processor).ask(QUESTION)


def live_tensor_bytes():
    gc.collect()
    return sum(item.nbytes for item in gc.get_objects() if issubclass(type(item), torch.Tensor))


@pytest.mark.parametrize("minutes", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_memory_is_flat_however_long_the_stream(model, processor, minutes, monkeypatch):
    """The simulated clock runs at two frames a second; a question comes every minute."""
    monkeypatch.setattr(stream, "STILL_BYTES", 10 * 6 * 64 * 4)
    session, held, alive, frames = StreamSession(model, processor, SHORT), [], [], []
    for number in range(minutes * 120):
        frames = [*frames[-13:], picture(number % 997)]
        session.add(frames[-1], at_s=number / 2)
        if number % 120 == 119:
            assert_same_answer(session, frames[-len(session.window) :], model, processor)
            held.append(session.nbytes)
            alive.append(live_tensor_bytes())
    assert session.window.stop == minutes * 120
    assert set(held) == {held[0]}
    assert set(alive) == {alive[0]}
    assert sum(layer.nbytes for layer in session._layers) == 2 * 2 * 256 * 2 * 16 * 4, "the buffers never grew"
