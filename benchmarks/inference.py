"""How fast the true 2B network runs here beside `transformers`: random weights, two threads, ratios from one run.

    python benchmarks/inference.py                     all keys, about forty minutes
    python benchmarks/inference.py --only vit_738 decode_1k_int4 --json
    python benchmarks/inference.py --keep runs/inference.json --only step_5_int4     one key in a quiet moment
    python benchmarks/inference.py --llama-bin BUILD/bin --llama-source SOURCE       llama.cpp beside both

With --keep what was measured is kept key by key, with the machine's load, and not measured again; table and JSON are of
all that is kept.

`rows_8_…` is no comparison with the peer: a token of one of eight episodes at once beside one of an episode alone.

Every figure is the best of a few runs that all sides take in turns. Ours and the peer's compute in bfloat16; on a
processor that only emulates it in float32, ours with weights of 16 bits (keys then end in `fp16`), as an agent loads
it there. The peer is `transformers` with SDPA, its default. A step of an agent is a new screen of 738 tokens, a
little text, and a call of 60 tokens; the peer's steps are `generate` on the whole conversation, as it works without
code around it: their parts (encoding all screens, prefill, decoding at that length) are measured, prefill once, and
added up. Ours are run, with calls constrained by the phone's tools (a dictated reply, since random weights say
nothing), without guesses. With int4 the vision encoder has 8 bits.

llama.cpp is timed by its own programs with the same random network, converted once (8 GB below runs/llama); its call is
so many tokens without a grammar, its steps are those of a llama-server that keeps its prefix.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from inference_kept import Kept, Seconds
from inference_llama import LlamaCpp
from inference_networks import copied, peer_of, random_model
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from qwen2vl_agent.agent.loading import soonest
from qwen2vl_agent.dialogue.constrain import Constrainer
from qwen2vl_agent.model.cache import Cache
from qwen2vl_agent.model.config import Qwen2VLConfig, preset
from qwen2vl_agent.model.generate import Ending
from qwen2vl_agent.model.generate_many import Request, generate_many
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.precision import fast_dtype
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
DTYPE = fast_dtype("cpu")
PLAIN = {torch.bfloat16: "bf16", torch.float32: "fp16"}[DTYPE]
"""What an agent takes without --quantize on this processor."""
KINDS = (PLAIN, "int8", "int4")
DECODED = 8
"""Tokens of one measurement of decoding."""
KEYS = (
    *(f"vit_{name}" for name in GRIDS),
    "prefill_1k",
    "prefill_4k",
    *(f"decode_1k_{kind}" for kind in KINDS),
    f"decode_4k_{PLAIN}",
    "call_60_int4",
    *(f"{what}_{kind}" for what in ("step_5", "episode_5") for kind in (PLAIN, "int4")),
    *(f"rows_{ROWS}_{kind}" for kind in KINDS),
)


@dataclass(slots=True)
class Bench:
    """Both networks, built when they are first asked for, with the same weights."""

    config: Qwen2VLConfig
    models: dict[str, Qwen2VL] = field(default_factory=dict)
    plain_model: Qwen2VL | None = None
    peer_model: Any = None

    def ours(self, kind: str) -> Qwen2VL:
        """The network with weights of that kind."""
        if kind not in self.models:
            plain = copied(self.plain())
            self.models[kind] = soonest(plain, "cpu") if kind == PLAIN else quantize(plain, kind, vision=kind == "int4")
        return self.models[kind]

    def plain(self) -> Qwen2VL:
        """The network whose weights the others have."""
        if self.plain_model is None:
            self.plain_model = random_model(self.config, DTYPE)
        return self.plain_model

    def peer(self) -> Any:
        """The one of transformers."""
        if self.peer_model is None:
            self.peer_model = peer_of(self.plain())
        return self.peer_model


def _pixels(grid: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    patches = grid[0] * grid[1] * grid[2]
    return torch.randn(patches, 1176, dtype=DTYPE), torch.tensor([grid])


def _text(count: int) -> Tensor:
    return torch.randint(0, 150_000, (count,))


def vit(bench: Bench, name: str) -> Seconds:
    """Encoding one picture."""
    pixels, grid = _pixels(GRIDS[name])
    model, peer = bench.ours(PLAIN), bench.peer()
    theirs = _seconds(lambda: peer.model.visual(pixels, grid_thw=grid))
    return _seconds(lambda: model.visual(pixels, grid)), theirs


def _peer_read(peer: Any, ids_1T: Tensor) -> None:
    kinds_1T = torch.zeros_like(ids_1T)
    peer(input_ids=ids_1T, use_cache=True, logits_to_keep=1, mm_token_type_ids=kinds_1T)


def prefill(bench: Bench, tokens: int, kind: str = PLAIN) -> Seconds:
    """Reading text into an empty cache."""
    ids = _text(tokens)
    model, peer = bench.ours(kind), bench.peer()
    inputs = ModelInputs(ids, torch.arange(tokens).expand(3, -1))
    theirs = _seconds(lambda: _peer_read(peer, ids[None]))
    return _seconds(lambda: model.lm_head(model.hidden_states(inputs, Cache(), last_only=True))), theirs


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _filled(bench: Bench, tokens: int) -> list[tuple[Tensor, Tensor]]:
    """Random keys and values of every layer, `[1, K, S, H]`."""
    text = bench.config.text
    shape = (1, text.num_key_value_heads, tokens, text.head_dim)
    return [(torch.randn(shape, dtype=DTYPE),) * 2 for _ in range(text.num_hidden_layers)]


def _peer_decode(bench: Bench, tokens: int, filled: list[tuple[Tensor, Tensor]]) -> float:
    """Seconds of one token of the peer's, after so many."""
    from transformers import DynamicCache

    peer, cache = bench.peer(), DynamicCache()
    for index, (keys, values) in enumerate(filled):
        cache.update(keys, values, index)

    def write(place: int) -> None:
        positions = torch.full((3, 1, 1), place)
        peer(input_ids=_text(1)[None], past_key_values=cache, position_ids=positions).logits.argmax()

    write(tokens)
    return _seconds(lambda: [write(tokens + 1 + step) for step in range(DECODED)]) / DECODED


def decode(bench: Bench, tokens: int, kind: str) -> Seconds:
    """One token, after so many."""
    model, filled = bench.ours(kind), _filled(bench, tokens)
    inputs = ModelInputs(_text(tokens + 1), torch.arange(tokens + 1).expand(3, -1))

    theirs, cache = _peer_decode(bench, tokens, filled), Cache()
    for layer, (keys, values) in zip(cache.layers(len(filled)), filled, strict=True):
        layer.append(keys.transpose(1, 2), values.transpose(1, 2))
    known = replace(inputs, input_ids=inputs.input_ids[:-1], position_ids=inputs.position_ids[:, :-1])
    cache.keep(known, model.config)
    return model.generate(inputs, max_new_tokens=DECODED + 1, cache=cache).timings["decode"] / DECODED, theirs


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


def call(bench: Bench) -> Seconds:
    """A whole reply after 1,024 tokens, of which the peer writes as many."""
    model, count = bench.ours("int4"), len(vocabulary()[1])
    inputs = ModelInputs(_text(1024), torch.arange(1024).expand(3, -1))
    kept = Cache()
    model.generate(inputs, max_new_tokens=1, cache=kept)
    result = model.generate(inputs, max_new_tokens=2 * count, cache=kept, constraint=dictated())
    assert result.token_ids == vocabulary()[1]
    return result.timings["prefill"] + result.timings["decode"], count * decode(bench, 1024, PLAIN)[1]


def rows(bench: Bench, kind: str) -> Seconds:
    """A token of one of `ROWS` episodes that are continued at once, and of one alone, after 1,024."""
    model = bench.ours(kind)
    inputs = [ModelInputs(_text(1024), torch.arange(1024).expand(3, -1)) for _ in range(ROWS)]
    ending = Ending(max_new_tokens=DECODED + 1, eos_token_ids=())
    requests = [Request(inputs=row, ending=ending, sampler=Sampler(SamplingConfig())) for row in inputs]

    def of_each(asked: list[Request]) -> float:
        asked = [replace(request, cache=Cache()) for request in asked]
        return generate_many(model, asked)[-1].timings["decode"] / DECODED / len(asked)

    alone = of_each(requests[:1])
    return of_each(requests), alone


def conversation(steps: int, config: Qwen2VLConfig) -> ModelInputs:
    """What is read before the call of the last of so many steps."""
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
    whole = conversation(STEPS, bench.config)
    lengths = [len(conversation(step + 1, bench.config).input_ids) for step in range(STEPS)]
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
    """Seconds of each step by `generate` on all of the conversation, added up of measured parts.

    The cache of that length is random: what is attended to does not change how long it takes.
    """
    pixels, grid = _pixels(GRIDS["738"])
    peer, count, seconds = bench.peer(), len(vocabulary()[1]), []
    screen = _seconds(lambda: peer.model.visual(pixels, grid_thw=grid))
    for step in range(1, STEPS + 1):
        length = len(conversation(step, bench.config).input_ids)
        ids = _text(length)[None]
        reading = _seconds(partial(_peer_read, peer, ids))
        seconds.append(step * screen + reading + count * _peer_decode(bench, length, _filled(bench, length)))
    return seconds


def measure(bench: Bench, key: str, kept: Kept) -> Seconds:
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
    ours = kept.steps(kind, lambda: our_steps(bench, kind))
    peer = kept.steps("transformers", lambda: peer_steps(bench))
    return (ours[-1], peer[-1]) if what == "step" else (sum(ours), sum(peer))


def llama_seconds(llama: LlamaCpp, key: str, kept: Kept) -> float:
    """llama.cpp's seconds for a key that is not of several episodes."""
    what, _, rest = key.partition("_")
    lengths = {"1k": 1024, "4k": 4096}
    if what == "vit":
        return llama.encode(GRIDS[rest])
    if what == "prefill":
        return llama.read(lengths[rest])
    if what == "decode":
        length, _, kind = rest.partition("_")
        return llama.decode(lengths[length], kind)
    if what == "call":
        return len(vocabulary()[1]) * llama.decode(1024, "int4")
    kind, written = rest.rpartition("_")[2], len(vocabulary()[1])
    texts = [" go" * count for count in (SYSTEM, *[BESIDE] * (STEPS - 1))]
    steps = kept.steps(f"llama {kind}", lambda: llama.steps(kind, GRIDS["738"], texts, REPLY, written))
    return steps[-1] if what == "step" else sum(steps)


def in_turns(
    bench: Bench, llama: LlamaCpp | None, key: str, kept: Kept, turns: int
) -> tuple[float, float, float | None]:
    """Seconds of ours, the peer's and llama.cpp's (None: not asked): the best of turns that they take."""
    of_llama: list[float] = []

    def both() -> Seconds:
        found = []
        for _ in range(turns):
            found.append(measure(bench, key, kept))
            if llama is not None and not key.startswith("rows"):
                of_llama.append(llama_seconds(llama, key, kept))
        return min(ours for ours, _ in found), min(peer for _, peer in found)

    ours, peer = kept.seconds(key, both)
    if llama is None or key.startswith("rows"):
        return ours, peer, None
    return ours, peer, kept.of_llama(key, lambda: min(of_llama or [llama_seconds(llama, key, kept)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KEYS, default=KEYS, metavar="KEY", help=", ".join(KEYS))
    parser.add_argument("--repeats", type=int, default=2, help="turns of each; the best counts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="file of what was measured: such keys are not measured again")
    parser.add_argument("--layers", type=int, help="so many layers in both stacks, to try the script; no measurement")
    parser.add_argument(
        "--llama-bin", type=Path, help="folder with llama-bench, llama-mtmd-cli, llama-server, llama-quantize"
    )
    parser.add_argument("--llama-source", type=Path, help="llama.cpp's source, whose converter makes the model's files")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    console, bench, kept = Console(stderr=True), Bench(_config(given.layers)), Kept(given.keep)
    llama = _llama(given, bench.config)
    with torch.inference_mode(), Progress(console=console, transient=True) as progress:
        for key in progress.track(given.only, description="measuring"):
            ours, peer, third = in_turns(bench, llama, key, kept, given.repeats)
            console.print(f"{key}: {ours:.3f} s, transformers {peer:.3f} s, {peer / ours:.2f} x", highlight=False)
            if third is not None:
                console.print(f"  llama.cpp {third:.3f} s, {third / ours:.2f} x", highlight=False)
    console.print(kept.table(KEYS))
    if given.json:
        print(json.dumps(kept.to_json(KEYS)))


def _llama(given: argparse.Namespace, config: Qwen2VLConfig) -> LlamaCpp | None:
    if given.llama_bin is None:
        return None
    folder = Path("runs") / ("llama" if given.layers is None else f"llama-{given.layers}")
    return LlamaCpp(given.llama_bin, given.llama_source, folder, config, given.threads)


def _config(layers: int | None) -> Qwen2VLConfig:
    config = preset("2b")
    if layers is None:
        return config
    text, vision = replace(config.text, num_hidden_layers=layers), replace(config.vision, depth=layers)
    return replace(config, text=text, vision=vision)


if __name__ == "__main__":
    main()
