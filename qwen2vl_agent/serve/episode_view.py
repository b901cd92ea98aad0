"""What the viewer shows of a recorded episode, as plain JSON values: nothing here knows HTML."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.live import call_text, deed_text, thought_of
from qwen2vl_agent.agent.picture import points_of
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.schema.errors import CheckpointError
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Reply, Step
from qwen2vl_agent.trajectory.store import read_episode, read_header

REPLY_PARTS = ("preprocess", "vit", "prefill", "decode")
"""Parts of a model's reply that are timed, in the order in which they happen."""
Spell = Callable[[Sequence[int]], list[str]]
"""The text of each of a reply's tokens."""


def episode_card(folder: Path, name: str) -> dict[str, Any]:
    """An episode in a list of many; its steps are not read.

    Raises:
        RecordError: no episode there, or damaged.
    """
    return {"name": name, **_head(read_header(folder))}


def episode_view(folder: Path, name: str) -> dict[str, Any]:
    """All that is shown of an episode; frames by their hashes.

    Raises:
        RecordError: no episode there, or damaged.
    """
    trajectory = read_episode(folder, prompts=False)
    spell = speller(trajectory.header.model)
    steps = [step_view(step, spell) for step in trajectory.steps]
    return {"name": name, **_head(trajectory.header), "steps": steps}


def step_view(step: Step, spell: Spell) -> dict[str, Any]:
    """A step. Points are shares of the screen's width and height, times are seconds."""
    return {
        "frame": step.frame.sha256,
        "width": step.frame.width,
        "height": step.frame.height,
        "clip": [frame.sha256 for frame in step.clip.frames] if step.clip else [],
        "taken": list(step.clip.taken_s) if step.clip else [],
        "observation": step.observation_text,
        "thought": thought_of(step),
        "call": call_text(step.call),
        "gesture": step.call.name if step.call else "",
        "points": [[(x + 0.5) / MODEL_GRID, (y + 0.5) / MODEL_GRID] for x, y in points_of(step.call)]
        if step.call
        else [],
        "text": step.reply.text,
        "tokens": tokens_view(step.reply, spell),
        "deed": deed_text(step),
        "error": step.error,
        "noticed": [
            *(["by the person"] if step.by == "person" else []),
            *(event.replace("_", " ") for event in step.events),
        ],
        "reward": step.reward,
        "confidence": step.reply.confidence,
        "counts": step.reply.tokens,
        "times": times_view(step),
        "target": learnt(step),
        "why": why_not_learnt(step),
    }


def learnt(step: Step) -> bool:
    """Whether training predicts the step's reply (as `data/examples.py` has it)."""
    return step.reply.target and not step.error


def why_not_learnt(step: Step) -> str:
    """Why the reply is context only; empty where it is a target."""
    if step.error:
        return "the call could not be read or done"
    return "" if step.reply.target else "a mistake made on purpose"


def times_view(step: Step) -> list[tuple[str, float]]:
    """The seconds of a step, part by part, as they follow each other; `thinking` is what a reply's parts leave.

    Worked example: capture 0.1, policy 0.5, of which vit 0.2 and decode 0.25, perform 0.01 give
    capture 0.1, vit 0.2, decode 0.25, thinking 0.05, perform 0.01.
    """
    parts = [(part, step.reply.timings[part]) for part in REPLY_PARTS if part in step.reply.timings]
    rest = step.timings.get("policy", 0.0) - sum(seconds for _, seconds in parts)
    around = [(part, seconds) for part, seconds in step.timings.items() if part not in ("policy", "capture")]
    first = [("capture", step.timings["capture"])] if "capture" in step.timings else []
    return [*first, *parts, ("thinking", max(0.0, rest)), *around]


def tokens_view(reply: Reply, spell: Spell) -> list[tuple[str, float | None, float | None, bool]]:
    """Each token a model wrote: its text, its probability, the one it was drawn with, and whether it was forced."""
    count = len(reply.token_ids)
    texts = spell(reply.token_ids)
    raw, drawn = _probabilities(reply.logprobs, count), _probabilities(reply.sampling_logprobs, count)
    forced = [*reply.forced, *[False] * count][:count]
    return list(zip(texts, raw, drawn, forced, strict=True))


def speller(model: str) -> Spell:
    """Spells tokens as the model's tokenizer does, where the record names a folder that is still there."""
    try:
        tokenizer = Tokenizer.from_pretrained(model) if model and Path(model).is_dir() else None
    except CheckpointError:
        tokenizer = None
    if tokenizer is None:
        return lambda ids: [f"#{token_id}" for token_id in ids]
    return lambda ids: spelled(ids, tokenizer.decode)


def spelled(ids: Sequence[int], decode: Callable[[list[int]], str]) -> list[str]:
    """The text of each token; a letter that is written in several tokens stands with the last of them."""
    texts, held = [], []
    for token_id in ids:
        held.append(token_id)
        text = decode(held)
        whole = not text.endswith("\ufffd")
        texts.append(text if whole else "")
        if whole:
            held = []
    return texts


def _probabilities(logprobs: Sequence[float], count: int) -> list[float | None]:
    return [round(math.exp(value), 6) for value in logprobs] if len(logprobs) == count else [None] * count


def _head(header: EpisodeHeader) -> dict[str, Any]:
    kept = ("task", "goal", "device", "policy", "model", "seed", "form", "outcome", "reward", "message")
    return {name: getattr(header, name) for name in kept}
