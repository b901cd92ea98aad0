"""Calls in text: what is written is read back, and what cannot be read is told to the model."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qwen_vocabulary import qwen2_folder

from qwen2vl_agent.dialogue.lenient_json import read_json, write_json
from qwen2vl_agent.dialogue.tool_call import (
    ARGS,
    CLOSE,
    FUNCTION,
    OPEN,
    RESULT,
    RETURN,
    cut_at_stop,
    neutral,
    parse_call,
    render_call,
    stop_sequences,
)
from qwen2vl_agent.model.tokenizer import Tokenizer, train_tokenizer
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.tools import ToolCall

FORMS = ("keyword", "tool_call")
MARKS = (FUNCTION, ARGS, RESULT, RETURN, OPEN, CLOSE)

traps = [*MARKS, "✿", "✿✿", "{", "}", '"', "\\", "\n", ": ", "(", ")", ",", "RESULT", "<", ">"]
hard_text = st.lists(st.one_of(st.sampled_from(traps), st.text(max_size=8)), max_size=8).map("".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | hard_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hard_text, inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["tap", "a-b.c", "_X9", "日本"])
calls = st.builds(ToolCall, names, st.dictionaries(hard_text, json_values, max_size=3))


def keyword(name: str, arguments: str) -> str:
    return f"{FUNCTION}: {name}\n{ARGS}: {arguments}\n{RESULT}"


@pytest.mark.parametrize("form", FORMS)
def test_a_written_call_is_read_back(form: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(hard_text, calls)
    def check(thought: str, call: ToolCall) -> None:
        text = render_call(thought, call, form)
        assert parse_call(text, form).call == call
        assert parse_call(text, form).thought == neutral(thought).strip()
        assert parse_call(cut_at_stop(text, form), form).call == call

    check()


@pytest.mark.parametrize("form", FORMS)
def test_a_written_call_ends_only_at_its_end(form: str) -> None:
    end = RESULT if form == "keyword" else CLOSE

    @settings(max_examples=60, deadline=None)
    @given(hard_text, calls)
    def check(thought: str, call: ToolCall) -> None:
        text = render_call(thought, call, form)
        assert text.index(end) == len(text) - len(end)
        assert RETURN not in text

    check()


@pytest.mark.parametrize("form", FORMS)
def test_any_text_is_a_call_or_a_tool_call_error(form: str) -> None:
    @settings(deadline=None)
    @given(st.one_of(hard_text, hard_text.map(lambda text: keyword("tap", text)), hard_text.map(lambda t: OPEN + t)))
    def check(text: str) -> None:
        try:
            said = parse_call(text, form).call.name
        except ToolCallError as error:
            said = str(error)
        assert said

    check()


def test_the_rendered_forms_are_these() -> None:
    call = ToolCall("tap", {"point": [348, 291]})
    assert render_call('Tap "A".', call, "keyword") == (
        'Tap "A".\n✿FUNCTION✿: tap\n✿ARGS✿: {"point": [348, 291]}\n✿RESULT✿'
    )
    assert render_call("", call, "tool_call") == (
        '<tool_call>\n{"name": "tap", "arguments": {"point": [348, 291]}}\n</tool_call>'
    )
    assert "ü日" in render_call("", ToolCall("type_text", {"text": "ü日"}), "keyword")


@pytest.mark.parametrize(
    "arguments",
    [
        '{"point": [348, 291]}',
        '{"point": (348,291)}',
        '{"point": (348, 291,),}',
        '\n  {"point":\n [348,291]}\n',
        '```json\n{"point": [348, 291]}\n```',
        '{"point": [348, 291]} and then some {more} text',
    ],
)
def test_points_are_read_as_models_write_them(arguments: str) -> None:
    assert parse_call(keyword("tap", arguments), "keyword").call == ToolCall("tap", {"point": [348, 291]})
    tagged = OPEN + '{"name": "tap", "arguments": ' + arguments.strip("`json\n")
    if "more" not in arguments:
        assert parse_call(tagged + "}" + CLOSE, "tool_call").call == ToolCall("tap", {"point": [348, 291]})


@pytest.mark.parametrize(
    "text",
    [
        f"{FUNCTION}:tap\n{ARGS}:{{}}",
        f"{FUNCTION} : tap {ARGS} : {{}}{RESULT}",
        f"{FUNCTION}：tap\n\n{ARGS}：{{}}",
        f"I tap.\n{FUNCTION}: tap  \n{ARGS}: {{}}\n{RESULT}: x\n{RETURN}: {FUNCTION}: other\n{ARGS}: {{}}",
    ],
)
def test_small_slips_in_the_keywords_are_forgiven_and_the_first_call_counts(text: str) -> None:
    assert parse_call(text, "keyword").call == ToolCall("tap", {})


def test_of_several_tagged_calls_the_first_counts() -> None:
    one, two = (render_call("", ToolCall(name, {"a": {"b": "}"}}), "tool_call") for name in ("one", "two"))
    assert parse_call(f"Both. {one}\n{two}", "tool_call").call.name == "one"


def test_arguments_that_were_quoted_once_more_are_read() -> None:
    text = OPEN + '{"name": "tap", "arguments": "{\\"point\\": [1, 2]}"}' + CLOSE
    assert parse_call(text, "tool_call").call == ToolCall("tap", {"point": [1, 2]})


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("I am done.", "no function call"),
        (f"{RESULT} {FUNCTION}: tap\n{ARGS}: {{}}", "no function call"),
        (f"{FUNCTION}: done\n{RESULT}", "without arguments"),
        (keyword("tap", "{'point': [1, 2]}"), "not valid JSON"),
        (keyword("tap", '{"point": [1, 2'), "not valid JSON"),
        (keyword("tap", '{"x": NaN}'), "NaN"),
        (keyword("tap", '{"x": 1e999}'), "too large"),
        (keyword("tap", '{"x": ' + "9" * 5000 + "}"), "too long"),
        (keyword("tap", '{"x": "\\ud800"}'), "half of a character"),
        (keyword("tap", "[" * 100_000), "nested"),
        (keyword("tap", "[1, 2]"), "expected an object"),
        (keyword("", "{}"), "no function's name"),
        (keyword("tap the button", "{}"), "no function's name"),
    ],
)
def test_the_model_is_told_what_is_wrong_with_a_keyword_call(text: str, hint: str) -> None:
    with pytest.raises(ToolCallError, match=hint) as caught:
        parse_call(text, "keyword")
    assert f"write {FUNCTION}: name" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"name": "tap", "arguments": {}}', "no function call"),
        (OPEN + "tap" + CLOSE, "not valid JSON"),
        (OPEN + "[]" + CLOSE, 'no "name"'),
        (OPEN + '{"arguments": {}}' + CLOSE, 'no "name"'),
        (OPEN + '{"name": "tap"}' + CLOSE, 'no "arguments"'),
        (OPEN + '{"name": 3, "arguments": {}}' + CLOSE, "no function's name"),
        (OPEN + '{"name": "tap", "arguments": 3}' + CLOSE, "expected an object"),
    ],
)
def test_the_model_is_told_what_is_wrong_with_a_tagged_call(text: str, hint: str) -> None:
    with pytest.raises(ToolCallError, match=hint) as caught:
        parse_call(text, "tool_call")
    assert f"write {OPEN}" in str(caught.value)


@settings(deadline=None)
@given(hard_text)
def test_neutral_text_holds_no_mark(text: str) -> None:
    assert not any(mark in neutral(text) for mark in MARKS)
    assert neutral(neutral(text)) == neutral(text)


def test_neutral_text_keeps_its_words() -> None:
    assert neutral(f"a {RESULT} ✿ {CLOSE} <b>") == "a RESULT ✿ [/tool_call] <b>"


@settings(max_examples=60, deadline=None)
@given(json_values)
def test_lenient_json_reads_what_it_writes(value: object) -> None:
    assert read_json(write_json(value)) == value


def test_lenient_json_knows_pythons_words_outside_strings_only() -> None:
    assert read_json('{"a": True, "b": None, "c": "True, (x,)"}') == {"a": True, "b": None, "c": "True, (x,)"}


def test_a_reply_is_cut_where_the_model_should_have_stopped() -> None:
    assert cut_at_stop(f"x\n{RESULT}: y\n{RETURN}", "keyword") == "x"
    assert cut_at_stop(f"x\n{RETURN}: y\n{RESULT}", "keyword") == "x"
    assert cut_at_stop(f"x{CLOSE}\ny", "tool_call") == f"x{CLOSE}"
    assert cut_at_stop("x\n", "keyword") == "x\n"


def spelled(ids: Sequence[int]) -> str:
    return "".join(f" {i}," for i in ids)


@pytest.fixture(scope="module", params=["real", "small"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param == "real":
        return Tokenizer.from_pretrained(qwen2_folder())
    reply = render_call("Tap.", ToolCall("tap", {"point": [1, 2]}), "keyword")
    return train_tokenizer([f"{reply}: \n{RETURN}: ", render_call("", ToolCall("tap"), "tool_call")] * 5, 420)


@pytest.mark.parametrize("form", FORMS)
def test_every_written_call_ends_in_a_stop_sequence_and_none_comes_before(form: str, tokenizer: Tokenizer) -> None:
    stops = [spelled(stop) for stop in stop_sequences(form, tokenizer)]

    @settings(max_examples=50, deadline=None)
    @given(hard_text, calls)
    def check(thought: str, call: ToolCall) -> None:
        ids = tokenizer.encode(render_call(thought, call, form))
        assert spelled(ids).endswith(tuple(stops))
        assert not any(stop in spelled(ids[:-1]) for stop in stops)

    check()


@pytest.mark.parametrize("after", ["", ":", ": ", ": x", "\n"])
def test_a_stop_sequence_is_found_whatever_follows(after: str, tokenizer: Tokenizer) -> None:
    for form, mark in (("keyword", RESULT), ("keyword", RETURN), ("tool_call", CLOSE)):
        for before in ("", "\n", "]}\n", "text "):
            ids = spelled(tokenizer.encode(before + mark + after))
            assert any(spelled(stop) in ids for stop in stop_sequences(form, tokenizer))
