"""What a locked vision encoder makes of pictures, made once: stage 3 then pays for the language model only.

A shard is `embeds-NNNN.npy` (bfloat16, as its bits: pictures, tokens, width) with `embeds-NNNN.json` (grid and keys).
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qwen2vl_agent.dialogue.patch_cache import content_key
from qwen2vl_agent.model.image_processor import Grid, ImageProcessor
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import ImagePart

BATCH = 8
"""Pictures encoded together."""


class ImageEmbeds:
    """The embeds of some folders, by the pictures' content."""

    def __init__(self, *folders: Path | str) -> None:
        """Maps every shard of the folders into memory.

        Raises:
            RecordError: there are none, or they are damaged.
        """
        self._folders = tuple(map(Path, folders))
        self._shards: list[tuple[Any, Grid]] = []
        self._places: dict[str, tuple[int, int]] = {}
        for folder in self._folders:
            found = sorted(folder.glob("embeds-*.json"))
            if not found:
                raise RecordError(f"{folder} holds no embeds; expected embeds-*.json")
            for index in found:
                bits, grid, keys = _shard(index)
                self._places.update({key: (len(self._shards), row) for row, key in enumerate(keys)})
                self._shards.append((bits, grid))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, part: ImagePart) -> bool:
        return embed_key(part) in self._places

    def get(self, part: ImagePart) -> tuple[Tensor, Grid]:
        """`[tokens, hidden_size]` in bfloat16, and the grid of patches.

        Raises:
            RecordError: the picture was not encoded.
        """
        key = embed_key(part)
        if key not in self._places:
            raise RecordError(f"{', '.join(map(str, self._folders))}: no embeds of the picture {key}")
        shard, row = self._places[key]
        bits, grid = self._shards[shard]
        return torch.from_numpy(np.array(bits[row])).view(torch.bfloat16), grid

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process maps the same files."""
        return ImageEmbeds, self._folders


def _shard(index: Path) -> tuple[Any, Grid, list[str]]:
    """The values of a shard, mapped into memory, the grid of its pictures, and their keys.

    Raises:
        RecordError: it is damaged.
    """
    try:
        described = json.loads(index.read_text("utf-8"))
        bits = np.load(index.with_suffix(".npy"), mmap_mode="r")
        t, h, w = map(int, described["grid"])
        keys = list(map(str, described["keys"]))
    except Exception as error:  # numpy's reader of headers is a parser of Python, and raises whatever that raises
        raise RecordError(f"{index} and what lies beside it are no embeds: {error!r}; encode them again") from error
    if bits.dtype != np.int16 or bits.ndim != 3 or len(bits) != len(keys):
        raise RecordError(
            f"{index}: {len(keys)} keys for {bits.dtype} of the shape {list(bits.shape)}; encode them again"
        )
    return bits, (t, h, w), keys


def embed_key(part: ImagePart) -> str:
    """What a picture is found by."""
    key = content_key(part)
    if key is None:
        raise RecordError(f"a picture of type {type(part.image).__name__} has no content to find embeds by")
    digest = key[-1]
    return digest.hex() if isinstance(digest, bytes) else str(digest)


def write_embeds(folder: Path, number: int, model: Any, images: ImageProcessor, parts: Sequence[ImagePart]) -> None:
    """Encodes pictures of one size into shard `number`; a shard that is there already is complete and stays."""
    index = folder / f"embeds-{number:04d}.json"
    if index.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    kept, grids = [], set()
    for start in range(0, len(parts), BATCH):
        patches, batch_grids = zip(*(images(part.image) for part in parts[start : start + BATCH]), strict=True)
        grids |= set(batch_grids)
        with torch.inference_mode():
            made = model.visual(torch.cat(patches).to(model.device, model.dtype), torch.tensor(batch_grids))
        kept.append(made.to(torch.bfloat16).unflatten(0, (len(patches), -1)).view(torch.int16).cpu().numpy())
    if len(grids) != 1:
        raise RecordError(f"the pictures of a shard of embeds have several sizes: grids {sorted(grids)}")
    draft = index.with_suffix(f".{os.getpid()}.npy")
    np.save(draft, np.concatenate(kept))
    draft.rename(index.with_suffix(".npy"))
    described = {"grid": grids.pop(), "keys": [embed_key(part) for part in parts]}
    unfinished = index.with_suffix(f".{os.getpid()}.tmp")
    unfinished.write_text(json.dumps(described), encoding="utf-8")
    unfinished.rename(index)
