"""A film of more than twenty minutes: within its tokens and its memory, at exact positions."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from model_sequences import SMALL, randomise
from PIL import Image

from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.config import Qwen2VLConfig
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import train_tokenizer
from qwen2vl_agent.model.vision_cache import VisionCache

MINUTES = 21
PAIRS = MINUTES * 60
"""One a second, at two frames a second."""
MOST_MB = 600
"""What reading a film of 16,384 tokens may take: 308 MB of patches, 231 MB of frames, and the decoder."""

MEASURE = """
import resource, sys
from qwen2vl_agent.model.video_processor import VideoProcessor
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
patches, grid = VideoProcessor()(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, *grid)
"""


def write_film(path: Path, minutes: int, every_s: int = 10) -> Path:
    """A film whose picture changes every few seconds; each picture stands in the file once."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 112, 84, "bgr0"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(minutes * 60 // every_s + 1):
            pixels = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_image(Image.fromarray(pixels).resize((112, 84), Image.Resampling.NEAREST))
            at_ms = number * every_s * 1000 - (0 if number * every_s < minutes * 60 else 40)
            frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "film.mkv", MINUTES)


@pytest.fixture(scope="module")
def processor():
    return Processor(train_tokenizer(["You are a helpful assistant. What happened? user assistant system"] * 3, 300))


@pytest.mark.slow
def test_a_film_of_twenty_minutes_keeps_to_its_tokens_and_its_memory(film):
    words = [sys.executable, "-c", MEASURE, str(film)]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    kilobytes, pairs, rows, columns = map(int, answer.stdout.split())
    assert pairs == PAIRS
    assert 8_192 < pairs * rows * columns // 4 <= 16_384
    assert kilobytes / 1000 < MOST_MB


@pytest.mark.slow
def test_a_film_of_twenty_minutes_is_read_at_exact_positions_and_encoded_picture_by_picture(film, processor):
    content = [{"type": "video", "video": str(film)}, {"type": "text", "text": "What happened?"}]
    inputs = processor([{"role": "user", "content": content}])
    places = (inputs.input_ids == processor.tokenizer.special.video_pad).nonzero().flatten()
    first, last = int(places[0]), int(places[-1])
    rows, columns = (int(side) // 2 for side in inputs.video_grid_thw[0, 1:])
    assert last - first + 1 == PAIRS * rows * columns
    # The text before it ends at first - 1; time goes from first to first + 1259, height and width to 2 and 3 more.
    assert inputs.position_ids[:, last].tolist() == [first + PAIRS - 1, first + rows - 1, first + columns - 1]
    assert inputs.position_ids[:, last + 1].tolist() == [first + PAIRS] * 3
    assert int(inputs.position_ids.max()) == first + PAIRS + len(inputs.input_ids) - last - 2

    text = replace(SMALL.text, vocab_size=len(processor.tokenizer), num_hidden_layers=1)
    config = Qwen2VLConfig(text=text, vision=replace(SMALL.vision, depth=1), tie_word_embeddings=True, dtype="float32")
    model = randomise(Qwen2VL(config.with_tokens(processor.tokenizer.special))).eval()
    encoded = []
    hook = model.visual.register_forward_pre_hook(lambda _, arguments: encoded.append(len(arguments[0])))
    cache = Cache(VisionCache())
    result = model.generate(inputs, max_new_tokens=3, cache=cache)
    hook.remove()
    assert sum(encoded) < 300 * rows * columns * 4, "what stands still is encoded once"
    again = [*inputs.input_ids.tolist(), *result.token_ids]
    more = torch.arange(3).expand(3, -1) + inputs.position_ids.max() + 1
    whole = replace(inputs, input_ids=torch.tensor(again), position_ids=torch.cat((inputs.position_ids, more), dim=1))
    assert result.logprobs == pytest.approx(model.score(whole)[-3:].tolist(), abs=1e-4)
