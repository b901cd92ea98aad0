"""Constrained replies: thoughts stay free, calls are valid, and what is forced is what the tokenizer would write."""

import importlib.util
import random
from pathlib import Path

import pytest
from qwen_vocabulary import qwen2_folder

from qwen2vl_agent.dialogue.call_grammar import call_grammar
from qwen2vl_agent.dialogue.constrain import CallConstraint, Constrainer
from qwen2vl_agent.dialogue.tool_call import parse_call, render_call
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.recipes.spelled_vocabulary import spelled_tokenizer
from qwen2vl_agent.schema.actions import PHONE_ACTIONS, Done, OpenApp, Tap, TypeText
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.tools import ToolCall, ToolSpec, narrowed, tool_spec

TOOLS = tuple(map(tool_spec, PHONE_ACTIONS))
FORMS = ("keyword", "tool_call")
CALLS = (
    ToolCall("tap", {"point": [348, 7]}),
    ToolCall("swipe", {"start": [500, 750], "end": [500, 300]}),
    ToolCall("swipe", {"start": [0, 999], "end": [10, 20], "duration_s": 0.25}),
    ToolCall("type_text", {"text": 'Hé "<b>" \\ 设置 😀 ✿RESULT✿ </tool_call>', "clear_first": True}),
    ToolCall("type_text", {"text": ""}),
    ToolCall("press_key", {"name": "app_switch"}),
    ToolCall("wait", {}),
    ToolCall("wait", {"seconds": 2.5}),
    ToolCall("done", {}),
    ToolCall("done", {"status": "failure", "message": "no"}),
    ToolCall("done", {"message": "no"}),
)
VOCABULARIES = ("embedded", "published")


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {"embedded": spelled_tokenizer(), "published": Tokenizer.from_pretrained(qwen2_folder())}


@pytest.fixture(scope="module")
def constrainers(tokenizers) -> dict[str, Constrainer]:
    return {name: Constrainer(tokenizer) for name, tokenizer in tokenizers.items()}


def read(constraint: CallConstraint, ids: list[int]) -> list[bool]:
    """Lets a constraint see ids, each of which must be allowed or forced; which of them were forced."""
    forced: list[bool] = []
    while len(forced) < len(ids):
        rest = ids[len(forced) :]
        stretch = constraint.forced()
        if stretch:
            assert rest[: len(stretch)] == stretch
        else:
            allowed = constraint.allowed()
            assert allowed is None or allowed[rest[0]]
        assert not constraint.finished
        for token_id in stretch or rest[:1]:
            constraint.accept(token_id)
        forced += [True] * len(stretch) if stretch else [False]
    return forced


def refuses(constraint: CallConstraint, token_id: int) -> bool:
    allowed = constraint.allowed()
    return allowed is not None and not allowed[token_id]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("form", FORMS)
def test_every_valid_reply_can_be_written_in_its_own_tokens(tokenizers, constrainers, vocabulary, form):
    """So a model that writes valid calls by itself writes the same ones under the constraint."""
    for call in CALLS:
        constraint = constrainers[vocabulary](TOOLS, form, 256)
        text = render_call('"Wi-Fi" is <b> here, or [so]: tap it.', call, form)
        ids = tokenizers[vocabulary].encode(text)
        forced = read(constraint, ids)
        assert constraint.finished
        assert parse_call(text, form).call == call
        begun = tokenizers[vocabulary].decode(ids[: constraint.call_start])
        assert "here" in begun
        assert not any(forced[: constraint.call_start])


def test_keywords_quotes_and_brackets_are_forced(tokenizers, constrainers):
    tokenizer = tokenizers["published"]
    for form, text in (
        ("keyword", 'Go.\n✿FUNCTION✿: tap\n✿ARGS✿: {"point": [348, 291]}\n✿RESULT✿'),
        ("tool_call", 'Go.\n<tool_call>\n{"name": "tap", "arguments": {"point": [348, 291]}}\n</tool_call>'),
    ):
        ids = tokenizer.encode(text)
        forced = read(constrainers["published"](TOOLS, form, 256), ids)
        chosen = [tokenizer.decode([i]) for i, was_forced in zip(ids, forced, strict=True) if not was_forced]
        thought_and_mark = len(tokenizer.encode("Go.\n✿" if form == "keyword" else "Go.\n<tool_call>\n"))
        assert [piece.strip(' "') for piece in chosen[thought_and_mark:]] in (
            ["tap", "3", "4", "8", "2", "9", "1"],
            ["", "tap", "3", "4", "8", "2", "9", "1"],
        )


def test_a_token_that_runs_on_beyond_a_forced_stretch_stays_a_choice(tokenizers, constrainers):
    """The embedded vocabulary has `], "end": [500, ` as one token: to force `], "end": [` would take it away."""
    tokenizer = tokenizers["embedded"]
    begun = tokenizer.encode('Go.\n✿FUNCTION✿: swipe\n✿ARGS✿: {"start": [500, 750')
    constraint = constrainers["embedded"](TOOLS, "keyword", 256)
    read(constraint, begun)
    (whole,) = tokenizer.encode('], "end": [500, ')
    assert constraint.forced() == []
    assert constraint.allowed()[whole]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_a_thought_is_free_but_for_marks_that_end_it_without_a_call(tokenizers, constrainers, vocabulary):
    tokenizer = tokenizers[vocabulary]
    for form, wrong in (("keyword", "✿RESULT✿"), ("keyword", "✿ARGS✿"), ("tool_call", "</tool_call>")):
        constraint = constrainers[vocabulary](TOOLS, form, 256)
        *before, last = tokenizer.encode(f'Maybe "<b>" RESULT, {wrong}'.removesuffix("✿"))
        with pytest.raises(AssertionError):
            read(constraint, [*before, last])
    constraint = constrainers[vocabulary](TOOLS, "keyword", 256)
    assert not refuses(constraint, tokenizer.special.im_end)
    assert not refuses(constraint, tokenizer.special.box_start)
    read(constraint, tokenizer.encode("FUNCTION RESULT ARGS {} : </tool_call>"))
    assert constraint.call_start is None
    assert not constraint.open


def test_the_turn_cannot_end_within_a_call(tokenizers, constrainers):
    tokenizer = tokenizers["published"]
    constraint = constrainers["published"](TOOLS, "keyword", 256)
    ids = tokenizer.encode('✿FUNCTION✿: type_text\n✿ARGS✿: {"text": "Hello"}\n✿RESULT✿')
    for place in range(1, len(ids)):
        if not constraint.forced():
            assert refuses(constraint, tokenizer.special.im_end) or not constraint.open
        constraint.accept(ids[place - 1])
        assert constraint.open
        assert not constraint.finished


def test_only_legal_actions_can_be_called(tokenizers, constrainers):
    """The embedded vocabulary begins calls with a token of their own: it is refused where the tool is not there."""
    tokenizer = tokenizers["embedded"]
    legal = (tool_spec(Tap), tool_spec(Done))
    constraint = constrainers["embedded"](legal, "keyword", 256)
    tap, swipe = (tokenizer.encode(f"\n✿FUNCTION✿: {begun}")[0] for begun in (
        'tap\n✿ARGS✿: {"point": [', 'swipe\n✿ARGS✿: {"start": [500, '
    ))  # fmt: skip
    assert not refuses(constraint, tap)
    assert refuses(constraint, swipe)
    assert not refuses(constrainers["embedded"](TOOLS, "keyword", 256), swipe)
    with pytest.raises(ConfigError, match="no function may be called"):
        constrainers["embedded"]((), "keyword", 256)


def test_an_enumeration_of_what_exists_narrows_an_argument(tokenizers, constrainers):
    tokenizer = tokenizers["published"]
    tools = (narrowed(tool_spec(OpenApp), "name", ("Clock", "Calculator")),)
    for name, allowed in (("Clock", True), ("Calculator", True), ("Camera", False)):
        constraint = constrainers["published"](tools, "keyword", 256)
        ids = tokenizer.encode(render_call("", ToolCall("open_app", {"name": name}), "keyword"))
        if allowed:
            read(constraint, ids)
        else:
            with pytest.raises(AssertionError):
                read(constraint, ids)
    assert "enum" not in tool_spec(OpenApp).parameters["properties"]["name"]


@pytest.mark.parametrize(
    "call",
    [
        ToolCall("tap", {"point": [1000, 5]}),
        ToolCall("tap", {"point": [-1, 5]}),
        ToolCall("tap", {"point": [1, 2, 3]}),
        ToolCall("tap", {}),
        ToolCall("tap", {"point": [1, 2], "clear_first": True}),
        ToolCall("wait", {"seconds": 60.5}),
        ToolCall("long_press", {"point": [1, 2], "duration_s": 0.2}),
        ToolCall("press_key", {"name": "escape"}),
        ToolCall("type_text", {"text": "a", "clear_first": "yes"}),
        ToolCall("done", {"message": "a" * 501}),
        ToolCall("fly", {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", FORMS)
def test_an_invalid_call_cannot_be_written(tokenizers, constrainers, form, call):
    constraint = constrainers["embedded"](TOOLS, form, 4096)
    with pytest.raises(AssertionError):
        read(constraint, tokenizers["embedded"].encode(render_call("", call, form)))


def test_half_a_character_cannot_be_written(tokenizers, constrainers):
    tokenizer = tokenizers["embedded"]
    begun = tokenizer.encode('✿FUNCTION✿: type_text\n✿ARGS✿: {"text": "')
    for escape, allowed in ((r"\ud83d\ude00", True), (r"\ud83dx", False), (r"\ude00", False)):
        constraint = constrainers["embedded"]((tool_spec(TypeText),), "keyword", 256)
        ids = begun + tokenizer.encode(escape + '"')
        if allowed:
            read(constraint, ids)
        else:
            with pytest.raises(AssertionError):
                read(constraint, ids)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "string", "pattern": "a+"}, r"f\.x: 'pattern' cannot be constrained; use --no-constrained"),
        ({"anyOf": []}, r"f\.x: the type None cannot be constrained"),
        ({"enum": []}, r"f\.x: the enumeration is empty"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, r"f\.x: maximum is below minimum"),
        ({"type": "array", "items": {"type": "null"}, "minItems": 3, "maxItems": 2}, "maxItems is below minItems"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "maxLength is below minLength"),
    ],
)
def test_a_schema_that_no_grammar_expresses_is_refused(schema, says):
    tool = ToolSpec("f", "", {"type": "object", "properties": {"x": schema}, "required": []})
    with pytest.raises(ConfigError, match=says):
        call_grammar((tool,), "keyword")


@pytest.fixture(scope="module")
def benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "constrained.py"
    spec = importlib.util.spec_from_file_location("constrained_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("vocabulary", "replies"), [("embedded", 150), ("published", 12)])
def test_every_call_of_a_random_model_parses_and_fits(tokenizers, benchmark, vocabulary, replies):
    """Random tools, prompts, limits and temperatures; `benchmarks/constrained.py` does the same at length."""
    torture, rng = benchmark.Torture(tokenizers[vocabulary]), random.Random(1)
    problems = [torture.reply(rng) for _ in range(replies)]
    assert not any(problems), next(filter(None, problems))
    assert torture.counts["calls"] > replies / 3
    assert torture.counts["forced"] > torture.counts["calls"]


def test_the_checker_of_random_calls_finds_what_does_not_fit(benchmark):
    parameters = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 5}}, "required": ["n"]}
    tools = (ToolSpec("f", "", parameters),)
    assert benchmark.wrong_with('✿FUNCTION✿: f\n✿ARGS✿: {"n": 5}', "keyword", tools, False) == ""
    for wrong in ('f\n✿ARGS✿: {"n": 6}', 'f\n✿ARGS✿: {"n": true}', "f\n✿ARGS✿: {}", 'g\n✿ARGS✿: {"n": 5}', "f"):
        assert benchmark.wrong_with(f"✿FUNCTION✿: {wrong}", "keyword", tools, False)
