"""All that stands between messages and the model, as one object that loads and saves with a checkpoint."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from qwen2vl_agent.dialogue.chatml import CHAT_TEMPLATE
from qwen2vl_agent.dialogue.encode import Encoded, Encoder, ImageEmbeds
from qwen2vl_agent.model.hub import checkpoint_folder
from qwen2vl_agent.model.image_processor import CONFIG_FILE, Grid, ImageProcessor
from qwen2vl_agent.model.inputs import ModelInputs, pad_left
from qwen2vl_agent.model.tokenizer import FILES as TOKENIZER_FILES
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.model.video_processor import CONFIG_FILE as VIDEO_CONFIG_FILE
from qwen2vl_agent.model.video_processor import VideoProcessor
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError
from qwen2vl_agent.schema.messages import ImagePart, Part, VideoPart, as_messages

JOINT_CONFIG_FILE = "processor_config.json"
"""Where newer versions of transformers keep both processors' settings, one below the other."""
TEMPLATE_FILE = "chat_template.json"
AGENT_FILE = "agent_config.json"
"""The settings of the agent whose dialogues the model was taught, where it was taught any: form, language, detail."""
FILES = (*TOKENIZER_FILES, CONFIG_FILE, VIDEO_CONFIG_FILE, JOINT_CONFIG_FILE, TEMPLATE_FILE, AGENT_FILE)


class Processor:
    """Tokenizer, image and video processor, and the encoder around them."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        image_processor: ImageProcessor | None = None,
        video_processor: VideoProcessor | None = None,
        agent_settings: dict[str, Any] | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.agent_settings = agent_settings or {}
        self.source = ""
        """Folder or hub id that `from_pretrained` read it from; empty where it was put together by hand."""
        self.image_processor = image_processor or ImageProcessor()
        self.video_processor = video_processor or VideoProcessor(images=self.image_processor)
        self._encoder = Encoder(self.tokenizer, self.image_processor, self.video_processor)

    def __call__(self, messages: list[Any], add_generation_prompt: bool = True) -> ModelInputs:
        """What the model reads of a conversation, or the left-padded batch of a list of conversations.

        Raises:
            ConfigError: a message that is not understood.
            MediaError: an image or video that cannot be read.
        """
        if not isinstance(messages, list | tuple) or not messages:
            raise ConfigError("there are no messages; expected a list of messages, or a list of such lists")
        if not isinstance(messages[0], list | tuple):
            return self.encode(messages, add_generation_prompt).inputs
        rows = [self.encode(conversation, add_generation_prompt).inputs for conversation in messages]
        return pad_left(rows, self.tokenizer.special.endoftext)

    def encode(self, messages: list[Any], add_generation_prompt: bool = False) -> Encoded:
        """One conversation's inputs, and labels where a part is a target."""
        return self._encoder(as_messages(list(messages)), add_generation_prompt)

    def encode_document(self, parts: Sequence[Part]) -> Encoded:
        """A page of text and pictures without any dialogue around it."""
        return self._encoder.document(parts)

    def encode_again(self, ids: Sequence[int], labels: Tensor, parts: Sequence[ImagePart | VideoPart]) -> Encoded:
        """What was encoded before, from its ids and labels and its pictures."""
        return self._encoder.again(ids, labels, parts)

    def with_media(
        self,
        images: Callable[[Any], tuple[Tensor, Grid]] | None = None,
        videos: Callable[[Any, float], tuple[Tensor, Grid]] | None = None,
    ) -> "Processor":
        """The same, reading pictures by other functions: videos from a cache of their frames, for example."""
        other = copy.copy(self)
        other._encoder = replace(
            self._encoder, images=images or self._encoder.images, videos=videos or self._encoder.videos
        )
        return other

    @cached_property
    def fingerprint(self) -> str:
        """What decides which tokens a conversation becomes: equal ones encode alike."""
        parts = (self.tokenizer.to_json(), self.image_processor.to_config(), self.video_processor.to_config())
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def with_embeds(self, embeds: ImageEmbeds) -> "Processor":
        """The same, looking images up in `embeds`: for training with a vision encoder that is locked."""
        other = copy.copy(self)
        other._encoder = replace(self._encoder, embeds=embeds)
        return other

    def limited(self, max_pixels: int) -> "Processor":
        """The same, seeing no picture and no frame of a video with more than `max_pixels` after resizing."""
        least = min(self.image_processor.min_pixels, max_pixels)
        images = replace(self.image_processor, min_pixels=least, max_pixels=max_pixels)
        frames = min(self.video_processor.max_pixels, max_pixels)
        videos = replace(
            self.video_processor,
            min_pixels=min(self.video_processor.min_pixels, frames),
            max_pixels=frames,
            images=images,
        )
        other = Processor(self.tokenizer, images, videos, self.agent_settings)
        other.source = self.source
        return other

    def pieces(self, tell: Callable[[str], None]) -> Callable[[int], None]:
        """Takes tokens as they are written and tells their text; a letter of several tokens comes when it is whole."""
        held: list[int] = []

        def on_token(token: int) -> None:
            held.append(token)
            text = self.decode(held)
            if not text.endswith("\ufffd"):
                tell(text)
                held.clear()

        return on_token

    def decode(self, ids: Iterable[int]) -> str:
        """Text of what a model wrote, without the token that ended its turn."""
        special = self.tokenizer.special
        kept = [int(i) for i in ids]
        while kept and kept[-1] in (special.im_end, special.endoftext):
            kept.pop()
        return self.tokenizer.decode(kept)

    @classmethod
    def from_pretrained(cls, name: str | Path) -> "Processor":
        """The processor of a checkpoint folder or hub id.

        Raises:
            CheckpointError: files are missing or damaged.
        """
        folder = checkpoint_folder(name, FILES)
        tokenizer = Tokenizer.from_pretrained(folder)
        joint = _read(folder / JOINT_CONFIG_FILE)
        try:
            images = ImageProcessor.from_config(_read(folder / CONFIG_FILE) or joint.get("image_processor") or {})
            video_config = _read(folder / VIDEO_CONFIG_FILE) or joint.get("video_processor") or {}
            videos = VideoProcessor.from_config(video_config, images)
            processor = cls(tokenizer, images, videos, _read(folder / AGENT_FILE))
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CheckpointError(f"{folder}: the image processor's settings cannot be used: {error}") from error
        processor.source = str(Path(name).resolve()) if Path(name).is_dir() else str(name)
        return processor

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the tokenizer's files, the processors' settings and the chat template."""
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)
        self.video_processor.save_pretrained(folder)
        template = json.dumps({"chat_template": CHAT_TEMPLATE}, indent=2, ensure_ascii=False) + "\n"
        (Path(folder) / TEMPLATE_FILE).write_text(template, encoding="utf-8")
        if self.agent_settings:
            settings = json.dumps(self.agent_settings, indent=2) + "\n"
            (Path(folder) / AGENT_FILE).write_text(settings, encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    """A file's JSON object; empty where there is no file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return content
