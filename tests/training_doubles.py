"""Small stand-ins for the tests of data and training: sources of made-up examples and an encoder without files."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.loader import Loader
from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.dialogue.encode import Encoded
from qwen2vl_agent.model.config import TextConfig, VisionConfig, preset
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.schema.errors import MediaError
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart

VOCABULARY = 160

SPECIAL = SimpleNamespace(
    image_pad=150, video_pad=151, vision_start=152, vision_end=153, vision_pad=154, endoftext=155, im_end=156
)
SMALL = replace(
    preset("tiny").with_tokens(SPECIAL),
    text=TextConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=48,
        mrope_section=(2, 3, 3),
        max_window_layers=2,
    ),
    vision=VisionConfig(depth=1, embed_dim=32, num_heads=2),
)


@dataclass(frozen=True)
class Copying:
    """Examples to copy a short text, some with an image of 2 x `columns` patches."""

    name: str = "copying"
    columns: int = 2
    seed: int = 0

    def example(self, index: int) -> Example:
        noise = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
        text = "".join(chr(97 + int(letter)) for letter in torch.randint(0, 8, (3 + index % 4,), generator=noise))
        picture = (ImagePart((2, self.columns, index)),) if index % 3 else ()
        asked = Message("user", (*picture, TextPart(text)))
        return Example([asked, Message("assistant", (TextPart(text, target=True),))], self.name)


@dataclass(frozen=True)
class Broken:
    """A source whose images cannot be read from some index on."""

    name: str = "broken"
    good: int = 3

    def example(self, index: int) -> Example:
        if index >= self.good:
            raise MediaError("the picture is torn")
        return Copying().example(index)


class LetterProcessor:
    """Encodes letters by their code and an "image" (rows, columns, seed) by random patches."""

    def encode(self, messages: list[Message]) -> Encoded:
        ids, labels, grids, pixels = [], [], [], []
        for message in messages:
            ids.append({"user": 1, "assistant": 2, "system": 3}[message.role])
            labels.append(-100)
            for part in message.parts:
                if isinstance(part, ImagePart):
                    rows, columns, seed = part.image
                    grids.append([1, rows, columns])
                    pixels.append(torch.randn(rows * columns, 1176, generator=torch.Generator().manual_seed(seed)))
                    new = [152, *[150] * (rows * columns // 4), 153]
                else:
                    assert isinstance(part, TextPart)
                    new = [ord(letter) % 150 for letter in part.text]
                target = isinstance(part, TextPart) and part.target
                ids += new
                labels += new if target else [-100] * len(new)
        inputs = ModelInputs(
            torch.tensor(ids),
            mrope_positions(ids, grids, None, SMALL),
            torch.cat(pixels) if pixels else None,
            torch.tensor(grids) if grids else None,
        )
        return Encoded(inputs, torch.tensor(labels))


def small_model(seed: int = 0) -> Qwen2VL:
    return Qwen2VL(SMALL, seed=seed)


def mixture(seed: int = 0) -> Mixture:
    return Mixture(((Copying("a"), 1), (Copying("b", columns=4, seed=7), 1)), seed)


def loader(budget: int = 100, start: int = 0, seed: int = 0, workers: int = 0) -> Loader:
    return Loader(mixture(seed), LetterProcessor(), budget, start=start, workers=workers)


def train_small(out, steps: int, *, resume: bool = False, model: Qwen2VL | None = None) -> Qwen2VL:
    """A short run with a checkpoint every two steps; its course does not depend on how long it may last."""
    from qwen2vl_agent.training.config import TrainConfig
    from qwen2vl_agent.training.trainer import Trainer

    torch.set_num_threads(1)
    config = TrainConfig(
        steps=steps, min_lr_ratio=1.0, warmup_steps=1, dtype="float32", log_every=1, checkpoint_every_steps=2
    )
    model = model or small_model()
    Trainer(config, model, loader(), out, resume=resume).fit()
    return model
