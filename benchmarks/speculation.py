"""How long should guesses be? Counts passes over recorded episodes, and times passes of several lengths in turn.

    python benchmarks/speculation.py runs/lessons --episodes 40

The episodes' replies are taken for what a model writes: greedy text is the same with and without guesses, so passes can
be counted without a model. Times are process times of one thread, and good as ratios only.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from qwen2vl_agent.dialogue.constrain import Constrainer
from qwen2vl_agent.model.cache import LayerCache
from qwen2vl_agent.model.config import preset
from qwen2vl_agent.model.layers import text_rotary
from qwen2vl_agent.model.lookup import Lookup
from qwen2vl_agent.model.masks import text_visibility
from qwen2vl_agent.model.text import LanguageModel
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.recipes.spelled_vocabulary import spelled_tokenizer
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.tools import tool_spec
from qwen2vl_agent.schema.trajectory import Trajectory
from qwen2vl_agent.trajectory.store import episodes, read_episode

LENGTHS = (0, 1, 2, 4, 6, 8, 12)
READ_AT_ONCE = (1, 2, 4, 8, 16)
CONTEXT = 1500
PICTURE = -1
"""Stands for the screens between replies, which no guess goes beyond."""


@dataclass
class Reply:
    """A reply, what stood before it, and what a grammar would have forced at each of its places."""

    before: list[int]
    ids: list[int]
    forced: list[list[int]]

    def passes(self, length: int, constrained: bool) -> tuple[int, int, int]:
        """Passes of the model, tokens read in them, and tokens guessed right, with guesses of at most this length."""
        lookup = Lookup([*self.before, self.ids[0]], length, (PICTURE,)) if length else None
        passes = read = right = place = 0
        while place < len(self.ids) - 1:
            rest = self.ids[place + 1 :]
            sure = self.forced[place + 1] if constrained else []
            ahead = sure + (lookup.guess(sure) if lookup else [])
            same = sum(itertools.takewhile(bool, (a == b for a, b in zip(ahead, rest, strict=False))))
            passes, read = passes + 1, read + 1 + len(ahead)
            right += max(0, same - len(sure))
            for token_id in rest[: same + 1] if lookup else ():
                lookup.append(token_id)
            place += same + 1
        return passes, read, right


def replies(trajectory: Trajectory, tokenizer: Tokenizer, constrainer: Constrainer) -> Iterator[Reply]:
    """The replies of an episode, each after all that came before."""
    before = [*tokenizer.encode(trajectory.header.goal), PICTURE]
    tools = tuple(map(tool_spec, PHONE_ACTIONS))
    for step in trajectory.steps:
        ids = tokenizer.encode(f"{step.reply.text}\n✿RESULT✿")
        constraint = constrainer(tools, "keyword", 256)
        forced: list[list[int]] = []
        for token_id in ids:
            forced.append(constraint.forced())
            constraint.accept(token_id)
        yield Reply(list(before), ids, forced)
        before += [*ids, PICTURE]


def count(found: Sequence[Reply], console: Console, title: str) -> None:
    """Shows passes and tokens read by length of the guesses."""
    table = Table(
        "guesses of", "passes/token", "read/pass", "right of guessed", "with grammar", "read/pass", title=title
    )
    tokens = sum(len(reply.ids) for reply in found)
    for length in LENGTHS:
        sums = [
            [sum(n) for n in zip(*(reply.passes(length, c) for reply in found), strict=True)] for c in (False, True)
        ]
        (passes, read, right), (fewer, read_then, _) = sums
        guessed = read - passes
        share = f"{right / guessed:.2f}" if guessed else ""
        cells = (passes / tokens, read / passes, share, fewer / tokens, read_then / fewer)
        table.add_row(str(length), *(c if isinstance(c, str) else f"{c:.3f}" for c in cells))
    console.print(table)


def time_passes(forwards: dict[int, Callable[[], object]], rounds: int) -> dict[int, float]:
    """The least time of a pass for each number of tokens, measured in turn."""
    least = dict.fromkeys(forwards, float("inf"))
    for _ in range(rounds):
        for tokens, forward in forwards.items():
            begin = time.process_time()
            forward()
            least[tokens] = min(least[tokens], time.process_time() - begin)
    return least


def passes_of(size: str, layers: int, dtype: torch.dtype) -> dict[int, Callable[[], object]]:
    """Passes of `layers` layers of a published size after a long context, by the number of tokens read at once."""
    config = replace(preset(size).text, num_hidden_layers=layers, vocab_size=1024)
    text = LanguageModel(config).to(dtype).eval()
    caches = [LayerCache() for _ in range(layers)]
    heads = (config.num_key_value_heads, config.hidden_size // config.num_attention_heads)
    for cache in caches:
        cache.append(torch.randn(1, CONTEXT, *heads, dtype=dtype), torch.randn(1, CONTEXT, *heads, dtype=dtype))

    def forward(tokens: int) -> None:
        for cache in caches:
            cache.cut(CONTEXT)
        positions = torch.arange(CONTEXT, CONTEXT + tokens).expand(3, 1, -1)
        rotary = text_rotary(positions, config.mrope_section, config.rope_theta, dtype)
        x = torch.randn(1, tokens, config.hidden_size, dtype=dtype)
        with torch.inference_mode():
            text(x, rotary, text_visibility(tokens, CONTEXT), caches)

    return {tokens: lambda tokens=tokens: forward(tokens) for tokens in READ_AT_ONCE}


def main() -> int:
    """Counts, then times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="recorded episodes")
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--tokenizer", default="", help="folder or hub id; the embedded vocabulary if left out")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    tokenizer = Tokenizer.from_pretrained(asked.tokenizer) if asked.tokenizer else spelled_tokenizer()
    constrainer = Constrainer(tokenizer)
    folders = list(itertools.islice(episodes(asked.folder), asked.episodes))
    found = [
        reply
        for folder in track(folders, "reading episodes", console=console)
        for reply in replies(read_episode(folder), tokenizer, constrainer)
    ]
    count(found, console, f"{len(found)} replies of {len(folders)} episodes")
    for size, layers, dtype in (("tiny", 5, torch.float32), ("2b", 1, torch.bfloat16)):
        least = time_passes(passes_of(size, layers, dtype), asked.rounds)
        ratios = ", ".join(f"{tokens}: {least[tokens] / least[1]:.2f}" for tokens in READ_AT_ONCE)
        console.print(f"a pass over so many tokens, in passes over one ({size}, {dtype}): {ratios}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
