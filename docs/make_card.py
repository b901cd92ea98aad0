"""Writes the scores into the embedded model's card, from what was measured.

    python docs/make_card.py runs/bench/results.json runs/blind/results.json runs/skills.json

The first two are written by `qwen2vl-agent bench phone`, with and without `--blind`; the third by
`qwen2vl-agent train tiny` (`act/skills.json`), or by `python docs/make_card.py --skills runs/skills.json`.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qwen2vl_agent.recipes import tiny, tiny_skills

EMBEDDED = Path(tiny.__file__).parents[1] / "checkpoints" / "tiny"
BEGIN, END = "<!-- scores: written by docs/make_card.py -->", "<!-- end of the scores -->"


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--skills"]:
        Path(arguments[1]).write_text(json.dumps(measured_skills(), indent=2) + "\n", "utf-8")
        return
    bench, blind, skills = (json.loads(Path(name).read_text("utf-8")) for name in arguments)
    card = EMBEDDED / "README.md"
    before, _, rest = card.read_text("utf-8").partition(BEGIN)
    scores = "\n".join([BEGIN, "", *overall(bench, blind), "", *by_task(bench), "", *by_skill(skills), "", END])
    card.write_text(before + scores + rest.partition(END)[2], "utf-8")


def measured_skills() -> dict[str, Any]:
    """As `train tiny` measures them."""
    model, processor = tiny.tiny_model_of(EMBEDDED)
    pages = tiny.TinyRecipe().scored_pages
    return {
        name: tiny_skills.measure(model, processor, tiny.SCORED_SEED, pages, blind=blind).to_json()
        for name, blind in (("seen", False), ("blind", True))
    }


def overall(bench: dict[str, Any], blind: dict[str, Any]) -> Iterator[str]:
    yield f"`qwen2vl-agent bench phone --episodes {_each(bench)} --seed {bench['seed']}`:"
    low, high = percent(bench["low"]), percent(bench["high"])
    yield f"**{percent(bench['success'])}** of {bench['episodes']} episodes ({low} to {high});"
    yield f"{percent(bench['seen']['success'])} where all words are known, {percent(bench['unseen']['success'])} where"
    yield f"names or texts are new. On grey screens (`--blind --episodes {_each(blind)} --seed {blind['seed']}`):"
    yield f"{percent(blind['success'])} of {blind['episodes']}."


def by_task(bench: dict[str, Any]) -> Iterator[str]:
    yield "| task | solved | 95 % range | steps |"
    yield "| --- | ---: | --- | ---: |"
    for task, found in bench["per_task"].items():
        low, high = percent(found["low"]), percent(found["high"])
        yield f"| `{task}` | {percent(found['success'])} | {low} to {high} | {found['mean_steps']:.1f} |"


def by_skill(skills: dict[str, Any]) -> Iterator[str]:
    yield "Skills on unseen screens: points inside the element that is asked for, rows that are not there and said not"
    yield "to be, texts begun with the right letter, letters read; `unseen` are those with words training never shows."
    yield ""
    yield "| skill | on screens | on grey ones |"
    yield "| --- | ---: | ---: |"
    for name, score in skills["seen"].items():
        blind = percent(skills["blind"][name]["share"])
        yield f"| {name.replace('_', ' ')} | {percent(score['share'])} of {score['asked']} | {blind} |"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _each(bench: dict[str, Any]) -> int:
    return next(iter(bench["per_task"].values()))["episodes"]


if __name__ == "__main__":
    main(sys.argv[1:])
