"""A vocabulary that spells: bytes, the keywords of function calls as wholes, and the special tokens.

A small model that must read any text learns from letters what it does not learn from pieces of words: with 1,024
learnt pieces nothing was read after 22,000 pictures of words (`docs/log.md`).
"""

from itertools import accumulate

from tokenizers import pre_tokenizers

from qwen2vl_agent.dialogue.tool_call import ARGS, FUNCTION
from qwen2vl_agent.model.tokenizer import Tokenizer, build_tokenizer

WHOLES = ("✿FUNCTION", "✿ARGS", "✿RESULT", "✿RETURN", "✿:", ' {"', '":', " [", "]}\n", ' "', '".', '"?')
"""Stretches that are one token wherever they occur; none begins as a word begins, so that words stay spelled."""
CALLS = tuple(
    f"\n{FUNCTION}: {name}\n{ARGS}: {{{begun}"
    for name, begun in {
        "tap": '"point": [',
        "swipe": '"start": [500, ',
        "type_text": '"text": "',
        "press_key": '"name": "',
        "answer": '"text": "',
        "done": "",
    }.items()
)
"""The beginnings of the calls that matter, one token each: an agent waits for every token that it writes."""
PHRASES = (
    '" is here: tap it.',
    '" is here: tap its ',
    '" is not here: scroll down.',
    '" is not here: scroll up.',
    '" is not here: tap "All apps".',
    'Under "',
    'Type "',
    'Clear the field and type "',
    'Answer "',
    'Go home to open "',
    "Wrong page: go back.",
    '], "end": [500, ',
    '", "clear_first": true}',
)
"""What stands around the words that are copied."""


def spelled_tokenizer() -> Tokenizer:
    """Ids: 256 bytes, the wholes with their beginnings, calls and phrases, then the 14 special tokens."""
    vocab = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges: dict[tuple[str, str], None] = {}
    for whole in WHOLES:
        spelled = _spelled(whole)
        for begun, letter in zip(accumulate(spelled), spelled[1:], strict=False):
            merges[begun, letter] = None
            vocab.setdefault(begun + letter, len(vocab))
    return build_tokenizer(vocab, list(merges), CALLS + PHRASES)


def _spelled(text: str) -> str:
    """Its bytes, one printable letter each (byte-level BPE's alphabet)."""
    step = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return "".join(piece for piece, _ in step.pre_tokenize_str(text))
