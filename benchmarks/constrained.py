"""Every constrained call parses and fits: random tools, random prompts, models of random weights.

    python benchmarks/constrained.py --replies 10000 --seed 0

Ends with status 1 and shows the first reply that did not.
"""

import argparse
import random
import string
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from qwen2vl_agent.dialogue.call_grammar import FIRST_MARK
from qwen2vl_agent.dialogue.constrain import CallConstraint, Constrainer
from qwen2vl_agent.dialogue.tool_call import cut_at_stop, parse_call
from qwen2vl_agent.model.config import TextConfig, VisionConfig, preset
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.recipes.spelled_vocabulary import spelled_tokenizer
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.tools import ToolCall, ToolSpec, to_action, tool_spec
from qwen2vl_agent.schema.trajectory import CallForm

PIECES = ("a", "Wi-Fi", " ", '"', "\\", "\n", "é", "✿", "✿RESULT✿", "</tool_call>", "<tool_call>", "{", "设置", "😀")
PHONE_TOOLS = tuple(map(tool_spec, PHONE_ACTIONS))


class Begun:
    """A constraint under which the call begins after so many tokens: random weights would hardly ever begin one."""

    def __init__(self, constraint: CallConstraint, mark: Sequence[int], after: int) -> None:
        self._constraint, self._mark, self._after = constraint, list(mark), after

    def forced(self) -> list[int]:
        if self._after == 0 and not self._constraint.open:
            return list(self._mark)
        return self._constraint.forced()

    def allowed(self) -> Tensor | None:
        return self._constraint.allowed()

    def accept(self, token_id: int) -> None:
        self._constraint.accept(token_id)
        self._after = max(0, self._after - 1)
        if self._after == 0 and self._mark and self._mark[0] == token_id:
            self._mark.pop(0)

    @property
    def open(self) -> bool:
        return self._constraint.open

    @property
    def finished(self) -> bool:
        return self._constraint.finished


@dataclass
class Torture:
    """A model of random weights with its vocabulary, and what came of its replies."""

    tokenizer: Tokenizer
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        text = TextConfig(
            vocab_size=len(self.tokenizer) + 5,  # published checkpoints have more rows than their vocabulary has tokens
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=48,
            mrope_section=(2, 3, 3),
            max_window_layers=1,
        )
        vision = VisionConfig(depth=1, embed_dim=32, num_heads=2)
        config = replace(preset("tiny"), text=text, vision=vision).with_tokens(self.tokenizer.special)
        self.model = Qwen2VL(config, seed=0).eval()
        with torch.no_grad():  # as initialised, every token is about as likely as any other
            for weight in self.model.parameters():
                weight.mul_(3.0)
        self.constrainer = Constrainer(self.tokenizer)

    def reply(self, rng: random.Random) -> str:
        """One reply to a random prompt; what is wrong with it, empty where nothing is."""
        form: CallForm = rng.choice(("keyword", "tool_call"))
        phone = rng.random() < 0.2
        tools = PHONE_TOOLS if phone else random_tools(rng)
        limit = rng.choice((4, 16, 64))
        constraint = self.constrainer(tools, form, limit)
        begun = Begun(constraint, self.tokenizer.encode(FIRST_MARK[form]), rng.randrange(min(limit, 12)))
        prompt = [rng.randrange(len(self.tokenizer) - 14) for _ in range(rng.randint(1, 40))]
        begin = time.perf_counter()
        result = self.model.generate(
            ModelInputs(torch.tensor(prompt), torch.arange(len(prompt)).expand(3, -1)),
            max_new_tokens=limit,
            temperature=rng.choice((0.0, 1.0, 3.0)),
            seed=rng.randrange(2**31),
            constraint=begun,
            draft_tokens=rng.choice((0, 4)),
        )
        self.seconds += time.perf_counter() - begin
        text = self.tokenizer.decode(result.token_ids)
        self.counts.update(tokens=len(result.token_ids), forced=sum(result.forced), passes=result.passes)
        if not constraint.open:
            self.counts["ended within the thought"] += 1
            return ""
        self.counts["calls"] += 1
        problem = wrong_with(cut_at_stop(text, form), form, tools, phone)
        return f"{problem}\n{form} {tools}\n{text!r}" if problem else ""


def wrong_with(text: str, form: CallForm, tools: Sequence[ToolSpec], phone: bool) -> str:
    """Why a reply holds no call of one of `tools`; empty where it does."""
    try:
        call = parse_call(text, form).call
        if phone:
            to_action(call, PHONE_ACTIONS)
    except ToolCallError as error:
        return str(error)
    return misfit(call, tools)


def misfit(call: ToolCall, tools: Sequence[ToolSpec]) -> str:
    """Why a call fits none of `tools`; empty where it fits."""
    named = [tool for tool in tools if tool.name == call.name]
    if not named:
        return f"no tool is called {call.name!r}"
    return "" if fits(call.arguments, named[0].parameters) else f"the arguments {call.arguments!r} do not fit"


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a JSON value is one that a schema describes. Written apart from the grammar, to be compared with it."""
    if "enum" in schema:
        return any(value == option and type(value) is type(option) for option in schema["enum"])
    low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    match schema["type"]:
        case "object":
            properties = schema.get("properties", {})
            known = all(name in properties and fits(item, properties[name]) for name, item in value.items())
            return isinstance(value, dict) and known and set(schema.get("required", [])) <= value.keys()
        case "array":
            right_size = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", float("inf"))
            return isinstance(value, list) and right_size and all(fits(item, schema["items"]) for item in value)
        case "string":
            least, most = schema.get("minLength", 0), schema.get("maxLength", float("inf"))
            return isinstance(value, str) and least <= len(value) <= most
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        case "boolean":
            return isinstance(value, bool)
    return value is None


def random_tools(rng: random.Random) -> tuple[ToolSpec, ...]:
    """One to five tools with random names and arguments."""
    names = {_name(rng) for _ in range(rng.randint(1, 5))}
    return tuple(ToolSpec(name, "Does something.", _object(rng, depth=2)) for name in sorted(names))


def _object(rng: random.Random, depth: int) -> dict[str, Any]:
    names = {_name(rng) if rng.random() < 0.8 else _words(rng, 3) for _ in range(rng.randint(0, 4))}
    properties = {name: _value(rng, depth) for name in sorted(names)}
    required = [name for name in properties if rng.random() < 0.5]
    return {"type": "object", "properties": properties, "required": required}


def _value(rng: random.Random, depth: int) -> dict[str, Any]:
    kinds = ["integer", "number", "string", "boolean", "null", "enum"] + (["array", "object"] if depth else [])
    match rng.choice(kinds):
        case "integer":
            low, high = sorted(rng.randint(-(10 ** rng.randint(0, 6)), 10 ** rng.randint(0, 6)) for _ in range(2))
            return _some(rng, {"type": "integer", "minimum": low, "maximum": high}, "minimum", "maximum")
        case "number":
            low, high = sorted(round(rng.uniform(-100, 100), rng.randint(0, 3)) for _ in range(2))
            return _some(rng, {"type": "number", "minimum": low, "maximum": high}, "minimum", "maximum")
        case "string":
            least = rng.randint(0, 4)
            schema = {"type": "string", "minLength": least, "maxLength": least + rng.randint(0, 300)}
            return _some(rng, schema, "minLength", "maxLength")
        case "enum":
            options = [rng.choice((_words(rng, 4), rng.randint(-9, 9), True, None)) for _ in range(rng.randint(1, 4))]
            return {"enum": options}
        case "array":
            least = rng.randint(0, 3)
            schema = {"type": "array", "minItems": least, "maxItems": least + rng.randint(0, 4)}
            return {**_some(rng, schema, "minItems", "maxItems"), "items": _value(rng, depth - 1)}
        case "object":
            return _object(rng, depth - 1)
        case kind:
            return {"type": kind}


def _some(rng: random.Random, schema: dict[str, Any], *limits: str) -> dict[str, Any]:
    """The schema without some of its limits."""
    return {name: value for name, value in schema.items() if name not in limits or rng.random() < 0.8}


def _name(rng: random.Random) -> str:
    return "".join(rng.choice(string.ascii_letters + string.digits + "_.-") for _ in range(rng.randint(1, 12)))


def _words(rng: random.Random, most: int) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, most)))


def main() -> int:
    """Runs the torture and shows its counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokenizer", default="", help="folder or hub id; the embedded vocabulary if left out")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(asked.seed)
    torture = Torture(Tokenizer.from_pretrained(asked.tokenizer) if asked.tokenizer else spelled_tokenizer())
    bar = Progress(TextColumn("constrained replies"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with bar:
        for _ in bar.track(range(asked.replies)):
            if problem := torture.reply(rng):
                bar.console.print(problem, markup=False)
                return 1
    told = ", ".join(f"{count} {name}" for name, count in torture.counts.items())
    print(f"every call parses and fits its tool: {told}, {torture.seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
