"""Other agents' actions, read and written; the examples are those of their own documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from qwen2vl_agent.dialogue.dialects.autoglm import read_autoglm, write_autoglm
from qwen2vl_agent.dialogue.dialects.function_syntax import read_function, write_function
from qwen2vl_agent.dialogue.dialects.qwen_use import (
    read_computer_use,
    read_mobile_use,
    write_computer_use,
    write_mobile_use,
)
from qwen2vl_agent.dialogue.dialects.ui_tars import read_ui_tars, write_ui_tars
from qwen2vl_agent.dialogue.tool_call import ParsedReply
from qwen2vl_agent.schema.actions import PHONE_ACTIONS
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.tools import ToolCall, to_action

RESIZED = Frame("resized", 728, 1316)


def qwen(name: str, arguments: str) -> str:
    return f'I see.\n<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


MOBILE = {
    '{"action": "click", "coordinate": [348, 291]}': ToolCall("tap", {"point": [348, 291]}),
    '{"action": "long_press", "coordinate": [348, 291], "time": 2}': ToolCall(
        "long_press", {"point": [348, 291], "duration_s": 2.0}
    ),
    '{"action": "swipe", "coordinate": [500, 800], "coordinate2": [500, 200]}': ToolCall(
        "swipe", {"start": [500, 800], "end": [500, 200]}
    ),
    '{"action": "type", "text": "hello"}': ToolCall("type_text", {"text": "hello"}),
    '{"action": "system_button", "button": "Back"}': ToolCall("press_key", {"name": "back"}),
    '{"action": "key", "text": "volume_up"}': ToolCall("press_key", {"name": "volume_up"}),
    '{"action": "open", "text": "Clock"}': ToolCall("open_app", {"name": "Clock"}),
    '{"action": "wait", "time": 2}': ToolCall("wait", {"seconds": 2.0}),
    '{"action": "answer", "text": "42"}': ToolCall("answer", {"text": "42"}),
    '{"action": "terminate", "status": "success"}': ToolCall("done", {"status": "success"}),
    '{"action": "terminate", "status": "failure"}': ToolCall("done", {"status": "failure"}),
}
COMPUTER = {
    '{"action": "left_click", "coordinate": [10, 20]}': ToolCall("click", {"point": [10, 20]}),
    '{"action": "right_click", "coordinate": [10, 20]}': ToolCall("click", {"point": [10, 20], "button": "right"}),
    '{"action": "double_click", "coordinate": [10, 20]}': ToolCall("click", {"point": [10, 20], "count": 2}),
    '{"action": "mouse_move", "coordinate": [10, 20]}': ToolCall("move", {"point": [10, 20]}),
    '{"action": "left_click_drag", "coordinate": [10, 20]}': ToolCall("drag", {"start": [500, 500], "end": [10, 20]}),
    '{"action": "scroll", "pixels": -300}': ToolCall("scroll", {"point": [500, 500], "dx": 0, "dy": -300}),
    '{"action": "key", "keys": ["ctrl", "c"]}': ToolCall("hotkey", {"keys": ["ctrl", "c"]}),
    '{"action": "type", "text": "x"}': ToolCall("type_text", {"text": "x"}),
    '{"action": "wait", "time": 1}': ToolCall("wait", {"seconds": 1.0}),
    '{"action": "terminate", "status": "success"}': ToolCall("done", {"status": "success"}),
}


@pytest.mark.parametrize("arguments", MOBILE)
def test_mobile_use_both_ways(arguments):
    reply = read_mobile_use(qwen("mobile_use", arguments))
    assert reply == ParsedReply("I see.", MOBILE[arguments])
    assert read_mobile_use(write_mobile_use(reply)) == reply
    to_action(reply.call, PHONE_ACTIONS)


@pytest.mark.parametrize("arguments", COMPUTER)
def test_computer_use_both_ways(arguments):
    reply = read_computer_use(qwen("computer_use", arguments))
    assert reply == ParsedReply("I see.", COMPUTER[arguments])
    assert read_computer_use(write_computer_use(reply)) == reply


UI_TARS = {
    "click(point='<point>500 257</point>')": [ToolCall("tap", {"point": [500, 257]})],
    "click(start_box='<|box_start|>(500,257)<|box_end|>')": [ToolCall("tap", {"point": [500, 257]})],
    "long_press(point='<point>500 257</point>')": [ToolCall("long_press", {"point": [500, 257]})],
    "left_double(point='<point>1 2</point>')": [ToolCall("double_tap", {"point": [1, 2]})],
    "type(content='hello\\n')": [ToolCall("type_text", {"text": "hello"}), ToolCall("press_key", {"name": "enter"})],
    "type(content='it\\'s (1)')": [ToolCall("type_text", {"text": "it's (1)"})],
    "scroll(point='<point>500 500</point>', direction='down')": [
        ToolCall("swipe", {"start": [500, 500], "end": [500, 100]})
    ],
    "drag(start_point='<point>1 2</point>', end_point='<point>3 4</point>')": [
        ToolCall("swipe", {"start": [1, 2], "end": [3, 4]})
    ],
    "open_app(app_name='微信')": [ToolCall("open_app", {"name": "微信"})],
    "press_home()": [ToolCall("press_key", {"name": "home"})],
    "press_back()": [ToolCall("press_key", {"name": "back"})],
    "wait()": [ToolCall("wait", {"seconds": 5.0})],
    "finished(content='All done.')": [ToolCall("done", {"message": "All done."})],
}


@pytest.mark.parametrize("action", UI_TARS)
def test_ui_tars_both_ways(action):
    thought, calls = read_ui_tars(f"Thought: I look.\nAction: {action}")
    assert (thought, list(calls)) == ("I look.", UI_TARS[action])
    for call in calls:
        to_action(call, PHONE_ACTIONS)
    written = read_ui_tars(write_ui_tars(thought, calls[0]))
    assert written == (thought, (calls[0],))


def test_ui_tars_has_hot_keys_and_right_clicks_on_a_desktop():
    assert read_ui_tars("Action: hotkey(key='ctrl c')")[1] == (ToolCall("hotkey", {"keys": ["ctrl", "c"]}),)
    (call,) = read_ui_tars("Action: right_single(point='<point>1 2</point>')")[1]
    assert call == ToolCall("click", {"point": [1, 2], "button": "right"})
    assert read_ui_tars(write_ui_tars("", call)) == ("", (call,))


AUTOGLM = {
    'do(action="Launch", app="Settings")': ToolCall("open_app", {"name": "Settings"}),
    'do(action="Tap", element=[500,257])': ToolCall("tap", {"point": [500, 257]}),
    'do(action="Tap", element=[500,257], message="重要操作")': ToolCall("tap", {"point": [500, 257]}),
    'do(action="Type", text="Hello (World)")': ToolCall("type_text", {"text": "Hello (World)", "clear_first": True}),
    'do(action="Swipe", start=[1,2], end=[3,4])': ToolCall("swipe", {"start": [1, 2], "end": [3, 4]}),
    'do(action="Long Press", element=[1,2])': ToolCall("long_press", {"point": [1, 2]}),
    'do(action="Double Tap", element=[1,2])': ToolCall("double_tap", {"point": [1, 2]}),
    'do(action="Back")': ToolCall("press_key", {"name": "back"}),
    'do(action="Home")': ToolCall("press_key", {"name": "home"}),
    'do(action="Wait", duration="2 seconds")': ToolCall("wait", {"seconds": 2.0}),
    'do(action="Take_over", message="Log in, please")': ToolCall("ask_user", {"question": "Log in, please"}),
    'do(action="Note", message="True")': ToolCall("note", {"text": "True"}),
    'finish(message="已完成")': ToolCall("done", {"message": "已完成"}),
}


@pytest.mark.parametrize("action", AUTOGLM)
def test_autoglm_both_ways(action):
    reply = read_autoglm(f"<think>I look at do(x).</think>\n<answer>{action}</answer>")
    assert reply == ParsedReply("I look at do(x).", AUTOGLM[action])
    assert read_autoglm(write_autoglm(reply)) == reply
    to_action(reply.call, PHONE_ACTIONS)


def test_points_in_pixels_of_the_resized_image_are_brought_into_our_grid_and_back():
    reply = read_mobile_use(qwen("mobile_use", '{"action": "click", "coordinate": [364, 658]}'), RESIZED)
    assert reply.call.arguments["point"] == [500, 500]
    (call,) = read_ui_tars("Action: click(point='<point>728 1316</point>')", RESIZED)[1]
    assert call.arguments["point"] == [999, 999]
    assert '"coordinate": [364, 65' in write_mobile_use(reply, RESIZED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "do(action=Tap)",
        'do(action="Fly")',
        'do(action="Tap")',
        'do(action="Tap", element=[1])',
        'do(action="Tap", element=[5000, 1])',
        'do(action="Tap", element=__import__("os").system("true"))',
        "do(" * 3000,
        'do(action="Tap", element=[' + "[" * 5000,
    ],
)
def test_what_is_no_action_is_an_error_for_the_model_and_never_run(text):
    with pytest.raises(ToolCallError):
        read_autoglm(text)


@given(some.text())
def test_arbitrary_text_raises_nothing_else(text):
    for read in (read_autoglm, read_ui_tars, read_mobile_use, read_computer_use):
        for source in (text, f"Action: click(point={text!r})", f"do(action={text!r})", f"do({text})", qwen(text, text)):
            try:
                read(source)
            except ToolCallError:
                continue


@given(some.text().filter(lambda text: "\x00" not in text))
def test_a_function_with_any_text_is_read_back(text):
    assert read_function(write_function("f", a=text, b=[1, 2]) + " and more)") == ("f", {"a": text, "b": [1, 2]})


@pytest.mark.parametrize("call", [ToolCall("note", {"text": "x"}), ToolCall("press_key", {"name": "power"})])
def test_an_action_that_the_other_side_does_not_have_is_told(call):
    with pytest.raises(ToolCallError, match="no action for"):
        write_ui_tars("", call)
