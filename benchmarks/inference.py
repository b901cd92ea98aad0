"""How fast the true 2B network runs here beside `transformers`: random weights, two threads, ratios from one run.

    python benchmarks/inference.py                     all keys, about twenty minutes
    python benchmarks/inference.py --only vit_738 decode_1k_int4 --json

`rows_8_…` is no comparison with the peer: a token of one of eight episodes at once beside one of an episode alone.

Every figure of both sides is the best of a few runs that take turns. The peer is `transformers` in bfloat16 with SDPA,
its default. A step of an agent is a new screen of 738 tokens, a little text, and a call of 60 tokens; the peer's steps
are `generate` on the whole conversation, as it works without code around it: their parts (encoding all screens,
prefill, decoding at that length) are measured and added up. Ours are run, with calls constrained by the phone's tools
(a dictated reply, since random weights say nothing), without guesses. With int4 the vision encoder has 8 bits.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor, nn

from qwen2vl_agent.dialogue.constrain import Constrainer
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.config import preset
from qwen2vl_agent.model.generate import Ending
from qwen2vl_agent.model.generate_many import generate_many
from qwen2vl_agent.model.hf_checkpoint import memory_name, published_name
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.quantize import quantize
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.sampling import Sampler, SamplingConfig
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.tools import tool_spec

GRIDS = {"738": (1, 82, 36), "1272": (1, 106, 48), "1334": (1, 58, 92)}
"""Patches of a phone's 1092 x 2408 screen within 602,112 and 1,003,520 pixels, and of a 1280 x 800 desktop."""
SYSTEM, BESIDE, STEPS = 800, 20, 5
"""Tokens before the first screen and beside each; steps of an episode."""
REPLY = (
    '"Alice Kemp" is not here: scroll down.\n'
    '✿FUNCTION✿: swipe\n✿ARGS✿: {"start": [348, 791], "end": [351, 204], "duration_s": 0.5}\n✿RESULT✿'
)
"""What is dictated: about 60 tokens."""
ROWS = 8
"""Episodes at once."""
KINDS = ("bf16", "int8", "int4")
DECODED = 8
"""Tokens of one measurement of decoding."""
KEYS = (
    *(f"vit_{name}" for name in GRIDS),
    "prefill_1k",
    "prefill_4k",
    *(f"decode_1k_{kind}" for kind in KINDS),
    "decode_4k_bf16",
    "call_60_int4",
    *(f"{what}_{kind}" for what in ("step_5", "episode_5") for kind in ("bf16", "int4")),
    *(f"rows_{ROWS}_{kind}" for kind in KINDS),
)


@dataclass(slots=True)
class Bench:
    """Both networks, built when they are first asked for, with the same weights in bfloat16."""

    repeats: int = 2
    models: dict[str, Qwen2VL] = field(default_factory=dict)
    peer_model: Any = None
    kept: dict[str, float] = field(default_factory=dict)

    def ours(self, kind: str) -> Qwen2VL:
        """The network with weights of that kind."""
        if kind not in self.models:
            plain = _random_model() if kind == "bf16" else _copy(self.ours("bf16"))
            self.models[kind] = plain if kind == "bf16" else quantize(plain, kind, vision=kind == "int4")
        return self.models[kind]

    def peer(self) -> Any:
        """The one of transformers."""
        if self.peer_model is None:
            self.peer_model = _peer(self.ours("bf16"))
        return self.peer_model

    def both(self, key: str, ours: Callable[[], None], peer: Callable[[], None]) -> tuple[float, float]:
        """Seconds of each, the best of some runs that take turns."""
        found: dict[str, list[float]] = {"ours": [], "peer": []}
        for _ in range(self.repeats):
            for name, run in (("peer", peer), ("ours", ours)):
                start = time.perf_counter()
                run()
                found[name].append(time.perf_counter() - start)
        return min(found["ours"]), min(found["peer"])


@torch.no_grad()
def _random_model() -> Qwen2VL:
    with torch.device("meta"):
        model = Qwen2VL(preset("2b"))
    model = model.to(torch.bfloat16).to_empty(device="cpu")
    model.tie_weights()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            parameter.normal_(0.0, 0.02)
    return model.eval().requires_grad_(False)


def _copy(model: Qwen2VL) -> Qwen2VL:
    """The same tensors in a network of its own, so that its layers can be replaced."""
    with torch.device("meta"):
        other = Qwen2VL(model.config)
    other.load_state_dict(model.state_dict(), assign=True)
    other.tie_weights()
    return other.eval().requires_grad_(False)


def _peer(model: Qwen2VL) -> Any:
    """transformers' network around the same tensors."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
    from transformers.initialization import no_init_weights

    with no_init_weights():
        peer = Qwen2VLForConditionalGeneration(Qwen2VLConfig(**model.config.to_hf()))
    named = {published_name(name): value for name, value in model.state_dict().items()}
    for name, value in list(peer.named_parameters(remove_duplicate=False)):
        module, _, last = name.rpartition(".")
        published = published_name(memory_name(name))
        weight = nn.Parameter(named[published].view(value.shape), requires_grad=False)
        setattr(peer.get_submodule(module), last, weight)
    return peer.eval()


def _pixels(grid: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    patches = grid[0] * grid[1] * grid[2]
    return torch.randn(patches, 1176, dtype=torch.bfloat16), torch.tensor([grid])


def _text(count: int) -> Tensor:
    return torch.randint(0, 150_000, (count,))


def vit(bench: Bench, name: str) -> tuple[float, float]:
    """Encoding one picture."""
    pixels, grid = _pixels(GRIDS[name])
    model, peer = bench.ours("bf16"), bench.peer()
    return bench.both(name, lambda: model.visual(pixels, grid), lambda: peer.model.visual(pixels, grid_thw=grid))


def prefill(bench: Bench, tokens: int, kind: str = "bf16") -> tuple[float, float]:
    """Reading text into an empty cache."""
    ids = _text(tokens)
    model, peer = bench.ours(kind), bench.peer()
    inputs, kinds = ModelInputs(ids, torch.arange(tokens).expand(3, -1)), torch.zeros_like(ids)[None]
    return bench.both(
        "",
        lambda: model.lm_head(model.hidden_states(inputs, Cache(), last_only=True)),
        lambda: peer(input_ids=ids[None], use_cache=True, logits_to_keep=1, mm_token_type_ids=kinds),
    )


def decode(bench: Bench, tokens: int, kind: str) -> tuple[float, float]:
    """One token, after so many."""
    from transformers import DynamicCache

    model, peer = bench.ours(kind), bench.peer()
    text = model.config.text
    shape = (1, text.num_key_value_heads, tokens, text.head_dim)
    filled = [(torch.randn(shape, dtype=torch.bfloat16),) * 2 for _ in range(text.num_hidden_layers)]
    inputs = ModelInputs(_text(tokens + 1), torch.arange(tokens + 1).expand(3, -1))

    def ours() -> None:
        cache = Cache()
        for layer, (keys, values) in zip(cache.layers(text.num_hidden_layers), filled, strict=True):
            layer.append(keys.transpose(1, 2), values.transpose(1, 2))
        cache.keep(
            replace(inputs, input_ids=inputs.input_ids[:-1], position_ids=inputs.position_ids[:, :-1]), model.config
        )
        result = model.generate(inputs, max_new_tokens=DECODED + 1, cache=cache)
        bench.kept["ours"] = result.timings["decode"] / DECODED

    def theirs() -> None:
        cache = DynamicCache()
        for index, (keys, values) in enumerate(filled):
            cache.update(keys, values, index)
        peer(input_ids=_text(1)[None], past_key_values=cache, position_ids=torch.full((3, 1, 1), tokens))
        start = time.perf_counter()
        for step in range(DECODED):
            out = peer(
                input_ids=_text(1)[None], past_key_values=cache, position_ids=torch.full((3, 1, 1), tokens + 1 + step)
            )
            out.logits.argmax()
        bench.kept["peer"] = (time.perf_counter() - start) / DECODED

    best = {"ours": float("inf"), "peer": float("inf")}
    for _ in range(bench.repeats):
        for name, run in (("peer", theirs), ("ours", ours)):
            run()
            best[name] = min(best[name], bench.kept[name])
    return best["ours"], best["peer"]


class Dictated:
    """A constraint that has the last word: the grammar works as ever, and leaves the choices to a given reply."""

    def __init__(self, constraint: Any, ids: list[int]) -> None:
        self._constraint, self._ids, self._place = constraint, ids, 0

    def forced(self) -> list[int]:
        return self._constraint.forced()

    def allowed(self) -> Tensor:
        self._constraint.allowed()
        only = torch.zeros(self._ids[self._place] + 1, dtype=torch.bool)
        only[-1] = True
        return only

    def accept(self, token_id: int) -> None:
        assert token_id == self._ids[self._place]
        self._constraint.accept(token_id)
        self._place += 1

    @property
    def open(self) -> bool:
        return self._constraint.open

    @property
    def finished(self) -> bool:
        return self._constraint.finished


@cache
def vocabulary() -> tuple[Any, list[int]]:
    """What makes constraints of the phone's tools in the published vocabulary, and the dictated reply in it."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from qwen_vocabulary import qwen2_folder

    from qwen2vl_agent.model.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_pretrained(qwen2_folder())
    return Constrainer(tokenizer), tokenizer.encode(REPLY)


def dictated() -> Dictated:
    """A constraint for one reply."""
    constrainer, ids = vocabulary()
    return Dictated(constrainer(tuple(map(tool_spec, PHONE_ACTIONS)), "keyword", 2 * len(ids)), ids)


def call(bench: Bench) -> tuple[float, float]:
    """A whole reply after 1,024 tokens, of which the peer writes as many."""
    model, count = bench.ours("int4"), len(vocabulary()[1])
    inputs = ModelInputs(_text(1024), torch.arange(1024).expand(3, -1))
    kept, seconds = Cache(), []
    model.generate(inputs, max_new_tokens=1, cache=kept)
    for _ in range(bench.repeats):
        result = model.generate(inputs, max_new_tokens=2 * count, cache=kept, constraint=dictated())
        assert result.token_ids == vocabulary()[1]
        seconds.append(result.timings["prefill"] + result.timings["decode"])
    return min(seconds), count * decode(bench, 1024, "bf16")[1]


def rows(bench: Bench, kind: str) -> tuple[float, float]:
    """A token of one of `ROWS` episodes that are continued at once, and of one alone, after 1,024."""
    model = bench.ours(kind)
    inputs = [ModelInputs(_text(1024), torch.arange(1024).expand(3, -1)) for _ in range(ROWS)]
    ending = Ending(max_new_tokens=DECODED + 1, eos_token_ids=())
    best = {"one": float("inf"), "all": float("inf")}
    for _ in range(bench.repeats):
        alone = model.generate(inputs[0], max_new_tokens=DECODED + 1)
        together = generate_many(model, inputs, [Cache() for _ in inputs], ending, [Sampler(SamplingConfig())] * ROWS)
        best["one"] = min(best["one"], alone.timings["decode"] / DECODED)
        best["all"] = min(best["all"], together[0].timings["decode"] / DECODED / ROWS)
    return best["all"], best["one"]


def conversation(steps: int) -> ModelInputs:
    """What is read before the call of the last of so many steps."""
    config = preset("2b")
    pixels, grid = _pixels(GRIDS["738"])
    cells = grid.prod().item() // 4
    screen = torch.tensor([config.vision_start_token_id, *[config.image_token_id] * cells, config.vision_end_token_id])
    parts = [_text(SYSTEM)]
    for step in range(steps):
        reply = torch.tensor(vocabulary()[1])
        parts += [screen, _text(BESIDE), *([reply] if step + 1 < steps else [])]
    ids = torch.cat(parts)
    grids = grid.repeat(steps, 1)
    return ModelInputs(ids, mrope_positions(ids, grids, None, config), pixels.repeat(steps, 1), grids)


def our_steps(bench: Bench, kind: str) -> list[float]:
    """Seconds of each step of an episode with its cache, run from beginning to end."""
    model, kept, seconds = bench.ours(kind), Cache(), []
    whole = conversation(STEPS)
    lengths = [len(conversation(step + 1).input_ids) for step in range(STEPS)]
    patches = whole.pixel_values.shape[0] // STEPS
    for step, length in enumerate(lengths):
        inputs = ModelInputs(
            whole.input_ids[:length],
            whole.position_ids[:, :length],
            whole.pixel_values[: patches * (step + 1)],
            whole.image_grid_thw[: step + 1],
        )
        start = time.perf_counter()
        model.generate(inputs, max_new_tokens=2 * len(vocabulary()[1]), cache=kept, constraint=dictated())
        seconds.append(time.perf_counter() - start)
    return seconds


def peer_steps(bench: Bench) -> list[float]:
    """Seconds of each step by `generate` on all of the conversation, added up of measured parts."""
    seconds = []
    screen, count = vit(bench, "738")[1], len(vocabulary()[1])
    for step in range(1, STEPS + 1):
        length = len(conversation(step).input_ids)
        seconds.append(step * screen + prefill(bench, length)[1] + count * decode(bench, length, "bf16")[1])
    return seconds


def measure(bench: Bench, key: str, steps: dict[str, list[float]]) -> tuple[float, float]:
    """Seconds of ours and of the peer's for a key."""
    what, _, rest = key.partition("_")
    if what == "vit":
        return vit(bench, rest)
    if what == "prefill":
        return prefill(bench, {"1k": 1024, "4k": 4096}[rest])
    if what == "decode":
        length, _, kind = rest.partition("_")
        return decode(bench, {"1k": 1024, "4k": 4096}[length], kind)
    if what == "call":
        return call(bench)
    kind = rest.rpartition("_")[2]
    if what == "rows":
        return rows(bench, kind)
    for name, run in ((kind, lambda: our_steps(bench, kind)), ("peer", lambda: peer_steps(bench))):
        if name not in steps:
            steps[name] = run()
    if what == "step":
        return steps[kind][-1], steps["peer"][-1]
    return sum(steps[kind]), sum(steps["peer"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KEYS, default=KEYS, metavar="KEY", help=", ".join(KEYS))
    parser.add_argument("--repeats", type=int, default=2, help="runs of each; the best counts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    console, bench = Console(stderr=True), Bench(given.repeats)
    results: dict[str, tuple[float, float]] = {}
    steps: dict[str, list[float]] = {}
    with torch.inference_mode(), Progress(console=console, transient=True) as progress:
        for key in progress.track(given.only, description="measuring"):
            results[key] = measure(bench, key, steps)
            ours, peer = results[key]
            console.print(f"{key}: {ours:.3f} s, transformers {peer:.3f} s, {peer / ours:.2f} x", highlight=False)
    console.print(_table(results))
    if given.json:
        ratios = {key: round(peer / ours, 3) for key, (ours, peer) in results.items()}
        seconds = {
            key: {"ours": round(ours, 4), "transformers": round(peer, 4)} for key, (ours, peer) in results.items()
        }
        print(json.dumps({"vs_transformers": ratios, "vs_llama": {}, "seconds": seconds, "cpus": os.cpu_count()}))


def _table(results: dict[str, tuple[float, float]]) -> Table:
    table = Table("what", "ours", "transformers", "ratio", title="the true 2B network, random weights, bfloat16 peer")
    for key, (ours, peer) in results.items():
        table.add_row(key, f"{ours:.3f} s", f"{peer:.3f} s", f"{peer / ours:.2f} x")
    return table


if __name__ == "__main__":
    main()
