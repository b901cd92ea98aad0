"""Writes the scores into the embedded model's card, from what was measured.

    python docs/make_card.py runs/bench/results.json runs/blind/results.json runs/seen/results.json runs/skills.json

The first three are written by `qwen2vl-agent bench phone`: as it is, with `--blind`, and with `--split train --seed 0`,
the words and partly the very phones of training. The last is written by `qwen2vl-agent train tiny`
(`act/skills.json`), or by `python docs/make_card.py --skills runs/skills.json`.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.model_policy import ModelPolicy
from qwen2vl_agent.recipes import tiny, tiny_acting, tiny_data, tiny_skills
from qwen2vl_agent.recipes.exporting import model_of

EMBEDDED = Path(tiny.__file__).parents[1] / "checkpoints" / "tiny"
BEGIN, END = "<!-- scores: written by docs/make_card.py -->", "<!-- end of the scores -->"


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--skills"]:
        Path(arguments[1]).write_text(json.dumps(measured_skills(), indent=2) + "\n", "utf-8")
        return
    bench, blind, seen, skills = (json.loads(Path(name).read_text("utf-8")) for name in arguments)
    card = EMBEDDED / "README.md"
    before, _, rest = card.read_text("utf-8").partition(BEGIN)
    scores = "\n".join([BEGIN, "", *overall(bench, blind, seen), "", *by_task(bench), "", *by_skill(skills), "", END])
    card.write_text(before + scores + rest.partition(END)[2], "utf-8")


def measured_skills() -> dict[str, Any]:
    """As `train tiny` measures them."""
    model, processor = model_of(EMBEDDED)
    pages = tiny.TinyRecipe().scored_pages
    scores = {}
    for name, blind in (("seen", False), ("blind", True)):
        skills = tiny_skills.measure(model, processor, tiny.SCORED_SEED, pages, blind=blind)
        config, policy = replace(tiny_data.AGENT, blind=blind), ModelPolicy(model, processor)
        skills.acted = tiny_acting.action_accuracy(policy, config, tiny.SCORED_SEED, 1)
        scores[name] = skills.to_json()
    return scores


def overall(bench: dict[str, Any], blind: dict[str, Any], seen: dict[str, Any]) -> Iterator[str]:
    yield f"`qwen2vl-agent bench phone --episodes {_each(bench)} --seed {bench['seed']}`:"
    low, high = percent(bench["low"]), percent(bench["high"])
    yield f"**{percent(bench['success'])}** of {bench['episodes']} episodes ({low} to {high});"
    yield f"{percent(bench['seen']['success'])} where all words are known, {percent(bench['unseen']['success'])} where"
    yield f"names or texts are new. On grey screens (`--blind --episodes {_each(blind)} --seed {blind['seed']}`):"
    yield f"{percent(blind['success'])} of {blind['episodes']}. With the words of training, every second phone one that"
    yield f"it was shown (`--split train --seed 0`): {percent(seen['success'])} of {seen['episodes']}."


def by_task(bench: dict[str, Any]) -> Iterator[str]:
    yield "| task | solved | 95 % range | steps |"
    yield "| --- | ---: | --- | ---: |"
    for task, found in bench["per_task"].items():
        low, high = percent(found["low"]), percent(found["high"])
        yield f"| `{task}` | {percent(found['success'])} | {low} to {high} | {found['mean_steps']:.1f} |"


def by_skill(skills: dict[str, Any]) -> Iterator[str]:
    yield "Skills on unseen screens: points inside the element that is asked for, rows that are not there and said not"
    yield "to be, texts begun with the right letter, letters read, what changed between two screens, and steps of the"
    yield "bundled solutions at which it would do the same; `unseen` are those with words training never shows."
    yield ""
    yield "| skill | on screens | on grey ones |"
    yield "| --- | ---: | ---: |"
    for name, score in skills["seen"].items():
        blind = percent(skills["blind"][name]["share"]) if name in skills["blind"] else "not asked"
        yield f"| {name.replace('_', ' ')} | {percent(score['share'])} of {score['asked']} | {blind} |"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _each(bench: dict[str, Any]) -> int:
    return next(iter(bench["per_task"].values()))["episodes"]


if __name__ == "__main__":
    main(sys.argv[1:])
