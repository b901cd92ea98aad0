"""Text to token ids and back, with the control tokens kept out of reach of the text itself."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

from qwen2vl_agent.model.hub import checkpoint_folder
from qwen2vl_agent.schema.errors import CheckpointError

SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How text is cut before byte pairs are merged. Source: `PRETOKENIZE_REGEX` of transformers' Qwen2 tokenizer."""

FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")
Parse = Literal["none", "grounding", "all"]


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Ids of the tokens with a meaning of their own, found by name. Source: technical report §2, the 14 of Qwen2-VL."""

    endoftext: int
    im_start: int
    im_end: int
    object_ref_start: int
    object_ref_end: int
    box_start: int
    box_end: int
    quad_start: int
    quad_end: int
    vision_start: int
    vision_end: int
    vision_pad: int
    image_pad: int
    video_pad: int


SPECIAL_NAMES = tuple(item.name for item in fields(SpecialTokens))
SPECIAL_TEXTS = tuple(f"<|{name}|>" for name in SPECIAL_NAMES)
GROUNDING_TEXTS = tuple(text for text in SPECIAL_TEXTS if re.match(r"<\|(object_ref|box|quad)_", text))
_SPLITTERS = {
    "grounding": re.compile("(" + "|".join(map(re.escape, GROUNDING_TEXTS)) + ")"),
    "all": re.compile("(" + "|".join(map(re.escape, SPECIAL_TEXTS)) + ")"),
}


class Tokenizer:
    """A byte-level BPE vocabulary with Qwen2-VL's special tokens."""

    def __init__(self, backend: tokenizers.Tokenizer, config: dict[str, Any] | None = None) -> None:
        """`config` is the content of tokenizer_config.json, kept for saving.

        Raises:
            CheckpointError: the vocabulary lacks one of the special tokens.
        """
        found = {text: backend.token_to_id(text) for text in SPECIAL_TEXTS}
        self._ids = {text: number for text, number in found.items() if number is not None}
        if missing := found.keys() - self._ids.keys():
            raise CheckpointError(f"the vocabulary has no {min(missing)}; expected the 14 special tokens of Qwen2-VL")
        backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TEXTS])
        backend.encode_special_tokens = True  # as plain text: `encode` itself looks for those that it lets through
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        self._config = config or _default_config(backend)
        self.special = SpecialTokens(*self._ids.values())

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuilt through the constructor: the library forgets `encode_special_tokens` when it is pickled."""
        return Tokenizer, (self._backend, self._config)

    def __len__(self) -> int:
        """Number of tokens, special ones included."""
        return self._backend.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str, parse: Parse = "none") -> list[int]:
        """Ids of `text`. Special tokens written in it are plain text, unless `parse` lets them through.

        `grounding`: those that mark objects, boxes and quads. `all`: the control tokens too, for trusted text only.
        """
        if parse == "none":
            return self._plain(text)
        ids: list[int] = []
        for place, piece in enumerate(_SPLITTERS[parse].split(text)):
            ids += [self._ids[piece]] if place % 2 else self._plain(piece)
        return ids

    def _plain(self, text: str) -> list[int]:
        if not text:
            return []
        # A lone surrogate (half of a character, from broken UTF-16) has no bytes to encode.
        text = text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
        return self._backend.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Iterable[int], skip_special: bool = False) -> str:
        """Text of `ids`; bytes that are no UTF-8 become U+FFFD, ids outside the vocabulary nothing."""
        return self._backend.decode([int(i) for i in ids], skip_special_tokens=skip_special)

    def to_json(self) -> str:
        """The content of tokenizer.json, from which other programs build the same vocabulary."""
        return self._backend.to_str()

    def offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of plain `text` and the stretch of characters that each covers."""
        encoding = self._backend.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets

    @classmethod
    def from_pretrained(cls, name: str | Path) -> "Tokenizer":
        """The tokenizer of a checkpoint folder or hub id: of tokenizer.json, else of vocab.json and merges.txt.

        Raises:
            CheckpointError: the files are missing or damaged.
        """
        folder = checkpoint_folder(name, FILES)
        config_file = folder / "tokenizer_config.json"
        try:
            config = json.loads(config_file.read_text("utf-8")) if config_file.is_file() else None
            return cls(_read_backend(folder, config or {}), config)
        except CheckpointError as error:
            raise CheckpointError(f"{folder}: {error}") from error
        except BaseException as error:
            if not broke_in_tokenizers(error):
                raise
            raise CheckpointError(f"{folder}: the tokenizer's files cannot be read: {error}") from error

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes tokenizer.json, tokenizer_config.json, vocab.json and merges.txt."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._backend.save(str(folder / "tokenizer.json"), pretty=False)
        model = json.loads(self._backend.to_str())["model"]
        merges = (pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"])
        (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
        text = json.dumps(self._config, ensure_ascii=False, indent=2) + "\n"
        (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-complete vocabulary learnt from `texts`, of at most `vocab_size` tokens, the special ones included.

    The ids run on without a gap: 256 bytes, merges, then the 14 special tokens.
    """
    smallest = 256 + len(SPECIAL_TEXTS)
    if vocab_size < smallest:
        raise ValueError(f"vocab_size must be at least {smallest} (256 bytes and the special tokens), got {vocab_size}")
    backend = _empty_backend(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TEXTS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    _append_special(backend)
    return Tokenizer(backend)


def broke_in_tokenizers(error: BaseException) -> bool:
    """Whether an error is one that damaged files cause in the tokenizers library.

    It raises bare `Exception`, and where its Rust panics a `PanicException`, which is none and cannot be imported.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def build_tokenizer(
    vocab: dict[str, int], merges: Sequence[tuple[str, str]], stretches: Sequence[str] = ()
) -> Tokenizer:
    """A tokenizer of a ready vocabulary (byte-level spelling) and its merges in order; special tokens are appended.

    `stretches` are texts that are one token each wherever they stand, whatever the pattern would cut.
    """
    backend = _empty_backend(models.BPE(vocab=vocab, merges=list(merges), fuse_unk=False, byte_fallback=False))
    backend.add_tokens([AddedToken(text, normalized=False) for text in stretches])
    _append_special(backend)
    return Tokenizer(backend)


def _empty_backend(model: models.BPE) -> tokenizers.Tokenizer:
    """Qwen2's way from text to bytes around `model`. Source: transformers' `Qwen2Tokenizer`."""
    backend = tokenizers.Tokenizer(model)
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    return backend


def _append_special(backend: tokenizers.Tokenizer) -> None:
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TEXTS])


def _read_backend(folder: Path, config: dict[str, Any]) -> tokenizers.Tokenizer:
    if (folder / "tokenizer.json").is_file():
        return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    vocab_file, merges_file = folder / "vocab.json", folder / "merges.txt"
    if not (vocab_file.is_file() and merges_file.is_file()):
        raise CheckpointError("no tokenizer.json, nor vocab.json with merges.txt; is this a complete checkpoint?")
    vocab, merges = models.BPE.read_file(str(vocab_file), str(merges_file))
    backend = _empty_backend(models.BPE(vocab=vocab, merges=merges, fuse_unk=False, byte_fallback=False))
    listed = config.get("added_tokens_decoder", {})
    for _, token in sorted(listed.items(), key=lambda item: int(item[0])):  # in order, so that they get their own ids
        added = AddedToken(token["content"], special=token.get("special", True), normalized=False)
        backend.add_special_tokens([added]) if added.special else backend.add_tokens([added])
    _append_special(backend)
    return backend


def _default_config(backend: tokenizers.Tokenizer) -> dict[str, Any]:
    """A tokenizer_config.json in the published spelling."""
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    added = sorted(backend.get_added_tokens_decoder().items())
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(number): {"content": token.content, "special": token.content in SPECIAL_TEXTS, **flags}
            for number, token in added
        },
        "additional_special_tokens": list(SPECIAL_TEXTS[1:]),
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 32768,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
