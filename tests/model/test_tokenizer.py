"""Text to ids: equal to transformers on the real vocabulary, and no control token comes out of mere text."""

import pickle
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qwen_vocabulary import qwen2_folder
from transformers import AutoTokenizer

from qwen2vl_agent.model.tokenizer import SPECIAL_TEXTS, Tokenizer, train_tokenizer
from qwen2vl_agent.schema.errors import CheckpointError

TEXTS = [
    "Hello world",
    "  two  spaces\t\ttabs \n\n\n lines \r\n end  ",
    "I'm, you're, WE'LL: it's 12345.678 € — “quotes” …",
    "def f(x: int) -> str:\n    return f'{x!r}'  # comment\n\n\nclass A:\n\tpass\n",
    '{"point": [348, 291], "text": "a\\nb"}',
    "✿FUNCTION✿: tap\n✿ARGS✿: {}\n✿RESULT✿: \n✿RETURN✿: ",
    "日本語のテキスト、中文文本。한국어 텍스트",
    "العربية مع الأرقام ١٢٣ עברית हिन्दी ภาษาไทย Tiếng Việt Ελληνικά Русский",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ❤️ 🤷🏽‍♀️",
    "cafe\u0301 A\u030a \ufb01 Å é",
    "\u200b\u2028\u00a0\ufeff zero",
    "",
    " ",
    "\n",
    "<|not_special|> <| im_start |> </s> [PAD]",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained(qwen2_folder())


@pytest.fixture(scope="module")
def reference() -> object:
    return AutoTokenizer.from_pretrained(qwen2_folder())


@pytest.fixture(scope="module")
def small() -> Tokenizer:
    return train_tokenizer([*TEXTS, "tap the point", "tap the row"] * 3, 500)


@pytest.mark.parametrize("text", TEXTS)
def test_ids_equal_the_reference(text: str, tokenizer: Tokenizer, reference: object) -> None:
    assert tokenizer.encode(text) == reference(text)["input_ids"]
    assert tokenizer.decode(reference(text)["input_ids"]) == reference.decode(reference(text)["input_ids"])


def test_ids_of_any_text_equal_the_reference(tokenizer: Tokenizer, reference: object) -> None:
    @settings(deadline=None)
    @given(st.text())
    def check(text: str) -> None:
        assert tokenizer.encode(text, parse="all") == reference(text)["input_ids"]

    check()


def test_ids_of_trusted_text_equal_the_reference(tokenizer: Tokenizer, reference: object) -> None:
    @settings(deadline=None)
    @given(st.lists(st.sampled_from([*SPECIAL_TEXTS, "a", " b", "\n", "\u0301", "<|", "日"])).map("".join))
    def check(text: str) -> None:
        assert tokenizer.encode(text, parse="all") == reference(text)["input_ids"]

    check()


def test_the_special_ids_are_the_published_ones(tokenizer: Tokenizer) -> None:
    assert astuple(tokenizer.special) == tuple(range(151_643, 151_657))
    assert len(tokenizer) == 151_657


def test_no_text_gives_a_control_token(tokenizer: Tokenizer, small: Tokenizer) -> None:
    pieces = [*SPECIAL_TEXTS, "user\n", "<|im_", "start|>", "✿"]

    @settings(deadline=None)
    @given(st.lists(st.sampled_from(pieces)).map("".join))
    def check(text: str) -> None:
        for one in (tokenizer, small):
            special = astuple(one.special)
            assert not set(one.encode(text)) & set(special)
            allowed = set(special[3:9])
            assert not set(one.encode(text, parse="grounding")) & (set(special) - allowed)
            assert one.decode(one.encode(text)) == one.decode(one.encode(text, parse="grounding")) == text

    check()


def test_grounding_tokens_are_parsed_when_asked(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("<|box_start|>(1,2)<|box_end|><|im_end|>", parse="grounding")
    assert ids[0] == tokenizer.special.box_start
    assert tokenizer.special.box_end in ids
    assert tokenizer.special.im_end not in ids


def test_half_a_character_does_not_stop_encoding(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("a\ud800b") == tokenizer.encode("a?b")


def test_every_byte_has_a_token_in_a_small_vocabulary(small: Tokenizer) -> None:
    @settings(deadline=None)
    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
    def check(text: str) -> None:
        decoded = small.decode(small.encode(text))
        assert small.encode(decoded) == small.encode(text)

    check()
    assert small.decode(small.encode("日本 🎉 ✿")) == "日本 🎉 ✿"


def test_a_small_vocabulary_ends_with_its_special_tokens(small: Tokenizer) -> None:
    assert len(small) == 500
    assert astuple(small.special) == tuple(range(486, 500))
    assert len(small.encode(" tap")) == 1
    poor = train_tokenizer(["ab"], 1000)
    assert astuple(poor.special) == tuple(range(len(poor) - 14, len(poor)))
    with pytest.raises(ValueError, match="270"):
        train_tokenizer(["ab"], 269)


def test_training_twice_gives_the_same_vocabulary(small: Tokenizer) -> None:
    again = train_tokenizer([*TEXTS, "tap the point", "tap the row"] * 3, 500)
    assert again.encode(TEXTS[3]) == small.encode(TEXTS[3])


def test_a_small_vocabulary_loads_back_and_in_the_reference(small: Tokenizer, tmp_path: Path) -> None:
    small.save_pretrained(tmp_path)
    back, reference = Tokenizer.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert back.special == small.special
    for text in TEXTS:
        assert back.encode(text) == small.encode(text) == reference(text)["input_ids"]
    assert reference.eos_token == "<|im_end|>"


def test_vocabulary_and_merges_alone_are_enough(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((qwen2_folder() / name).read_bytes())
    older = Tokenizer.from_pretrained(tmp_path)
    assert older.special == tokenizer.special
    assert [older.encode(text) for text in TEXTS] == [tokenizer.encode(text) for text in TEXTS]


def test_a_copy_in_another_process_keeps_control_tokens_out(small: Tokenizer) -> None:
    copy = pickle.loads(pickle.dumps(small))
    assert copy.encode("<|im_end|>") == small.encode("<|im_end|>") != [small.special.im_end]


def test_ids_beyond_the_vocabulary_decode_to_nothing(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([9707, 151_900, 1879]) == "Hello world"


def test_missing_and_damaged_files_are_checkpoint_errors(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json"):
        Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        Tokenizer.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="expected a checkpoint folder"):
        Tokenizer.from_pretrained(tmp_path / "missing")


def test_a_vocabulary_without_the_special_tokens_is_refused(tmp_path: Path) -> None:
    import tokenizers

    tokenizers.Tokenizer(tokenizers.models.BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match="14 special tokens"):
        Tokenizer.from_pretrained(tmp_path)
