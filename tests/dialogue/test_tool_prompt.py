"""What a model is told of its functions."""

import json

import pytest

from qwen2vl_agent.dialogue.tool_call import ARGS, FUNCTION, RESULT, RETURN
from qwen2vl_agent.dialogue.tool_prompt import signature, tool_prompt
from qwen2vl_agent.schema.actions import PHONE_ACTIONS, Done, Swipe, Tap
from qwen2vl_agent.schema.tools import tool_spec

TOOLS = tuple(tool_spec(action) for action in PHONE_ACTIONS)


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_full_prompt_tells_every_tool_with_its_schema(form: str, language: str) -> None:
    prompt = tool_prompt(TOOLS, form, language, "full")
    for tool in TOOLS:
        assert tool.name in prompt
        assert tool.description in prompt
        assert json.dumps(tool.parameters, ensure_ascii=False) in prompt
    assert "[x, y]" in prompt
    assert "999" in prompt


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_brief_prompt_is_short_and_still_names_every_tool(form: str, language: str) -> None:
    prompt = tool_prompt(TOOLS, form, language, "brief")
    assert len(prompt.split()) <= 60
    for tool in TOOLS:
        assert f"\n{tool.name}(" in prompt
    assert "[0, 1000)" in prompt


def test_the_bare_prompt_leaves_the_tools_out() -> None:
    assert tool_prompt(TOOLS, "keyword", detail="bare") == "Do the task."


@pytest.mark.parametrize("detail", ["full", "brief"])
def test_the_keyword_prompt_shows_the_four_keywords_in_order(detail: str) -> None:
    prompt = tool_prompt(TOOLS, "keyword", "en", detail)
    places = [prompt.index(keyword) for keyword in (FUNCTION, ARGS, RESULT, RETURN)]
    assert places == sorted(places)


def test_each_line_of_the_tools_list_is_json() -> None:
    prompt = tool_prompt(TOOLS, "tool_call")
    listed = prompt.split("<tools>\n")[1].split("\n</tools>")[0].splitlines()
    assert [json.loads(line)["function"]["name"] for line in listed] == [tool.name for tool in TOOLS]


def test_signatures_mark_what_may_be_left_out() -> None:
    assert signature(tool_spec(Tap)) == "tap(point)"
    assert signature(tool_spec(Swipe)) == "swipe(start, end, duration_s?)"


def test_endings_are_explained_only_where_there_are_such_tools() -> None:
    assert "call done" in tool_prompt(TOOLS, "keyword")
    assert "call done" not in tool_prompt((tool_spec(Tap),), "keyword")
    assert "done" in tool_prompt((tool_spec(Done),), "keyword", detail="brief")
