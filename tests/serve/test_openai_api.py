"""The server as OpenAI's own client library uses it, with the embedded model."""

import base64
import http.client
import io
import json
import time
from urllib.parse import urlsplit

import openai
import pytest
from PIL import Image

from qwen2vl_agent.dialogue.compose import Dialogue, Turn, compose
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import tool_spec
from qwen2vl_agent.serve.access import AccessRules
from qwen2vl_agent.serve.openai_api import make_app
from qwen2vl_agent.serve.running import bound_socket, running

PNG = "data:image/png;base64,"


def data_url(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return PNG + base64.b64encode(file.getvalue()).decode()


def shown(image: Image.Image) -> dict:
    return {"type": "image_url", "image_url": {"url": data_url(image)}}


TOOLS = [
    {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
    for t in map(tool_spec, PHONE_ACTIONS)
]


@pytest.fixture(scope="module")
def phone():
    """The first screen of a task, and its goal."""
    env = make_env("virtual-phone", seed=1)
    env.reset(seed=1, options={"task": "settings.toggle"})
    yield env.goal, env.observation.image
    env.close()


@pytest.fixture
def client(url):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def ask(client, phone, **more):
    goal, image = phone
    messages = [{"role": "user", "content": [{"type": "text", "text": f"{goal}\n"}, shown(image)]}]
    return client.chat.completions.create(model="tiny", messages=messages, tools=TOOLS, **more)


def test_the_model_is_listed(client):
    (model,) = client.models.list().data
    assert (model.id, model.owned_by) == ("tiny", "qwen2vl-agent")
    assert client.models.retrieve("tiny").id == "tiny"


def test_a_call_comes_as_a_tool_call_with_the_thought_beside_it(client, phone):
    answer = ask(client, phone)
    (choice,) = answer.choices
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert call.function.name == "tap"
    assert len(json.loads(call.function.arguments)["point"]) == 2
    assert "Settings" in choice.message.content
    assert "✿" not in choice.message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_adds_up_to_the_whole_answer(client, phone):
    whole = ask(client, phone).choices[0].message
    text, calls, reasons, used = "", [], [], None
    for chunk in ask(client, phone, stream=True, stream_options={"include_usage": True}):
        used = chunk.usage or used
        for choice in chunk.choices:
            text += choice.delta.content or ""
            calls += choice.delta.tool_calls or []
            reasons += [choice.finish_reason] if choice.finish_reason else []
    assert text.strip() == whole.content
    assert [(c.function.name, c.function.arguments) for c in calls] == [
        (c.function.name, c.function.arguments) for c in whole.tool_calls
    ]
    assert reasons == ["tool_calls"]
    assert used.completion_tokens > 0


def test_an_episode_reads_each_screen_once_and_gives_the_tokens_of_the_agents_own_encoder(client, phone, loaded):
    goal, image = phone
    first = ask(client, phone, extra_body={"return_token_ids": True})
    call = first.choices[0].message.tool_calls[0]
    said = first.choices[0].message.model_dump(exclude_none=True)
    second_screen = Image.effect_noise(image.size, 40).convert("RGB")
    messages = [
        {"role": "user", "content": [{"type": "text", "text": f"{goal}\n"}, shown(image)]},
        {"role": "assistant", "content": said["content"], "tool_calls": said["tool_calls"]},
        {"role": "tool", "tool_call_id": call.id, "content": [shown(second_screen), {"type": "text", "text": "Hm."}]},
    ]
    second = client.chat.completions.create(
        model="tiny", messages=messages, tools=TOOLS, extra_body={"return_token_ids": True}
    )
    processor = loaded[1]
    dialogue = Dialogue(goal, tuple(map(tool_spec, PHONE_ACTIONS)), "keyword", detail="bare")
    turn = Turn(image, "", "", tuple(first.choices[0].token_ids))
    looked = Observation(second_screen, Frame("screenshot", *second_screen.size), "Hm.")
    expected = processor(compose(dialogue, [turn], looked)).input_ids.tolist()
    assert second.prompt_token_ids == expected
    kept = len(first.prompt_token_ids) + len(first.choices[0].token_ids) - 1
    assert second.usage.prompt_tokens_details.cached_tokens == kept


def test_probabilities_of_tokens_come_when_they_are_asked_for(client, phone):
    content = ask(client, phone, logprobs=True).choices[0].logprobs.content
    assert all(token.logprob <= 0 for token in content)
    assert "✿FUNCTION✿" in "".join(token.token for token in content)


def test_a_required_function_is_called_whatever_the_model_would_do(client, phone):
    choice = {"type": "function", "function": {"name": "press_key"}}
    message = ask(client, phone, tool_choice=choice, max_tokens=60).choices[0].message
    assert message.tool_calls[0].function.name == "press_key"


def test_without_tools_the_answer_is_text_and_a_stop_text_ends_it(client, phone):
    messages = [{"role": "user", "content": [shown(phone[1]), {"type": "text", "text": phone[0]}]}]
    free = client.chat.completions.create(model="tiny", messages=messages, max_tokens=30).choices[0]
    assert free.message.tool_calls is None
    stop = free.message.content[5:8]
    cut = client.chat.completions.create(model="tiny", messages=messages, max_tokens=30, stop=[stop]).choices[0]
    assert cut.message.content == free.message.content[: free.message.content.find(stop)]
    pieces = client.chat.completions.create(model="tiny", messages=messages, max_tokens=30, stop=[stop], stream=True)
    text = "".join(c.choices[0].delta.content or "" for c in pieces if c.choices)
    assert (cut.finish_reason, text) == ("stop", cut.message.content)


def test_the_length_of_an_answer_is_limited(client, phone):
    messages = [{"role": "user", "content": phone[0]}]
    answer = client.chat.completions.create(model="tiny", messages=messages, max_completion_tokens=1)
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 1)


def test_an_answer_that_nobody_waits_for_is_given_up(client, url, phone):
    choice = {"type": "function", "function": {"name": "type_text"}}
    with ask(client, phone, tool_choice=choice, temperature=2, max_tokens=20_000, stream=True) as stream:
        next(iter(stream))
    deadline = time.monotonic() + 60
    while "qwen2vl_agent_requests_waiting 0" not in fetch(url, "/metrics")[1]:
        assert time.monotonic() < deadline, "the answer is still being written"
        time.sleep(0.05)


def test_a_seed_gives_the_same_answer_again(client, phone):
    messages = [{"role": "user", "content": phone[0]}]
    twice = [
        client.chat.completions.create(model="tiny", messages=messages, temperature=2, seed=7, max_tokens=20)
        for _ in range(2)
    ]
    assert twice[0].choices[0].message.content == twice[1].choices[0].message.content


@pytest.mark.parametrize("way", ["file", "frames"])
def test_a_video_is_read_from_a_file_or_frames(client, way, tmp_path):
    frames = [Image.new("RGB", (64, 64), (40 * i, 0, 0)) for i in range(4)]
    if way == "frames":
        part = {"type": "video", "video": [data_url(frame) for frame in frames], "fps": 2}
    else:
        import av

        path = tmp_path / "video.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=2)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_image(frame)))
            container.mux(stream.encode())
        url = "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()
        part = {"type": "video_url", "video_url": {"url": url}}
    messages = [{"role": "user", "content": [part, {"type": "text", "text": "What happens?"}]}]
    answer = client.chat.completions.create(model="tiny", messages=messages, max_tokens=4)
    alone = client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "What happens?"}], max_tokens=4
    )
    assert answer.usage.prompt_tokens > alone.usage.prompt_tokens + 4


def user(content) -> list[dict]:
    return [{"role": "user", "content": content}]


CALL = {"id": "c1", "type": "function", "function": {"name": "tap", "arguments": "{}"}}
BAD = {
    "no messages": ({"messages": []}, "missing or empty"),
    "messages of another kind": ({"messages": "hello"}, "expected a list of objects"),
    "an unknown role": ({"messages": [{"role": "robot", "content": "x"}]}, "the role 'robot'"),
    "no content": ({"messages": user(None)}, "the content"),
    "an unknown part": ({"messages": user([{"type": "input_audio"}])}, "input_audio"),
    "an address to fetch": (
        {"messages": user([{"type": "image_url", "image_url": {"url": "http://x/y.png"}}])},
        "fetches",
    ),
    "broken base64": ({"messages": user([{"type": "image_url", "image_url": {"url": PNG + "%%%"}}])}, "base64"),
    "no picture": (
        {"messages": user([{"type": "image_url", "image_url": {"url": PNG + "aGVsbG8="}}])},
        "cannot be read",
    ),
    "no video": (
        {"messages": user([{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,aGVsbG8="}}])},
        "video",
    ),
    "an answer at the end": ({"messages": [{"role": "assistant", "content": "x"}]}, "last message"),
    "a call without its result": (
        {"messages": [{"role": "assistant", "tool_calls": [CALL]}, *user("x")]},
        "has no result",
    ),
    "a result without its call": ({"messages": [{"role": "tool", "tool_call_id": "c9", "content": "x"}]}, "c9"),
    "several calls": ({"messages": [{"role": "assistant", "tool_calls": [CALL, CALL]}]}, "one at a time"),
    "temperature": ({"temperature": 9}, "from 0 to 2"),
    "max_tokens": ({"max_tokens": 0}, "at least 1"),
    "top_p": ({"top_p": "x"}, "a number"),
    "stop": ({"stop": [""]}, "none of them empty"),
    "several answers": ({"n": 3}, "does not offer 'n'"),
    "a tool without a name": ({"tools": [{"type": "function", "function": {}}]}, "tools[0]"),
    "a tool of another type": ({"tools": [{"type": "web_search"}]}, "no function"),
    "a choice without tools": ({"tool_choice": "required"}, "no tools"),
    "an unknown choice": ({"tools": TOOLS, "tool_choice": {"function": {"name": "fly"}}}, "one of the functions"),
    "too much": ({"messages": user("word " * 40_000)}, "at most 32768"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told_in_one_clear_error(url, case):
    change, told = BAD[case]
    status, answer = post(url, json.dumps({"model": "tiny", "messages": user("x"), "max_tokens": 2, **change}))
    assert status == 400, answer
    assert told in answer["error"]["message"]
    assert "\n" not in answer["error"]["message"]
    assert set(answer["error"]) == {"message", "type", "param", "code"}


def test_the_client_raises_its_own_errors(client):
    with pytest.raises(openai.BadRequestError, match="last message"):
        client.chat.completions.create(model="tiny", messages=[{"role": "system", "content": "x"}], stream=True)
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-9'"):
        client.chat.completions.create(model="gpt-9", messages=user("x"))


@pytest.mark.parametrize("body", ["", "{", "[" * 100_000, '"x"', b"\xff\xfe"])
def test_a_body_that_is_no_request_is_refused(url, body):
    status, answer = post(url, body)
    assert status == 400
    assert "body" in answer["error"]["message"]


def test_a_body_that_is_too_large_is_refused_by_its_length_and_when_it_does_not_tell_it(url):
    body = json.dumps({"model": "tiny", "messages": user("x" * 9 * 2**20)}).encode()
    assert post(url, body)[0] == 413
    assert post(url, iter([body]), **{"Transfer-Encoding": "chunked"})[0] == 413


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_pages_of_other_sites_are_refused(url, headers):
    assert post(url, json.dumps({"messages": user("x")}), **headers)[0] == 403


def test_health_and_numbers_are_told(url, client, phone):
    ask(client, phone)
    status, health = fetch(url, "/health")
    assert (status, json.loads(health)["status"]) == (200, "ok")
    numbers = fetch(url, "/metrics")[1]
    assert 'qwen2vl_agent_requests_total{status="200"}' in numbers
    assert 'qwen2vl_agent_tokens_total{kind="cached"}' in numbers
    assert "qwen2vl_agent_requests_waiting 0" in numbers


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/v1/nothing"])
def test_what_is_not_there_is_told_as_json(url, path):
    status, answer = fetch(url, path)
    assert status == 404
    assert path in json.loads(answer)["error"]["message"]


def test_a_server_with_a_token_answers_only_who_has_it(engine):
    listening = bound_socket("127.0.0.1", 0)
    rules = AccessRules(host="127.0.0.1", port=listening.getsockname()[1], token="secret", free=("/health",))
    with running(make_app(engine, rules), listening) as address:
        assert fetch(address, "/health")[0] == 200
        assert fetch(address, "/v1/models")[0] == 401
        with (
            openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.models.list()
        with openai.OpenAI(base_url=f"{address}/v1", api_key="secret", max_retries=0) as client:
            assert client.models.list().data[0].id == "tiny"


def connection(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)


def post(url: str, body, **headers: str) -> tuple[int, dict]:
    wire = connection(url)
    try:
        chunked = "Transfer-Encoding" in headers
        headers = {"Content-Type": "application/json", **headers}
        wire.request("POST", "/v1/chat/completions", body, headers, encode_chunked=chunked)
        answer = wire.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        wire.close()


def fetch(url: str, path: str) -> tuple[int, str]:
    wire = connection(url)
    try:
        wire.request("GET", path)
        answer = wire.getresponse()
        return answer.status, answer.read().decode()
    finally:
        wire.close()
