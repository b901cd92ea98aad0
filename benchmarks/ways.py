"""What a small model knows of maps in words, part by part: `python benchmarks/ways.py checkpoints/babyai.go_to_local`.

Worlds of `recipes/ways.py` that no recipe draws. Of each part of an answer: how many nats it costs, and in how many
answers all of it is the likeliest.
"""

import argparse
import re
from collections import defaultdict
from dataclasses import dataclass, field

import torch

from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.recipes.ways import WaySource

SEED = 999
LINE = re.compile(
    r"I am ..\d\d, ahead (?P<ahead>\d\d)(?P<seen>..), it is ..(?P<place>\d\d): (?P<way>[^.]+)\. "
    r"Go there: (?P<move>[^.]+)\."
)


@dataclass
class Part:
    """One part of all answers."""

    nats: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)


def kind(name: str, found: re.Match[str]) -> str:
    """What a part is called; some are harder where something stands ahead."""
    if name == "seen":
        return {".": "ahead: nothing", "#": "ahead: a wall"}.get(found["seen"][0], "ahead: a thing")
    if name == "move":
        return "move, free ahead" if found["seen"] == ".." else "move, something ahead"
    return {"ahead": "the cell ahead", "place": "where the thing is", "way": "the way"}[name]


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--worlds", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model, processor = Qwen2VL.from_pretrained(given.model, "float32").eval(), Processor.from_pretrained(given.model)
    parts: dict[str, Part] = defaultdict(Part)
    for index in range(given.worlds):
        inputs = processor(WaySource(name="ways", seed=SEED).example(index).messages)
        logprobs = model.lm_head(model.hidden_states(inputs)).float().log_softmax(-1).flatten(0, -2)
        ids = inputs.input_ids.tolist()
        pieces = [processor.tokenizer.decode([token_id]) for token_id in ids]
        begins = [sum(map(len, pieces[:place])) for place in range(len(pieces))]
        for found in LINE.finditer("".join(pieces)):
            for name in LINE.groupindex:
                tokens = [place for place, begin in enumerate(begins) if found.start(name) <= begin < found.end(name)]
                part = parts[kind(name, found)]
                part.nats.append(-sum(float(logprobs[place - 1, ids[place]]) for place in tokens))
                part.right.append(all(int(logprobs[place - 1].argmax()) == ids[place] for place in tokens))
    print("| part | answers | nats | right |\n| --- | ---: | ---: | ---: |")
    for name, part in sorted(parts.items()):
        count = len(part.nats)
        print(f"| {name} | {count} | {sum(part.nats) / count:.3f} | {sum(part.right) / count:.1%} |")


if __name__ == "__main__":
    main()
