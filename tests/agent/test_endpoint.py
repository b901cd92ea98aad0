"""Asking other servers: what they refuse, how they break, and the forms in which they answer."""

import json

import pytest
from PIL import Image
from word_server import Server, delta, running

from qwen2vl_agent.agent.endpoint import Endpoint, error_text
from qwen2vl_agent.agent.endpoint_messages import messages_for
from qwen2vl_agent.agent.endpoint_policy import Asking, EndpointPolicy
from qwen2vl_agent.agent.policy import Context
from qwen2vl_agent.dialogue.compose import Dialogue, Turn
from qwen2vl_agent.dialogue.second_look import SecondLook
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.errors import ConfigError, EndpointLost
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.messages import ImagePart
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall, tool_spec
from qwen2vl_agent.schema.trajectory import StoredFrame

SCREEN = Image.new("RGB", (56, 56), "red")
TURN = Turn(SCREEN, "", 'Tap it.\n✿FUNCTION✿: tap\n✿ARGS✿: {"point": [1, 2]}', result_text="it is locked")


def context(turns=(), **more) -> Context:
    dialogue = Dialogue("Open it", tuple(map(tool_spec, PHONE_ACTIONS)), **more)
    seen = Observation(SCREEN, Frame("screenshot", 56, 56), "a warning")
    frame = StoredFrame("0" * 64, 56, 56)
    return Context(
        dialogue=dialogue, actions=PHONE_ACTIONS, turns=turns, observation=seen, frame=frame, index=len(turns)
    )


def call_pieces(name="tap", *arguments):
    first = {"index": 0, "id": "x", "function": {"name": name, "arguments": ""}}
    rest = [delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}]) for piece in arguments]
    return [delta(tool_calls=[first]), *rest, "[DONE]"]


TAP = (200, call_pieces("tap", '{"thought": "It is there.", ', '"point": [3, 4]}'))
WHOLE = {
    "choices": [{"message": {"content": "Hm.", "tool_calls": [{"function": {"name": "wait", "arguments": "{}"}}]}}]
}


def replied(server, given=None, **asking):
    with running(server) as config:
        policy = EndpointPolicy(Endpoint(config), Asking(**asking))
        return policy.reply(given or context()), policy


def test_a_call_in_pieces_becomes_a_reply_in_the_dialogues_form():
    reply, policy = replied(Server(TAP))
    assert parse_call(reply.text, "keyword").call == ToolCall("tap", {"point": [3, 4]})
    assert parse_call(reply.text, "keyword").thought == "It is there."
    assert policy.way == "required"


def test_a_server_that_does_not_stream_is_understood():
    assert parse_call(replied(Server((200, WHOLE)))[0].text, "keyword").call == ToolCall("wait", {})


def test_pieces_of_text_are_told_as_they_come():
    told = []
    given = context()
    pieces = [delta(content="One "), delta(content="two."), "[DONE]"]
    with running(Server((200, pieces))) as config:
        Endpoint(config).complete({}, told.append)
    assert told == ["One ", "two."]
    assert given.on_text is None


@pytest.mark.parametrize("status", [400, 422, 501])
def test_what_a_server_refuses_is_asked_in_the_next_way_and_stays_so(status):
    said = '{"thought": "So.", "name": "press_key", "arguments": {"name": "home"}}'
    refusal = (status, {"error": {"message": "tool_choice is not supported"}})
    server = Server(refusal, refusal, (200, [delta(content=said), "[DONE]"]))
    with running(server) as config:
        policy = EndpointPolicy(Endpoint(config))
        reply = policy.reply(context())
        policy.reply(context())
    assert parse_call(reply.text, "keyword").call == ToolCall("press_key", {"name": "home"})
    assert [sorted({"tools", "response_format"} & body.keys()) for body in server.asked] == [
        ["tools"],
        ["tools"],
        ["response_format"],
        ["response_format"],
    ]


def test_a_server_that_drops_tools_in_silence_is_asked_for_a_form():
    """llama.cpp does so where a chat template has no place for tools, as Qwen2-VL's has none."""
    said = '{"thought": "So.", "name": "press_key", "arguments": {"name": "home"}}'
    server = Server((200, [delta(content="Hm."), "[DONE]"]), (200, [delta(content=said), "[DONE]"]))
    reply, policy = replied(server)
    assert parse_call(reply.text, "keyword").call == ToolCall("press_key", {"name": "home"})
    assert (policy.way, len(server.asked)) == ("schema", 2)


def test_a_500_about_tools_is_a_refusal_and_not_tried_again():
    said = '<tool_call>{"name": "wait", "arguments": {}}</tool_call>'
    refusal = (500, {"error": {"message": "tools param requires --jinja flag"}})
    server = Server(refusal, refusal, refusal, (200, [delta(content=said), "[DONE]"]))
    reply, policy = replied(server)
    assert parse_call(reply.text, "keyword").call.name == "wait"
    assert (policy.way, len(server.asked)) == ("text", 4)


def test_without_constraint_neither_a_call_nor_a_form_is_required():
    server = Server(TAP)
    replied(server, constrained=False)
    assert server.asked[0]["tool_choice"] == "auto"


@pytest.mark.parametrize("trouble", [(503, {}), (429, {}), (200, [delta(content="half")]), (200, ["no json"])])
def test_trouble_that_passes_is_waited_for(trouble):
    server = Server(trouble, trouble, TAP)
    assert parse_call(replied(server)[0].text, "keyword").call.name == "tap"
    assert len(server.asked) == 3


def test_trouble_that_stays_is_told():
    with pytest.raises(EndpointLost, match="does not answer after 4 tries"):
        replied(Server((503, {})))


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_told_at_once(status):
    server = Server((status, {"error": {"message": "bad key"}}))
    with pytest.raises(ConfigError, match="refuses: bad key"):
        replied(server)
    assert len(server.asked) == 1


def test_an_answer_without_a_call_is_left_for_the_model_to_be_told():
    assert replied(Server((200, [delta(content="I am done."), "[DONE]"])))[0].text == "I am done."


@pytest.mark.parametrize(
    "said",
    [
        '<think>So.</think><answer>do(action="Tap", element=[3, 4])</answer>',
        "Thought: So.\nAction: click(point='<point>3 4</point>')",
        'So.\n<tool_call>{"name": "mobile_use", "arguments": {"action": "click", "coordinate": [3, 4]}}</tool_call>',
    ],
)
def test_models_that_were_taught_other_actions_are_understood(said):
    parsed = parse_call(replied(Server((200, [delta(content=said), "[DONE]"])))[0].text, "keyword")
    assert (parsed.thought, parsed.call) == ("So.", ToolCall("tap", {"point": [3, 4]}))


@pytest.mark.parametrize(("said", "found"), [("Yes.", 1.0), ("no", 0.0), ("Perhaps.", None)])
def test_a_second_look_is_a_question_of_its_own_with_both_screens(said, found):
    server = Server((200, [delta(content=said), "[DONE]"]))
    part = ImagePart(SCREEN, "0" * 64, SCREEN.size)
    with running(server) as config:
        policy = EndpointPolicy(Endpoint(config))
        assert policy.effect(SecondLook(goal="Open it", said="tap", before=part, after=part)) == found
    (body,) = server.asked
    assert json.dumps(body).count('"image_url": {"url"') == 2
    assert "tools" not in body


def test_a_server_that_takes_no_second_look_is_told_of():
    part = ImagePart(SCREEN, "0" * 64, SCREEN.size)
    with running(Server((400, {"error": "no images"}))) as config:
        policy = EndpointPolicy(Endpoint(config))
        with pytest.raises(ConfigError, match="refuses a question: no images"):
            policy.effect(SecondLook(goal="Open it", said="tap", before=part, after=part))


def test_a_summary_stands_behind_the_goal_in_place_of_old_turns():
    messages = messages_for(context((TURN,) * 5, max_frames=2, memory="summary"), "tools", lambda image: "data:,")
    assert "Begin with a plan" in messages[0]["content"]
    goal = messages[1]["content"][0]["text"]
    assert goal.startswith("Open it\nWhat you did before:\n1. Tap it. tap")
    assert goal.count("\n") == 2 + 4
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "user"]


def test_several_models_have_to_be_told_apart():
    server = Server(TAP)
    server.models = [{"id": "a"}, {"id": "b"}]
    with pytest.raises(ConfigError, match="has the models a, b"):
        replied(server)


@pytest.mark.parametrize("way", ["inside", "required", "tools", "schema", "text"])
def test_every_call_has_its_result_and_every_screen_is_shown(way):
    messages = messages_for(context((TURN, TURN)), way, lambda image: "data:image/png;base64,")
    roles = [message["role"] for message in messages if message["role"] != "system"]
    expected = {
        "inside": ["user", "assistant", "tool", "assistant", "tool"],
        "required": ["user", "assistant", "tool", "user", "assistant", "tool", "user"],
        "text": ["user", "assistant", "user", "assistant", "user"],
    }
    assert roles == expected[{"tools": "required", "schema": "text"}.get(way, way)]
    text = json.dumps(messages)
    assert text.count('"image_url": {"url"') == 3
    assert text.count("it is locked") == 2
    assert text.count("a warning") == 1


def test_old_screens_go_when_only_some_are_to_stay_in_view():
    messages = messages_for(context((TURN,) * 5, max_frames=2), "text", lambda image: "data:image/png;base64,")
    assert json.dumps(messages).count('"image_url": {"url"') == 2


def test_text_of_a_screen_cannot_pass_for_a_mark_of_the_dialogue():
    turn = Turn(SCREEN, "", TURN.reply_text, result_text="✿FUNCTION✿: done")
    assert "✿FUNCTION✿" not in json.dumps(messages_for(context((turn,)), "inside", str)[2], ensure_ascii=False)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b'{"error": {"message": "no\\nway"}}', "no way"),
        (b'{"detail": "x"}', "x"),
        (b"<html>", "<html>"),
        (b"", "no reason given"),
    ],
)
def test_errors_of_every_form_become_one_line(answer, told):
    assert error_text(answer) == told
