"""What a full-size model needs to start: seconds of loading from a file that is in memory, and the peak of the process.

    python benchmarks/inference_memory.py             the true 2B network with random weights, bf16 and int4
    python benchmarks/inference_memory.py --json

Each is written once below runs/inference (4 and 2 GB), and loaded twice by a process of its own: the first warms the
file. It then encodes a screen of 1,272 tokens and writes four tokens. Of the peak the mapped file's pages are part.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from inference_networks import loaded
from rich.console import Console
from rich.table import Table

from qwen2vl_agent.model.config import preset
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.quantize import quantize
from qwen2vl_agent.model.qwen2vl import Qwen2VL

GRID = (1, 106, 48)
"""Patches of a phone's 1092 x 2408 screen within 1,003,520 pixels: 1,272 tokens."""
GOALS = {"bf16": 5.0, "int4": 3.0}
"""Most GB of the process."""
WRITTEN = 4


def one(folder: Path) -> dict[str, float]:
    """Seconds of loading, and the peak in GB of this process after a screen and a few tokens."""
    start = time.perf_counter()
    model = Qwen2VL.from_pretrained(folder, None).eval()
    seconds = time.perf_counter() - start
    config, grid = model.config, torch.tensor([GRID])
    tokens = [config.image_token_id] * (GRID[1] * GRID[2] // 4)
    ids = torch.tensor([1, config.vision_start_token_id, *tokens, config.vision_end_token_id, 2])
    pixels = torch.randn(GRID[1] * GRID[2], 1176)
    model.generate(ModelInputs(ids, mrope_positions(ids, grid, None, config), pixels, grid), max_new_tokens=WRITTEN)
    status = Path("/proc/self/status").read_text()
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return {"load_s": round(seconds, 2), "peak_gb": round(peak_kb / 1e6, 2)}


def written(kind: str) -> Path:
    """The folder of a checkpoint of that kind, made if it is not there."""
    plain = Path("runs") / "inference" / "bf16-28-32"
    model = loaded(preset("2b"), torch.bfloat16, plain)
    if kind == "bf16":
        return plain
    folder = plain.with_name(f"{kind}-28-32")
    if not folder.is_dir():
        draft = folder.with_name(f".{folder.name}.part")
        quantize(model, kind).save_pretrained(draft)
        draft.rename(folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args()
    torch.set_num_threads(2)
    if given.one is not None:
        print(json.dumps(one(given.one)))
        return
    table, found = Table("kind", "loads in", "peak", "goal"), {}
    for kind, goal in GOALS.items():
        command = [sys.executable, __file__, "--one", str(written(kind))]
        runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(2)]
        found[kind] = runs[-1]
        table.add_row(kind, f"{runs[-1]['load_s']} s", f"{runs[-1]['peak_gb']} GB", f"3 s, {goal} GB")
    Console(stderr=True).print(table)
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
