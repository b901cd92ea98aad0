"""The head of a recorded conversation: the tools, known by name or as the record describes them, and the form."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from qwen2vl_agent.dialogue.compose import Dialogue
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.observation import Clip
from qwen2vl_agent.schema.tools import ToolSpec, tool_spec
from qwen2vl_agent.schema.trajectory import EpisodeHeader, StoredClip, StoredFrame

SPECS = "tool_specs"
"""Key of a header's `config`."""


def specs_to_record(tools: Iterable[type]) -> dict[str, Any]:
    """What a header's `config` must hold of the tools so that the episode can be composed without the environment.

    Those of the phone are known by name and stand in no record.
    """
    known = [tool_spec(kind) for kind in PHONE_ACTIONS]
    own = [tool_spec(kind) for kind in tools]
    described = [dataclasses.asdict(spec) for spec in own if spec not in known]
    return {SPECS: described} if described else {}


def recorded_tools(header: EpisodeHeader) -> tuple[ToolSpec, ...]:
    """The tools that the model was offered, in their order.

    Raises:
        RecordError: one is neither described in the record nor one of the phone's.
    """
    by_name = {tool_spec(kind).name: tool_spec(kind) for kind in PHONE_ACTIONS}
    try:
        by_name |= {values["name"]: ToolSpec(**values) for values in header.config.get(SPECS, ())}
    except (TypeError, KeyError) as error:
        raise RecordError(f"the episode of {header.task!r} describes its tools wrongly: {error}") from error
    if unknown := [name for name in header.tools if name not in by_name]:
        raise RecordError(
            f"the episode of {header.task!r} has the tool {unknown[0]!r}, which this program does not know"
        )
    return tuple(by_name[name] for name in header.tools)


def recorded_dialogue(header: EpisodeHeader) -> Dialogue:
    """What is fixed of the conversation, as the agent had it; the agent's settings stand in the header.

    Raises:
        RecordError: as `recorded_tools`.
    """
    agent = header.config.get("agent", {})
    known = {item.name for item in dataclasses.fields(Dialogue)}
    settings = {name: value for name, value in agent.items() if name in known}
    return Dialogue(**{**settings, "goal": header.goal, "tools": recorded_tools(header), "form": header.form})


def stored_part(image: Any, frame: StoredFrame) -> ImagePart:
    """A stored frame as a message has it; `image` is its pixels or its file."""
    return ImagePart(image, frame.sha256, (frame.width, frame.height))


def recorded_clip(stored: StoredClip | None, image_of: Callable[[StoredFrame], Any]) -> Clip | None:
    """The video that a step was shown; `image_of` gives a frame's pixels or its file."""
    if stored is None:
        return None
    frames = tuple(stored_part(image_of(frame), frame) for frame in stored.frames)
    return Clip(frames, stored.taken_s, stored.fps, stored.alone, stored.dropped)
