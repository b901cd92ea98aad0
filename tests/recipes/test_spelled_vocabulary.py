"""The spelling vocabulary: every text comes back, words are letters, and the marks of calls are single tokens."""

import string
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, Qwen2TokenizerFast

from qwen2vl_agent.dialogue.tool_call import render_call, stop_sequences
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.recipes.spelled_vocabulary import CALLS, PHRASES, WHOLES, spelled_tokenizer
from qwen2vl_agent.schema.tools import ToolCall

TOKENIZER = spelled_tokenizer()
CALL = render_call('"Wi-Fi" is here: tap it.', ToolCall("tap", {"point": [348, 91]}), "keyword")
TEXTS = (CALL, "What is at (12,999)?", "  two  spaces\n\nand lines ", "naïve 你好 ✿ 🙂", "it's 19:05 - 50%", "")


def test_it_has_323_tokens_with_the_special_ones_last():
    assert len(TOKENIZER) == 323
    special = [getattr(TOKENIZER.special, name) for name in TOKENIZER.special.__slots__]
    assert sorted(special) == list(range(309, 323))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_every_text_comes_back(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == unicodedata.normalize("NFC", text)


def test_every_byte_has_a_token_of_its_own():
    letters = "".join(chr(code) for code in (*range(0x80), *range(0xA1, 0x800)))
    assert TOKENIZER.decode(TOKENIZER.encode(letters)) == unicodedata.normalize("NFC", letters)
    assert len({id_ for text in string.printable for id_ in TOKENIZER.encode(text)}) == len(string.printable)


@pytest.mark.parametrize("whole", WHOLES + CALLS + PHRASES)
def test_a_whole_is_one_token(whole):
    assert len(TOKENIZER.encode(whole)) == 1
    assert TOKENIZER.decode(TOKENIZER.encode(whole)) == whole


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(string.ascii_letters, min_size=1, max_size=12), min_size=1, max_size=4))
def test_words_are_spelled_letter_by_letter(words):
    text = " ".join(words)
    assert [TOKENIZER.decode([id_]) for id_ in TOKENIZER.encode(text)] == list(text)


def test_digits_and_places_are_spelled_too():
    for text in ("(348,91)", "10:45", "555-0182"):
        assert [TOKENIZER.decode([id_]) for id_ in TOKENIZER.encode(text)] == list(text)


def test_in_a_call_all_but_the_label_and_the_numbers_are_a_few_tokens():
    pieces = [TOKENIZER.decode([id_]) for id_ in TOKENIZER.encode(CALL)]
    begin, call = '" is here: tap it.', '\n✿FUNCTION✿: tap\n✿ARGS✿: {"point": ['
    assert pieces[:8] == ['"', "W", "i", "-", "F", "i", begin, call]
    assert pieces[8:] == ["3", "4", "8", ",", " ", "9", "1", "]}\n", "✿RESULT", "✿"]


def test_in_a_call_that_has_no_token_of_its_own_the_keywords_have():
    call = render_call("Hold it.", ToolCall("long_press", {"point": [348, 91]}), "keyword")
    pieces = [TOKENIZER.decode([id_]) for id_ in TOKENIZER.encode(call)]
    for whole in ("✿FUNCTION", "✿ARGS", "✿RESULT", ' {"', '":', " [", "]}\n", "✿:"):
        assert whole in pieces, pieces


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
@pytest.mark.parametrize("after", ["", ":", ": ", "\n"])
def test_generation_finds_where_to_stop(form, after):
    stops = stop_sequences(form, TOKENIZER)
    ids = TOKENIZER.encode(render_call('Tap "Wi-Fi".', ToolCall("tap", {"point": [348, 91]}), form) + after)
    found = [stop for stop in stops if any(tuple(ids[i : i + len(stop)]) == stop for i in range(len(ids)))]
    assert found


def test_generation_does_not_stop_before_the_call_is_whole():
    ids = TOKENIZER.encode(CALL.removesuffix("✿RESULT✿"))
    for stop in stop_sequences("keyword", TOKENIZER):
        assert not any(tuple(ids[i : i + len(stop)]) == stop for i in range(len(ids)))


def test_it_is_saved_and_loaded_as_it_is(tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    back = Tokenizer.from_pretrained(tmp_path)
    assert back.special == TOKENIZER.special
    for text in TEXTS:
        assert back.encode(text) == TOKENIZER.encode(text)
    (tmp_path / "tokenizer.json").unlink()
    from_old_files = Tokenizer.from_pretrained(tmp_path)
    assert len(from_old_files) == len(TOKENIZER)
    for text in TEXTS:
        assert from_old_files.encode(text) == TOKENIZER.encode(text)


def test_two_of_them_are_equal():
    assert [spelled_tokenizer().encode(text) for text in TEXTS] == [TOKENIZER.encode(text) for text in TEXTS]


@pytest.mark.parametrize("kind", [AutoTokenizer, Qwen2TokenizerFast])
def test_transformers_reads_the_same_ids(kind, tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    reference = kind.from_pretrained(tmp_path)
    assert len(reference) == len(TOKENIZER)
    for text in TEXTS:
        assert reference.encode(text) == TOKENIZER.encode(text)
    chat = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Tap it.<|im_end|>\n"
    assert reference.encode(chat) == TOKENIZER.encode(chat, parse="all")
