"""The tools of a recorded episode, with and without the environment that offered them."""

import json
from dataclasses import dataclass, field
from typing import Literal

import pytest

from qwen2vl_agent.dialogue.recorded import SPECS, recorded_tools, specs_to_record
from qwen2vl_agent.schema.actions import PHONE_ACTIONS, Done
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.tools import tool_spec
from qwen2vl_agent.schema.trajectory import EpisodeHeader


@dataclass(frozen=True, kw_only=True, slots=True)
class Steer:
    """Turn the wheel."""

    way: Literal["left", "right"] = field(metadata={"description": "to which side"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Tap:
    """Knock on the lid; another tap than the phone's."""


def header(*tools: type, **config) -> EpisodeHeader:
    names = tuple(tool_spec(kind).name for kind in tools)
    return EpisodeHeader(task="t", goal="g", device="gym", policy="noop", seed=0, tools=names, config=config)


def test_the_phones_tools_stand_in_no_record_and_are_known_by_name():
    assert specs_to_record(PHONE_ACTIONS) == {}
    assert recorded_tools(header(*PHONE_ACTIONS)) == tuple(map(tool_spec, PHONE_ACTIONS))


def test_other_tools_are_recorded_and_go_before_the_phones():
    tools = (Steer, Tap, Done)
    config = json.loads(json.dumps(specs_to_record(tools)))
    assert [spec["name"] for spec in config[SPECS]] == ["steer", "tap"]
    assert recorded_tools(header(*tools, **config)) == tuple(map(tool_spec, tools))


@pytest.mark.parametrize("specs", [[], [{"name": "steer", "colour": "red"}], [{"description": "nameless"}]])
def test_a_tool_that_nothing_describes_is_told(specs):
    with pytest.raises(RecordError, match=r"steer|tools"):
        recorded_tools(header(Steer, **{SPECS: specs}))
