"""Keeps a flywheel as an experiment of record: `python docs/keep_flywheel.py [--weights] NAME=FOLDER ...`.

Of each flywheel its results and curve in `docs/flywheel/`, and with `--weights` every model that it measured in
`checkpoints/flywheel/`. No round changes the vision encoder, so that is kept once, and each other model is its language
model and a link to it.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parents[1]
DOCS, CHECKPOINTS = ROOT / "docs" / "flywheel", ROOT / "checkpoints" / "flywheel"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SEEING, SPEAKING = "vision.safetensors", "language.safetensors"
START = "start"


def keep_model(model: Path, name: str) -> None:
    """A model in two files, that of the vision encoder a link to the first model's.

    Raises:
        SystemExit: its vision encoder is another one.
    """
    folder, first = CHECKPOINTS / name, CHECKPOINTS / START / SEEING
    if folder.exists():
        return
    folder.mkdir(parents=True)
    for file in sorted(model.glob("*.json")) + sorted(model.glob("*.txt")):
        shutil.copy(file, folder / file.name)
    tensors = load_file(model / WEIGHTS)
    parts: dict[str, dict[str, Any]] = {SEEING: {}, SPEAKING: {}}
    for key, value in tensors.items():
        parts[SEEING if key.startswith("visual.") else SPEAKING][key] = value.bfloat16()
    if not first.exists():
        save_file(parts[SEEING], first, metadata={"format": "pt"})
    elif any(not kept.equal(parts[SEEING][key]) for key, kept in load_file(first).items()):
        raise SystemExit(f"{model}: another vision encoder than that of {first}")
    if folder.name != START:
        (folder / SEEING).symlink_to(Path("..") / START / SEEING)
    save_file(parts[SPEAKING], folder / SPEAKING, metadata={"format": "pt"})
    size = sum(value.numel() * 2 for part in parts.values() for value in part.values())
    places = {key: file for file, part in parts.items() for key in part}
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", "utf-8")


def keep(name: str, wheel: Path, weights: bool) -> None:
    """A flywheel's results with names in place of its models' folders, and its curve."""
    results = json.loads((wheel / "results.json").read_text("utf-8"))
    kept = {}
    for found in results["rounds"]:
        number = found["round"]
        label = START if number == 0 else f"{name}-{number}"
        if weights:
            keep_model(Path(found["model"]), label)
        kept[found["model"]] = found["model"] = label
    results["best"]["model"] = kept[results["best"]["model"]]
    settings = results["settings"]
    settings["model"] = START
    settings["replay"], settings["lessons"] = ["runs/start/data/episodes"] * bool(settings["replay"]), "runs/start/data"
    DOCS.mkdir(exist_ok=True)
    (DOCS / f"{name}.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", "utf-8")
    shutil.copy(wheel / "curve.png", DOCS / f"{name}.png")
    for selection in sorted(wheel.glob("round-*/selection.md")):
        lines = selection.read_text("utf-8").splitlines()
        print(f"{name} {selection.parent.name}:", *(line for line in lines[:12] if line), sep="\n  ")


if __name__ == "__main__":
    for given in sys.argv[1:]:
        title, _, place = given.partition("=")
        if place:
            keep(title, Path(place), "--weights" in sys.argv)
