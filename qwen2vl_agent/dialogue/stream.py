"""Watching without an end: frames come in for as long as one likes, and questions are answered at any moment.

Shape letters: N visual tokens of a frame pair, D width of the language model.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qwen2vl_agent.dialogue.chatml import DEFAULT_SYSTEM
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.cache import Continuation, LayerCache
from qwen2vl_agent.model.generate import Ending, GenerationResult, generate_one
from qwen2vl_agent.model.image_processor import TEMPORAL_PATCH_SIZE, resize
from qwen2vl_agent.model.image_source import load_rgb
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.sampling import Sampler, SamplingConfig
from qwen2vl_agent.model.vision_cache import VisionCache
from qwen2vl_agent.schema.geometry import RESIZE_FACTOR
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart

ROUNDING = 1e-6
"""Of an instant: what a clock in floating point may be off."""
STILL_BYTES = 16 * 2**20
"""Embeddings of recent frame pairs by content: what stands still, or comes back, is encoded once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamConfig:
    """How much of a stream is kept in view."""

    fps: float = 2.0
    """Frames a second that are looked at. Source: technical report §2.1."""
    window_s: float = 240.0
    """Seconds that the window holds at most."""
    max_tokens: int = 8192
    """Visual tokens of a full window; frames are made so small that it fits."""
    move: float = 0.5
    """Share of a full window that is let go at once. Small: it always reaches far back, and is read again often."""
    system: str = DEFAULT_SYSTEM

    def __post_init__(self) -> None:
        if self.fps <= 0 or self.window_s * self.fps < 2 * TEMPORAL_PATCH_SIZE:
            raise ValueError(f"{self.window_s} s at {self.fps} frames a second; expected at least 4 frames")
        if not 0 < self.move < 1:
            raise ValueError(f"move is {self.move}; expected more than 0 and less than 1")

    @property
    def pairs(self) -> int:
        """Frame pairs of a full window."""
        return math.ceil(self.window_s * self.fps / TEMPORAL_PATCH_SIZE)

    @property
    def block(self) -> int:
        """Frame pairs that are let go at once."""
        return min(self.pairs - 1, max(1, round(self.pairs * self.move)))


class StreamSession:
    """A video that never ends, of which the model has read the last minutes.

        session = StreamSession(model, processor)
        session.add(frame)                      # again and again, twice a second
        session.ask("What changed?")

    Two frames make one temporal patch: each pair is encoded and read once, as it comes, after those before it, so that
    an answer costs its question and itself. What is asked is not kept: the stream goes on as if nobody had asked.

    When the window is full, its oldest `block` pairs go. The others then stand earlier in time, and the exact thing to
    do is to read them again (their embeddings are kept, so nothing is encoded again): `pairs - block` readings every
    `block` pairs, which is one more reading a pair where half of the window goes at once, and three more where a
    quarter does. An answer is at every moment that of a fresh computation on the frames of `window`.

    Memory does not grow with time. It is at most `2 x (max_tokens + text)` tokens of keys and values (buffers
    double), `max_tokens` embeddings and 16 MiB: at the published 2B size in bfloat16, 0.5 GB for 8,192 tokens.
    """

    def __init__(self, model: Qwen2VL, processor: Processor, config: StreamConfig | None = None) -> None:
        self.config = config or StreamConfig()
        self._model, self._processor = model, processor
        self._vision = VisionCache(STILL_BYTES)
        self._layers = [LayerCache() for _ in range(model.config.text.num_hidden_layers)]
        self._head, _ = self._around("")
        self._embeds: deque[Tensor] = deque()
        self._size: tuple[int, int] | None = None
        self._shown: np.ndarray | None = None
        self._half: np.ndarray | None = None
        self._begun_s = 0.0
        self._instants = self._gone = 0

    @property
    def window(self) -> range:
        """The instants in view: instant i is i / fps seconds after the first frame."""
        return range(self._gone * TEMPORAL_PATCH_SIZE, self._instants)

    @property
    def nbytes(self) -> int:
        """Memory held: keys and values, embeddings, and the frames of an unfinished pair."""
        frames = sum(frame.nbytes for frame in (self._shown, self._half) if frame is not None)
        kept = sum(layer.nbytes for layer in self._layers) + sum(embed.nbytes for embed in self._embeds)
        return kept + frames + self._vision.bytes_held

    def add(self, frame: Any, at_s: float | None = None) -> None:
        """Take the next frame: a PIL image, path, bytes or array; all are brought to the first one's shape.

        Args:
            at_s: the time in seconds, by any steady clock. A frame is on show until the next one: it stands at every
                instant of the sampling rate in between, so that a camera may be faster, slower or irregular. Left out,
                each frame is one instant.

        Raises:
            ValueError: the time lies before that of an earlier frame.
            MediaError: the frame cannot be read.
        """
        pixels = self._pixels(frame)
        if self._shown is None and at_s is not None:
            self._begun_s = at_s
        at = self._instants if at_s is None else self._instant(at_s)
        if at < self._instants - 1:
            raise ValueError(f"a frame at {at_s} s comes after the {self._instants} instants that were seen already")
        self._hold_until(math.ceil(at - ROUNDING))
        self._shown = pixels
        self._hold_until(math.floor(at + ROUNDING) + 1)

    @torch.inference_mode()
    def ask(
        self,
        question: str,
        at_s: float | None = None,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        seed: int | None = None,
        on_token: Callable[[int], None] | None = None,
    ) -> GenerationResult:
        """What the model says to the window and a question; the last frame is taken to be on show until `at_s`.

        Raises:
            ValueError: there was no frame yet.
        """
        if at_s is not None and self._shown is not None:
            self._hold_until(math.floor(self._instant(at_s) + ROUNDING) + 1)
        if not self.window:
            raise ValueError("there was no frame yet; add one before asking")
        begun, kept, pairs = time.perf_counter(), self._layers[0].length, list(self._embeds)
        try:
            if self._half is not None:  # a lone frame is doubled, as the last one of an odd count is in a file
                pairs.append(self._encoded(self._half, self._half))
                self._read(pairs[-1:], len(pairs) - 1)
            inputs = self._question(question, len(pairs))
            half_s = time.perf_counter() - begun
            ending = Ending(max_new_tokens=max_new_tokens, eos_token_ids=self._model.config.eos_token_ids)
            sampler = Sampler(SamplingConfig(temperature=temperature), seed)
            result = generate_one(self._model, inputs, ending, sampler, Continuation(self._layers), on_token)
        finally:
            self._cut(kept)
        result.timings["prefill"] += half_s
        result.tokens["cached"] = kept
        result.tokens["read"] += sum(len(embed) for embed in pairs[len(self._embeds) :])
        return result

    def _instant(self, at_s: float) -> float:
        return (at_s - self._begun_s) * self.config.fps

    def _hold_until(self, end: int) -> None:
        """Let the frame on show stand at every instant before `end`."""
        if self._shown is None:
            return
        block, pairs = self.config.block, self.config.pairs
        # Once the window shows nothing else, another block of the same picture changes nothing but the time.
        still = (end - self._instants) // TEMPORAL_PATCH_SIZE - pairs - 1
        if still > block:
            blocks = still // block
            self._instants += blocks * block * TEMPORAL_PATCH_SIZE
            self._gone += blocks * block
        while self._instants < end:
            self._instants += 1
            if self._half is None:
                self._half = self._shown
            else:
                self._add_pair(self._encoded(self._half, self._shown))
                self._half = None

    @torch.inference_mode()
    def _add_pair(self, embed_ND: Tensor) -> None:
        """Read one more frame pair; a full window moves first."""
        if len(self._embeds) < self.config.pairs:
            self._embeds.append(embed_ND)
            self._read([embed_ND], len(self._embeds) - 1)
            return
        for _ in range(self.config.block):
            self._embeds.popleft()
        self._gone += self.config.block
        self._embeds.append(embed_ND)
        self._cut(len(self._head))
        self._read(list(self._embeds), 0)

    def _read_head(self) -> None:
        ids = torch.tensor(self._head, device=self._model.device)
        inputs = ModelInputs(ids, torch.arange(len(ids), device=ids.device).expand(3, -1))
        self._model.read(self._model.embed(inputs), inputs, self._layers, last_only=True)

    def _read(self, embeds: Sequence[Tensor], first: int) -> None:
        """Read frame pairs that stand `first`, `first` + 1 … in the window, after all that is kept."""
        if self._layers[0].length == 0:
            self._read_head()
        rows, columns = self._cells()
        times = torch.arange(first, first + len(embeds))
        positions = torch.cartesian_prod(times, torch.arange(rows), torch.arange(columns)).T + len(self._head)
        x_ND = torch.cat(list(embeds))
        ids = torch.full((len(x_ND),), self._model.config.video_token_id)
        inputs = ModelInputs(ids, positions).to(self._model.device)
        self._model.read(x_ND[None], inputs, self._layers, last_only=True)

    def _question(self, question: str, pairs: int) -> ModelInputs:
        """What follows the video: it ends at the greatest of all three components, and text goes on after that."""
        _, tail = self._around(question)
        after = len(self._head) + max(pairs, *self._cells())
        positions = torch.arange(after, after + len(tail)).expand(3, -1)
        return ModelInputs(torch.tensor(tail), positions).to(self._model.device)

    def _around(self, question: str) -> tuple[list[int], list[int]]:
        """The ids before the first visual token and after the last, as the encoder gives them around a picture."""
        picture = ImagePart(Image.new("RGB", (RESIZE_FACTOR, RESIZE_FACTOR)))
        messages = [
            Message("system", (TextPart(self.config.system),)),
            Message("user", (picture, TextPart(question))),
        ]
        ids = self._processor.encode(messages, add_generation_prompt=True).inputs.input_ids
        pads = (ids == self._processor.tokenizer.special.image_pad).nonzero().flatten().tolist()
        return ids[: pads[0]].tolist(), ids[pads[-1] + 1 :].tolist()

    def _cells(self) -> tuple[int, int]:
        """Rows and columns of tokens of a frame."""
        assert self._size is not None
        return self._size[0] // RESIZE_FACTOR, self._size[1] // RESIZE_FACTOR

    def _pixels(self, frame: Any) -> np.ndarray:
        picture = load_rgb(frame)
        if self._size is None:
            videos = replace(self._processor.video_processor, max_tokens=self.config.max_tokens)
            self._size = videos.frame_size(self.config.pairs * TEMPORAL_PATCH_SIZE, picture.width, picture.height)
        return resize(picture, *self._size)

    @torch.inference_mode()
    def _encoded(self, first: np.ndarray, second: np.ndarray) -> Tensor:
        patches, grid = self._processor.video_processor.images.patches(np.stack((first, second)))
        return self._vision.encode(self._model.visual, patches.to(self._model.device), torch.tensor([grid]))

    def _cut(self, length: int) -> None:
        for layer in self._layers:
            layer.length = min(layer.length, length)
