"""What clients send: requests to the model's server, message by message and as a whole, and calls over MCP."""

import asyncio
import base64
import json
import random
from pathlib import Path
from typing import Any

from fuzz.mutate import TEXTS, some_bytes, some_json, some_text
from fuzz.target import Check, Make, Target
from fuzz.targets.media import films, pictures
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.tools import tool_spec
from qwen2vl_agent.serve.request_error import RequestError


def _tools() -> list[dict[str, Any]]:
    specs = map(tool_spec, PHONE_ACTIONS[:3])
    return [
        {"type": "function", "function": {"name": s.name, "description": s.description, "parameters": s.parameters}}
        for s in specs
    ]


def requests() -> list[dict[str, Any]]:
    """Valid requests, with pictures, calls and their results."""
    png = "data:image/png;base64," + base64.b64encode(pictures()["PNG"]).decode()
    film = "data:video/mp4;base64," + base64.b64encode(films(4)[0]).decode()
    shown = {"type": "image_url", "image_url": {"url": png}}
    call = {"id": "c1", "type": "function", "function": {"name": "tap", "arguments": '{"point": [1, 2]}'}}
    asked = {"role": "user", "content": [{"type": "text", "text": "Do it."}, shown]}
    done = [{"role": "assistant", "content": "So.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": [shown, {"type": "text", "text": "ok"}]}]  # fmt: skip
    watched = {"role": "user", "content": [{"type": "video_url", "video_url": {"url": film}, "fps": 2.0}]}
    system = {"role": "system", "content": "Be kind."}
    return [
        {"model": "tiny", "messages": [system, asked], "tools": _tools(), "temperature": 0.5, "seed": 1, "stop": ["x"]},
        {"model": "tiny", "messages": [asked, *done], "tools": _tools(), "legal_tools": _tools(), "logprobs": True},
        {"model": "", "messages": [watched], "max_tokens": 5, "stream_options": {"include_usage": True}, "top_p": 0.5},
        {"messages": [asked], "tools": _tools(), "tool_choice": {"type": "function", "function": {"name": "tap"}}},
    ]


def _request(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.serve.chat_messages import Manner, translated
    from qwen2vl_agent.serve.chat_request import read_request
    from qwen2vl_agent.serve.media import media_folder

    seeds, manners = requests(), (Manner(), Manner(form="tool_call"))

    def check(body: Any) -> None:
        request = read_request(body)
        for manner in manners:
            with media_folder() as media:
                assert translated(request.messages, request.tools, manner, media)

    return lambda rng: some_json(rng, rng.choice(seeds)), check


def _http(folder: Path) -> tuple[Make, Check]:
    """Whole requests to the application: paths, headers and bodies, with a model that answers at once."""
    from qwen2vl_agent.serve.access import AccessRules
    from qwen2vl_agent.serve.openai_api import make_app

    app = make_app(_Engine(), AccessRules(host="127.0.0.1", port=8000, token="secret", max_body_bytes=200_000))
    bodies = [json.dumps(body).encode() for body in requests()]
    paths = ("/v1/chat/completions", "/v1/models", "/v1/models/tiny", "/health", "/metrics", "/", "/../x")

    def make(rng: random.Random) -> dict[str, Any]:
        headers = {"host": "127.0.0.1:8000", "authorization": "Bearer secret", "content-type": "application/json"}
        if rng.random() < 0.3:
            name = rng.choice((*headers, "origin", "content-length", "transfer-encoding", "range"))
            headers[name] = rng.choice((*TEXTS, "http://evil.example", "127.0.0.1:8000", "99999999999"))
        path = rng.choice(paths) if rng.random() < 0.4 else paths[0]
        body = some_bytes(rng, rng.choice(bodies)) if rng.random() < 0.5 else json.dumps(
            some_json(rng, json.loads(rng.choice(bodies)))
        ).encode()  # fmt: skip
        return {
            "method": rng.choice(("POST", "POST", "POST", "GET", "DELETE", "HEAD", "\0")),
            "path": some_text(rng, path) if rng.random() < 0.2 else path,
            "headers": headers,
            "body": body,
        }

    def check(case: dict[str, Any]) -> None:
        status, body = asyncio.run(_asked(app, case))
        assert 200 <= status < 500 or status == 503, f"status {status}: {body[:200]!r}"
        if case["headers"]["authorization"] != "Bearer secret":
            assert status >= 400, "served without the token"
        if status >= 400 and status != 499 and case["method"] != "HEAD":
            assert "error" in json.loads(body)

    return make, check


class _Engine:
    """Reads a request as the real one does, and says one word."""

    name, context_tokens = "tiny", 4096

    def __init__(self) -> None:
        from qwen2vl_agent.serve.chat_messages import Manner
        from qwen2vl_agent.serve.engine import Limits

        self.manner, self.limits = Manner(), Limits()

    def answer(self, request: Any, on_text: Any, cancelled: Any) -> Any:
        from qwen2vl_agent.model.generate import GenerationResult
        from qwen2vl_agent.serve.chat_messages import translated
        from qwen2vl_agent.serve.engine import Written
        from qwen2vl_agent.serve.media import media_folder

        with media_folder() as media:
            translated(request.messages, request.tools, self.manner, media)
        on_text("Yes")
        result = GenerationResult(
            [1], [-0.1], {"decode": 0.1}, "eos", {"cached": 0, "read": 2, "written": 1}, [-0.1], [False], 1
        )
        return Written("Yes", None, result, [1, 2], None)

    def remember(self, key: str, token_ids: list[int]) -> None:
        pass

    def spell(self, token_id: int) -> str:
        return "Yes"


async def _asked(app: Any, case: dict[str, Any]) -> tuple[int, bytes]:
    """Status and body of the answer, without any socket."""
    path = case["path"].encode("utf-8", "replace").decode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "query_string": b"",
        "method": case["method"], "path": path, "raw_path": path.encode(), "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "headers": [(k.encode(), v.encode("utf-8", "replace")) for k, v in case["headers"].items()],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []
    to_come = [{"type": "http.request", "body": case["body"], "more_body": False}]

    async def receive() -> dict[str, Any]:
        if to_come:
            return to_come.pop()
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    return status, b"".join(message.get("body", b"") for message in sent)


def _mcp(folder: Path) -> tuple[Make, Check]:
    """Calls of a phone's tools as a client over MCP may write them."""
    from qwen2vl_agent.envs.register import make_env
    from qwen2vl_agent.serve.device_tools import DeviceTools

    tools = DeviceTools(make_env("virtual-phone", seed=1))
    seeds = [
        {"name": "screenshot", "arguments": {}}, {"name": "tap", "arguments": {"point": [500, 500]}},
        {"name": "press_key", "arguments": {"name": "home"}}, {"name": "open_app", "arguments": {"name": "Clock"}},
        {"name": "type_text", "arguments": {"text": "a"}},
    ]  # fmt: skip

    def check(value: Any) -> None:
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            return
        arguments = value.get("arguments")
        if arguments is None or isinstance(arguments, dict):  # the protocol's library lets nothing else through
            slow = isinstance(arguments, dict) and {"seconds", "duration_s"} & set(arguments)
            assert slow or tools.call(value["name"], arguments).screen.startswith(b"\x89PNG")

    return lambda rng: some_json(rng, rng.choice(seeds)), check


TARGETS = (
    Target("http.request", (RequestError,), _request),
    Target("http.application", (), _http),
    Target("mcp.call", (), _mcp),
)
