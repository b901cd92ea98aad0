"""The phone's actions over the Model Context Protocol, called by the protocol's own client."""

import base64
import io
import os
import sys

import anyio
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from PIL import Image

from qwen2vl_agent.agent.rules_file import rules_from
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.serve.device_tools import DeviceTools
from qwen2vl_agent.serve.mcp_server import make_mcp_server

NO_SETTINGS = {"rule": [{"function": "open_app", "when": {"name": "Settings"}, "then": "deny", "reason": "not that"}]}


@pytest.fixture
def env():
    env = make_env("virtual-phone", seed=1)
    yield env
    env.close()


def talk(server, conversation):
    """Runs `conversation(client)` with a client of the server."""

    async def run():
        async with Client(server) as client:
            return await conversation(client)

    return anyio.run(run)


def picture(result) -> Image.Image:
    (data,) = [part.data for part in result.content if part.type == "image"]
    return Image.open(io.BytesIO(base64.b64decode(data)))


def text(result) -> str:
    return " ".join(part.text for part in result.content if part.type == "text")


def test_every_action_that_touches_the_phone_is_a_tool_with_its_schema(env):
    async def conversation(client):
        return (await client.list_tools()).tools, client.instructions

    tools, instructions = talk(make_mcp_server(DeviceTools(env), "a phone"), conversation)
    names = {tool.name for tool in tools}
    assert names >= {"screenshot", "tap", "swipe", "type_text", "press_key", "open_app"}
    assert not names & {"done", "answer", "note", "ask_user"}
    (tap,) = [tool for tool in tools if tool.name == "tap"]
    assert tap.input_schema["required"] == ["point"]
    assert "from 0 to 999" in instructions


def test_an_action_is_done_and_answered_with_the_screen_after_it(env):
    async def conversation(client):
        before = picture(await client.call_tool("screenshot", {}))
        opened = await client.call_tool("open_app", {"name": "Settings"})
        return before, opened, picture(await client.call_tool("screenshot", {}))

    before, opened, after = talk(make_mcp_server(DeviceTools(env), "a phone"), conversation)
    assert not opened.is_error
    assert picture(opened).tobytes() != before.tobytes()
    assert picture(opened).tobytes() == after.tobytes() == env.device.screenshot().convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("tap", {"point": [5000, 1]}, "expected 0 <= x < 1000"),
        ("tap", {}, "needs the argument 'point'"),
        ("fly", {}, "unknown function 'fly'"),
        ("done", {}, "unknown function 'done'"),
        ("open_app", {"name": "Settings"}, "not allowed: not that"),
        ("type_text", {"text": "{{password:bank}}"}, "not allowed"),
    ],
)
def test_what_cannot_or_may_not_be_done_is_told_and_nothing_happens(env, name, arguments, told):
    async def conversation(client):
        before = picture(await client.call_tool("screenshot", {}))
        return before, await client.call_tool(name, arguments)

    server = make_mcp_server(DeviceTools(env, rules_from(NO_SETTINGS)), "a phone")
    before, result = talk(server, conversation)
    assert result.is_error
    assert told in text(result)
    assert picture(result).tobytes() == before.tobytes()


def test_the_command_serves_a_client_over_standard_input_and_output():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = ["-m", "qwen2vl_agent", "mcp", "--serial", "virtual"]
    server = StdioServerParameters(command=sys.executable, args=words, env=environment)

    async def conversation(client):
        await client.call_tool("press_key", {"name": "home"})
        return await client.call_tool("screenshot", {}), len((await client.list_tools()).tools)

    seen, count = talk(server, conversation)
    assert picture(seen).size == (1080, 2400)
    assert count > 8
