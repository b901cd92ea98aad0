"""Headers and steps as JSON, each with its version."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.fitting import is_sha256, misfit
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import TRAJECTORY_VERSION, EpisodeHeader, Reply, Step, StoredClip, StoredFrame
from qwen2vl_agent.trajectory.prompt_delta import pack_prompt, unpack_prompt

HEADER_FILE = "episode.json"
STEPS_FILE = "steps.jsonl"
FRAMES_KEY = "frames"
"""Where the frames lie, as a path relative to the episode's folder."""
TUPLES = ("token_ids", "logprobs", "sampling_logprobs", "forced")
"""Fields of a reply with a value for each token."""


def header_json(header: EpisodeHeader, frames: str) -> bytes:
    """The content of `episode.json`."""
    return (
        json.dumps({**dataclasses.asdict(header), FRAMES_KEY: frames}, indent=2, ensure_ascii=False) + "\n"
    ).encode()


def parse_header(data: bytes, path: Path) -> tuple[EpisodeHeader, str]:
    """The header and where its frames lie.

    Raises:
        RecordError: damaged, or written by a newer version.
    """
    values = _object(data, path)
    frames = values.pop(FRAMES_KEY, "frames")
    try:
        header = EpisodeHeader(**_known(EpisodeHeader, values))
        header = dataclasses.replace(header, tools=tuple(header.tools))
    except TypeError as error:
        raise RecordError(f"{path} is not an episode's header: {error}") from error
    if (wrong := misfit(header)) or not isinstance(frames, str):
        raise RecordError(f"{path} is not an episode's header: {wrong or f'{FRAMES_KEY} is {frames!r}'}")
    return header, frames


def step_line(step: Step, before: tuple[int, ...]) -> bytes:
    """A step's line; `before` is the last prompt and reply of a model in this episode."""
    values = {"version": TRAJECTORY_VERSION, **dataclasses.asdict(step)}
    values["reply"]["prompt_ids"] = pack_prompt(step.reply.prompt_ids, before)
    for name in ("clip", "numbers"):
        if not values[name]:
            del values[name]
    if not step.reply.thought_by:
        del values["reply"]["thought_by"]
    return _encode(values, separators=(",", ":"))


def parse_step(line: bytes, before: tuple[int, ...] | None, path: Path) -> Step:
    """The step of a line; without its prompt where `before` is None.

    Raises:
        RecordError: damaged, or written by a newer version.
    """
    values = _object(line, path)
    values.pop("version")
    try:
        reply = values["reply"]
        reply["prompt_ids"] = () if before is None else unpack_prompt(reply["prompt_ids"], before)
        reply |= {name: tuple(reply.get(name, ())) for name in TUPLES}
        values["frame"] = StoredFrame(**values["frame"])
        values["call"] = ToolCall(**values["call"]) if values["call"] is not None else None
        values["reply"] = Reply(**_known(Reply, reply))
        values["clip"] = _clip(values.get("clip"))
        values["events"] = tuple(values.get("events", ()))
        step = Step(**_known(Step, values))
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise RecordError(f"{path} holds a line that is not a step: {error!r}") from error
    _check_step(step, path)
    return step


def _check_step(step: Step, path: Path) -> None:
    parts = (step, *step.frames, step.reply, *(part for part in (step.call, step.clip) if part is not None))
    wrong = next((told for part in parts if (told := misfit(part))), None)
    for frame in step.frames if wrong is None else ():
        if not (is_sha256(frame.sha256) and frame.width > 0 and frame.height > 0):
            wrong = f"a frame is {frame.sha256[:80]!r}, {frame.width}x{frame.height}"
    if wrong is not None:
        raise RecordError(f"{path} holds a line that is not a step: {wrong}")


def _clip(values: dict[str, Any] | None) -> StoredClip | None:
    if values is None:
        return None
    frames = tuple(StoredFrame(**frame) for frame in values["frames"])
    return StoredClip(**{**values, "frames": frames, "taken_s": tuple(values["taken_s"])})


def context_after(step: Step, before: tuple[int, ...]) -> tuple[int, ...]:
    """What the next step's prompt is measured against."""
    return step.reply.prompt_ids + step.reply.token_ids if step.reply.prompt_ids else before


def _known(kind: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """The values of fields that `kind` has; a newer program of the same version may have written more."""
    known = {item.name for item in dataclasses.fields(kind)}
    return {name: value for name, value in values.items() if name in known}


def _encode(values: dict[str, Any], **style: Any) -> bytes:
    """Readable UTF-8; escapes where a model wrote half a surrogate pair, which UTF-8 cannot carry."""
    try:
        return (json.dumps(values, ensure_ascii=False, **style) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(values, **style) + "\n").encode()


def _object(data: bytes, path: Path) -> dict[str, Any]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is damaged: {error}") from error
    version = values.get("version") if isinstance(values, dict) else None
    if not isinstance(version, int):
        raise RecordError(f"{path} carries no version number: it is no record of an episode")
    if version > TRAJECTORY_VERSION:
        raise RecordError(
            f"{path} has version {version}, this program reads up to {TRAJECTORY_VERSION}: upgrade qwen2vl-agent"
        )
    return values
