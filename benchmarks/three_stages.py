"""The three stages on pictures of text, one after the other: `python benchmarks/three_stages.py --out docs/images`.

A picture shows a word of four letters, drawn with a font, a place, inks and noise of their own. Before stage 1 a
language model learns from letters alone to repeat what stands where a picture will stand: the stand-in for Qwen2's
checkpoint (T5).

| stage | learns | from |
| --- | --- | --- |
| 1 | vision encoder and merger | pictures with the words that they show |
| 2 | everything | the same, questions, and words without pictures, a third of the rows each |
| 3 | the language model | questions: which letter stands first, second, third or fourth; only the answer is learnt |

Each stage is a run of the trainer of jobs, and begins from what the one before exported. Words of the test occur in no
training, nor do their drawings of the letters.
"""

import argparse
import json
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from small_worlds import SPECIAL, accuracy, network

from qwen2vl_agent.data.packing import Batch, Row, pack
from qwen2vl_agent.data.synthetic.fonts import bundled, font
from qwen2vl_agent.model.image_processor import ImageProcessor
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.metrics import METRICS_FILE, read_metrics
from qwen2vl_agent.training.parallel.grid import joined
from qwen2vl_agent.training.parallel.layout import Layout
from qwen2vl_agent.training.parallel.trainer import JobTrainer

LETTERS, LENGTH, CELL = string.ascii_uppercase, 4, 28
FIRST_LETTER, SAY, ASK, END = 4, 40, 41, 60
"""Ids: of A, of "what does it say", of "which is the first letter" (and the three after it), of an answer's end."""
CONFIG = network(64, 2, rope_theta=10.0)
"""With the published base, 1,000,000, columns turn by 0.0002 a token: a network of this size sees no order in them."""
EXAMPLES = 48
"""Of a step."""
HELD_OUT = 7
"""Words whose letters' numbers add up to a multiple of this are for the test."""
LR = {"stage 0": 3e-3, "stage 1": 3e-3, "stage 2": 1e-3, "stage 3": 1e-3}


class Letters:
    """Drawings of every letter, as the four patches of one token each."""

    def __init__(self, seed: int, drawings: int = 240) -> None:
        rng = np.random.default_rng(seed)
        word = ["".join(LETTERS[i : i + LENGTH]) for i in range(0, len(LETTERS), LENGTH)]
        cells = [[self._drawn(rng, text.ljust(LENGTH)) for text in word] for _ in range(drawings)]
        self._patches = np.stack([np.concatenate(each)[: len(LETTERS)] for each in cells])

    def _drawn(self, rng: np.random.Generator, text: str) -> np.ndarray:
        """`[letters, 4, 1176]`."""
        paper, ink = rng.integers(150, 256, 3), rng.integers(0, 100, 3)
        picture = Image.new("RGB", (CELL * LENGTH, CELL), tuple(map(int, paper)))
        drawing, face = ImageDraw.Draw(picture), font(str(rng.choice(bundled())), int(rng.integers(18, 25)))
        for place, letter in enumerate(text):
            middle = CELL * (place + 0.5) + rng.uniform(-3, 3), CELL / 2 + rng.uniform(-3, 3)
            drawing.text(middle, letter, tuple(map(int, ink)), face, anchor="mm")
        noisy = np.asarray(picture, np.float64) + rng.normal(0, 8, (CELL, CELL * LENGTH, 3))
        patches, _ = ImageProcessor().patches(noisy.clip(0, 255).astype(np.uint8)[None])
        return patches.numpy().astype(np.float32).reshape(LENGTH, 4, -1)

    def picture(self, rng: np.random.Generator, word: np.ndarray) -> torch.Tensor:
        """Patches of a word, each letter in one of its drawings."""
        chosen = self._patches[rng.integers(len(self._patches), size=LENGTH), word]
        return torch.from_numpy(chosen.reshape(4 * LENGTH, -1))


def new_word(rng: np.random.Generator, held_out: bool) -> np.ndarray:
    """Numbers of its letters."""
    while True:
        word = rng.integers(0, len(LETTERS), LENGTH)
        if (word.sum() % HELD_OUT == 0) == held_out:
            return word


def example(rng: np.random.Generator, letters: Letters, kind: str, held_out: bool = False) -> Row:
    """`text`: letters where a picture would be, and again; `read`: a picture and its letters; `ask`: a letter of it."""
    word = new_word(rng, held_out)
    place = int(rng.integers(LENGTH))
    shown = [SPECIAL.vision_start, *[SPECIAL.image_pad] * LENGTH, SPECIAL.vision_end]
    grid = [1, 2, 2 * LENGTH]
    spelled = [FIRST_LETTER + int(letter) for letter in word]
    question, answer = ([ASK + place], [spelled[place]]) if kind == "ask" else ([SAY], spelled)
    ids = torch.tensor([*shown, *question, *answer, END])
    positions = mrope_positions(ids, [grid], [], CONFIG)
    known = len(shown) + len(question)
    labels = torch.tensor([-100] * known + [*answer, END])
    if kind == "text":
        ids[1 : 1 + LENGTH] = torch.tensor(spelled)
        return Row(ModelInputs(ids, positions), labels, kind)
    return Row(ModelInputs(ids, positions, letters.picture(rng, word), torch.tensor([grid])), labels, kind)


class Stream:
    """One packed row a step, a pure function of the stage and the step."""

    waited_s = 0.0

    def __init__(self, kinds: tuple[str, ...], seed: int) -> None:
        self.sources = list(dict.fromkeys(kinds))
        self._kinds, self._seed, self._step, self._letters = kinds, seed, 0, Letters(seed=0)

    def next_rows(self) -> list[Batch]:
        """Of this step."""
        rng = np.random.default_rng([self._seed, self._step])
        self._step += 1
        each = [self._kinds[number % len(self._kinds)] for number in range(EXAMPLES)]
        return [pack([example(rng, self._letters, kind) for kind in each])]

    def positions(self) -> list[int]:
        """The step."""
        return [self._step]

    def seek(self, positions: list[int]) -> None:
        """Go on there."""
        (self._step,) = positions

    def describe(self) -> dict[str, Any]:
        """What fixes the order."""
        return {"kinds": list(self._kinds), "seed": self._seed}

    def close(self) -> None:
        """Nothing is open."""


STAGES: dict[str, tuple[tuple[str, ...], TrainConfig]] = {
    "stage 0": (("text",), TrainConfig(steps=1, trainable=("language_model.",))),
    "stage 1": (("read",), TrainConfig(steps=1, stage="stage1")),
    "stage 2": (("read", "ask", "text"), TrainConfig(steps=1, stage="stage2")),
    "stage 3": (("ask",), TrainConfig(steps=1, stage="stage3")),
}


def run(name: str, model: Qwen2VL, out: Path, steps: int) -> Qwen2VL:
    """Train one stage, or go on with it, and load what it exported."""
    kinds, config = STAGES[name]
    config = replace(
        config, steps=steps, lr=LR[name], dtype="float32", warmup_steps=30, log_every=10, weight_decay=0.01
    )
    with joined(Layout()) as grid:
        data = Stream(kinds, seed=list(STAGES).index(name))
        JobTrainer(config, model, data, grid, out, resume=True).fit()
    return Qwen2VL.from_pretrained(out / "model", dtype="float32")


def tested(model: Qwen2VL) -> dict[str, float]:
    """Part of 256 held-out words that are right, all letters and the end of the answer, for each kind of row."""
    letters = Letters(seed=1)
    found = {}
    for kind in ("text", "read", "ask"):
        rng = np.random.default_rng(10**6)
        found[kind] = accuracy(model, [example(rng, letters, kind, held_out=True) for _ in range(256)])
    return found


def draw(runs: Path, file: Path) -> None:
    """Loss of every source over the steps, a panel for each stage."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(STAGES), sharey=True), STAGES, strict=True):
        lines = read_metrics(runs / name.replace(" ", "-") / METRICS_FILE)
        for source, colour in (("text", "C2"), ("read", "C0"), ("ask", "C1")):
            points = [(line["step"], line["losses"][source]) for line in lines if source in line["losses"]]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, label=source)
        axes.set(title=name, xlabel="step")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=8)
    figure.axes[0].set_ylabel("training loss, nats a target")
    figure.savefig(file, dpi=120)


def main() -> None:
    """All stages, and what the model can do after each."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--out", type=Path, required=True)
    flags.add_argument("--runs", type=Path, default=Path("runs/three-stages"))
    flags.add_argument(
        "--steps", type=int, nargs=4, default=[400, 1500, 1500, 600], help="of each stage, the first is 0"
    )
    given = flags.parse_args()
    torch.set_num_threads(1)
    model, found = Qwen2VL(CONFIG, seed=0), {}
    for name, steps in zip(STAGES, given.steps, strict=True):
        model = run(name, model, given.runs / name.replace(" ", "-"), steps)
        found[name] = tested(model)
        print(name, json.dumps(found[name]), flush=True)
    (given.out / "three-stages.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    draw(given.runs, given.out / "three-stages.png")


if __name__ == "__main__":
    main()
