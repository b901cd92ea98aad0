"""From messages to the tensors that the model reads. The one encoder: the agent and the trainer both use it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor

from qwen2vl_agent.dialogue.chatml import End, Piece, Start, Text, Written, render
from qwen2vl_agent.dialogue.patch_cache import PatchCache
from qwen2vl_agent.dialogue.tool_call import RESULT
from qwen2vl_agent.model.image_processor import Grid
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.schema.geometry import MERGE_SIZE
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart, VideoPart

NOWHERE = -1
IGNORED = -100
"""Label of a token that is not to be predicted. Source: torch's `cross_entropy(ignore_index=-100)`."""


class ImageEmbeds(Protocol):
    """What a vision encoder made of images, kept (`data/image_embeds.py`)."""

    def get(self, part: ImagePart) -> tuple[Tensor, Grid]:
        """`[tokens, hidden_size]` and the grid of patches."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A conversation in tensors."""

    inputs: ModelInputs
    """A single sequence."""
    labels: Tensor
    """[T] the token at each place where it is to be predicted, -100 elsewhere (the loss shifts by one)."""
    looks: Tensor | None = None
    """[T] the place of the visual token that shows what is written here, -1 where that is not told; None: nowhere."""


@dataclass(slots=True)
class _Row:
    """A sequence under construction."""

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    picture: int = 0
    """Place of the first token of the last picture."""
    images: list[tuple[Tensor, Grid]] = field(default_factory=list)
    videos: list[tuple[Tensor, Grid]] = field(default_factory=list)

    def add(self, ids: Sequence[int], target: bool = False) -> None:
        self.ids += ids
        self.labels += ids if target else [IGNORED] * len(ids)
        self.looks += [NOWHERE] * len(ids)

    def look(self, numbers: Sequence[int]) -> None:
        """Tells which tokens of the last picture show what the last so many ids write."""
        self.looks[len(self.looks) - len(numbers) :] = [NOWHERE if n < 0 else self.picture + n for n in numbers]


@dataclass(frozen=True, slots=True)
class _VisionTokens:
    image_token_id: int
    video_token_id: int
    spatial_merge_size: int = MERGE_SIZE


@dataclass(frozen=True)
class Encoder:
    """Encodes conversations.

    * What a model wrote (`TextPart.token_ids`) is spliced in and never tokenised again.
    * Each stretch of text is tokenised by itself, so that a prompt's ids never depend on what comes after.
    * A picture becomes `<|vision_start|>`, one `<|image_pad|>` for every 2x2 patches, `<|vision_end|>`.
    * Control tokens spelled out in text stay text. Those that mark objects and places (`<|box_start|>` …) are parsed.
    """

    tokenizer: Tokenizer
    images: Callable[[Any], tuple[Tensor, Grid]]
    """An `ImageProcessor`, or what only measures (`data/build.py`)."""
    videos: Callable[[Any, float], tuple[Tensor, Grid]]
    """A `VideoProcessor`, or what keeps its frames (`data/video_cache.py`)."""
    cache: PatchCache = field(default_factory=PatchCache)
    embeds: ImageEmbeds | None = None
    """Where given, images are not cut into patches: what the vision encoder made of them is looked up."""

    def __call__(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> Encoded:
        """The conversation's tensors.

        Raises:
            MediaError: an image or video cannot be read.
        """
        row = _Row()
        pieces: list[Piece | None] = [*render(messages, add_generation_prompt), None]
        before: Piece | None = None
        for piece, after in pairwise(pieces):
            if isinstance(piece, Text) and piece.looks is not None:
                self._read(row, piece, piece.looks)
            elif isinstance(piece, Text):
                text = self._unwritten(piece.text, before) if isinstance(before, Written) else piece.text
                row.add(self.tokenizer.encode(text, parse="grounding"), piece.target)
            elif isinstance(piece, Written):
                self._splice(row, piece, last=after is None)
            elif isinstance(piece, ImagePart | VideoPart):
                self._vision(row, piece)
            elif isinstance(piece, Start):
                row.add([self.tokenizer.special.im_start])
            elif isinstance(piece, End):
                row.add([self.tokenizer.special.im_end], piece.target)
            before = piece
        looks = torch.tensor(row.looks) if any(place != NOWHERE for place in row.looks) else None
        return Encoded(self._inputs(row), torch.tensor(row.labels, dtype=torch.int64), looks)

    def document(self, parts: Sequence[TextPart | ImagePart | VideoPart]) -> Encoded:
        """A page of text and pictures as it stands, between two `<|endoftext|>`; all of its text is a target.

        Raises:
            MediaError: an image or video cannot be read.
        """
        row, separator = _Row(), [self.tokenizer.special.endoftext]
        row.add(separator)
        for part in parts:
            if isinstance(part, TextPart):
                row.add(self.tokenizer.encode(part.text, parse="grounding"), target=True)
            else:
                self._vision(row, part)
        row.add(separator, target=True)
        return Encoded(self._inputs(row), torch.tensor(row.labels, dtype=torch.int64))

    def again(self, ids: Sequence[int], labels: Tensor, parts: Sequence[ImagePart | VideoPart]) -> Encoded:
        """What was encoded before, from its ids and labels; only the pictures are read.

        Raises:
            MediaError: an image or video cannot be read.
            ValueError: a picture has another number of tokens than the ids have.
        """
        row = _Row(ids=list(ids))
        for part in parts:
            self._see(row, part)
        return Encoded(self._inputs(row), labels)

    def _read(self, row: _Row, piece: Text, looks: Sequence[int]) -> None:
        """Adds text whose characters stand in the picture; a token is read where its first such character is."""
        ids, spans = self.tokenizer.offsets(piece.text)
        row.add(ids, piece.target)
        row.look([next((n for n in looks[start:end] if n >= 0), NOWHERE) for start, end in spans])

    def _splice(self, row: _Row, piece: Written, last: bool) -> None:
        """Adds a model's own ids; the turn's end that it wrote is left to `End`, wherever the turn goes on or ends."""
        special = self.tokenizer.special
        ids = list(piece.token_ids)
        while not last and ids and ids[-1] in (special.im_end, special.endoftext):
            ids.pop()
        # A pad that stands for no picture would be taken for one: keep its place with a token that nothing looks for.
        stray = [i in (special.image_pad, special.video_pad) for i in ids]
        row.add([special.vision_pad if odd else i for i, odd in zip(ids, stray, strict=True)], piece.target)
        if piece.target and any(stray):
            row.labels[-len(ids) :] = [IGNORED if odd else i for i, odd in zip(ids, stray, strict=True)]

    def _unwritten(self, text: str, before: Written) -> str:
        """`text` without the beginning that the model has already written itself.

        The environment goes on with `\\n✿RESULT✿: …`, but a model usually writes that keyword, at which it stops, and
        may have been cut in the middle of it: `…✿RESULT✿` leaves `: …`, `…✿RES` leaves `ULT✿: …`.
        """
        rest, shared = text.lstrip("\n"), f"{RESULT}: "
        if not rest.startswith(shared):
            return text
        written = self.tokenizer.decode(before.token_ids, skip_special=True)
        for size in range(len(shared), 0, -1):
            if written.endswith(shared[:size]):
                return rest[size:]
        return rest if written.endswith("\n") else text

    def _vision(self, row: _Row, part: ImagePart | VideoPart) -> None:
        special = self.tokenizer.special
        pad = special.image_pad if isinstance(part, ImagePart) else special.video_pad
        grid = self._see(row, part)
        row.picture = len(row.ids) + 1
        row.add([special.vision_start, *[pad] * (math.prod(grid) // MERGE_SIZE**2), special.vision_end])

    def _see(self, row: _Row, part: ImagePart | VideoPart) -> Grid:
        """Adds a picture's patches; its grid."""
        if isinstance(part, ImagePart):
            row.images.append(self.embeds.get(part) if self.embeds else self.cache.get(part, self.images))
            return row.images[-1][1]
        row.videos.append(self.cache.get(part, lambda video: self.videos(video, part.fps)))
        return row.videos[-1][1]

    def _inputs(self, row: _Row) -> ModelInputs:
        special = self.tokenizer.special
        image_grids, video_grids = [grid for _, grid in row.images], [grid for _, grid in row.videos]
        tokens = _VisionTokens(special.image_pad, special.video_pad)
        return ModelInputs(
            input_ids=torch.tensor(row.ids, dtype=torch.int64),
            position_ids=mrope_positions(row.ids, image_grids, video_grids, tokens),
            **_stacked(row.images, "image_embeds" if self.embeds else "pixel_values", "image_grid_thw"),
            **_stacked(row.videos, "pixel_values_videos", "video_grid_thw"),
        )


def _stacked(made: list[tuple[Tensor, Grid]], pixels: str, grids: str) -> dict[str, Any]:
    if not made:
        return {}
    patches = [patches for patches, _ in made]
    joined = patches[0] if len(patches) == 1 else torch.cat(patches)  # of a long video they are 300 MB
    return {pixels: joined, grids: torch.tensor([grid for _, grid in made])}
