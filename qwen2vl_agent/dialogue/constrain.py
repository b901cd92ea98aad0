"""Constrained decoding: a model's call is always one of the tools, with arguments that fit their schemas.

A reply is a thought, which stays free, then a call. The thought ends in a call or with the turn: a token that would end
it otherwise, or begin a call that no tool allows, is not offered. From the call's first mark on a grammar rules, and
what it leaves no choice about (keywords, names, quotes, brackets) is forced.

Once the limit of new tokens is reached within a call, the call is brought to its end in few tokens: strings and objects
are closed as soon as the schema lets them.
"""

import itertools
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence

import llguidance
import numpy as np
import torch
from torch import Tensor

from qwen2vl_agent.dialogue.call_grammar import FIRST_MARK, NOT_IN_THOUGHTS, call_grammar
from qwen2vl_agent.model.tokenizer import Tokenizer
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.tools import ToolSpec
from qwen2vl_agent.schema.trajectory import CallForm

GRAMMARS_KEPT = 32
"""Compiled grammars; a new one is made where the legal actions change."""
LIBRARY_LOOKS_BACK = 4
"""Tokens at the end of a forced stretch that llguidance checks for longer ones (`chop_tokens` of its toktrie)."""
CLOSING = (b'"', b"}", b"]", b",")
"""What shortens a call under way, the best first."""
_PUNCTUATION = frozenset(b'"}], \n')


class Constrainer:
    """Makes the constraint of each reply. Keeps what takes long: the vocabulary (1 s for 151,657 tokens), grammars.

    Threads may share it.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._vocabulary = _Vocabulary(tokenizer)
        self._marks: dict[CallForm, _Marks] = {}
        self._calls: OrderedDict[tuple[CallForm, str], _Calls] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, tools: Sequence[ToolSpec], form: CallForm, max_new_tokens: int) -> "CallConstraint":
        """For one reply that may call one of `tools`.

        Raises:
            ConfigError: a tool's schema cannot be made a grammar.
        """
        key = form, call_grammar(tools, form)
        with self._lock:
            if key not in self._calls:
                marks = self._marks.setdefault(form, _Marks(self._vocabulary, form))
                self._calls[key] = _Calls(self._vocabulary, marks, key[1])
            self._calls.move_to_end(key)
            if len(self._calls) > GRAMMARS_KEPT:
                self._calls.popitem(last=False)
            return CallConstraint(self._calls[key], max_new_tokens)


class CallConstraint:
    """A reply under way (`model/constraint.py` says what each method means)."""

    def __init__(self, calls: "_Calls", max_new_tokens: int) -> None:
        self._calls, self._limit = calls, max_new_tokens
        self._written = 0
        self._tail = b""
        self._matcher: llguidance.LLMatcher | None = None
        self.call_start: int | None = None
        """Number of the token in which the call begins; None before that."""

    def forced(self) -> list[int]:
        """The grammar's next stretch without a choice, in the tokenizer's own pieces.

        It ends where a token could run on beyond the stretch, for the model may be used to that one: where
        `], "end": [500, ` is a token, `], "end": [` is not forced.
        """
        ids = self._proposed()
        return next((ids[:place] for place in range(len(ids)) if self._running_on(ids, place)), ids)

    def allowed(self) -> Tensor | None:
        if self._matcher is None:
            return self._calls.allowed_in_thought(self._tail)
        allowed = self._calls.vocabulary.unpacked(self._matcher.compute_bitmask())
        allowed[self._running_on(self._proposed(), 0)] = True  # the library offers what it proposes, and no more
        self._check()
        return self._calls.vocabulary.closing(allowed) if self._written >= self._limit else allowed

    def _proposed(self) -> list[int]:
        return self._matcher.compute_ff_tokens() if self._matcher is not None else []

    def _running_on(self, ids: list[int], place: int) -> list[int]:
        """The tokens with which the model could write all of a stretch from `place` on, and more.

        The library itself sees to the last tokens of a stretch; it does not look for tokens that are longer than these.
        """
        if self._matcher is None or len(ids) - place <= LIBRARY_LOOKS_BACK:
            return []
        candidates = self._calls.vocabulary.longer(ids[place:])
        return [i for i in candidates if self._matcher.validate_tokens([*ids[:place], i]) == place + 1]

    def accept(self, token_id: int) -> None:
        self._written += 1
        if self._matcher is not None:
            self._matcher.consume_token(token_id)
            self._check()
            return
        begun = self._calls.marks.completed(self._tail).get(token_id)
        if begun is not None:
            self._matcher = self._calls.matcher(begun)
            assert self._matcher is not None, f"token {token_id} was not allowed"
            self.call_start = self._written - 1
        self._tail = self._calls.marks.tail(self._tail, token_id)

    @property
    def open(self) -> bool:
        return self._matcher is not None

    @property
    def finished(self) -> bool:
        return self._matcher is not None and self._matcher.is_accepting()

    def _check(self) -> None:
        assert self._matcher is not None
        if self._matcher.is_error():
            raise ConfigError(
                f"the grammar of calls gave up ({self._matcher.get_error().splitlines()[0]}); use --no-constrained"
            )


class _Vocabulary:
    """The tokens as bytes, and as llguidance holds them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.backend = llguidance.LLTokenizer(tokenizer.to_json(), eos_token=tokenizer.special.im_end)
        special, size = self.backend.is_special_token, self.backend.vocab_size
        self.texts = [b"" if special(i) else self.backend.decode_bytes([i]) for i in range(size)]
        """Nothing for special tokens, which are no text."""
        self._sorted = sorted((text, token_id) for token_id, text in enumerate(self.texts))
        self._closing = tuple(torch.tensor([_closes(text, mark) for text in self.texts]) for mark in CLOSING)

    def unpacked(self, bits: bytes) -> Tensor:
        """A mask of one bit a token, the lowest bit of a byte first, as booleans."""
        found = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[: len(self.texts)]
        return torch.from_numpy(found.view(np.bool_))

    def longer(self, ids: Sequence[int]) -> list[int]:
        """The tokens that begin with the text of `ids` and go on."""
        text = b"".join(self.texts[i] for i in ids)
        first = bisect_right(self._sorted, (text, len(self.texts)))
        found = itertools.takewhile(lambda entry: entry[0].startswith(text), self._sorted[first:])
        return [token_id for _, token_id in found]

    def closing(self, allowed: Tensor) -> Tensor:
        """Of what is allowed that which ends a call soonest, where there is a choice."""
        for mask in self._closing:
            if bool((allowed & mask).any()):
                return allowed & mask
        return allowed


def _closes(text: bytes, mark: bytes) -> bool:
    return text.startswith(mark) and _PUNCTUATION.issuperset(text)


class _Marks:
    """Finds the marks that begin a call, or that a thought must not contain, wherever tokens cut them."""

    def __init__(self, vocabulary: _Vocabulary, form: CallForm) -> None:
        self._texts = vocabulary.texts
        self._first = FIRST_MARK[form].encode()
        self._all = (self._first, *(mark.encode() for mark in NOT_IN_THOUGHTS[form]))
        self._completed: dict[bytes, dict[int, bytes | None]] = {}

    def tail(self, tail: bytes, token_id: int) -> bytes:
        """The longest end of the thought with which a mark begins, after one more token."""
        written = self._texts[token_id] if token_id < len(self._texts) else b""
        text = tail + written if written else b""
        for size in range(min(len(text), max(map(len, self._all)) - 1), 0, -1):
            if any(mark.startswith(text[-size:]) for mark in self._all if len(mark) > size):
                return text[-size:]
        return b""

    def completed(self, tail: bytes) -> dict[int, bytes | None]:
        """The tokens that complete a mark after `tail`: what they write of a call after its first mark.

        None for those that complete another mark first.
        """
        if tail not in self._completed:
            self._completed[tail] = found = {}
            for token_id, text in enumerate(self._texts):
                whole = tail + text
                places = [(place, mark) for mark in self._all if (place := whole.find(mark)) >= 0]
                if places:
                    place, mark = min(places)
                    found[token_id] = whole[place + len(mark) :] if mark == self._first else None
        return self._completed[tail]


class _Calls:
    """What calls may be, for any number of replies."""

    def __init__(self, vocabulary: _Vocabulary, marks: _Marks, grammar: str) -> None:
        self.vocabulary, self.marks = vocabulary, marks
        self._fresh = llguidance.LLMatcher(vocabulary.backend, llguidance.grammar_from("lark", grammar), log_level=0)
        if self._fresh.is_error():
            raise ConfigError(f"the tools make no grammar: {self._fresh.get_error()}")
        self._allowed: dict[bytes, Tensor | None] = {}

    def allowed_in_thought(self, tail: bytes) -> Tensor | None:
        """Everything but tokens that complete a mark and do not begin a call; None where there are none of these."""
        if tail not in self._allowed:
            completed = self.marks.completed(tail).items()
            wrong = [token_id for token_id, begun in completed if begun is None or self.matcher(begun) is None]
            mask = torch.ones(len(self.vocabulary.texts), dtype=torch.bool)
            mask[wrong] = False
            self._allowed[tail] = mask if wrong else None
        return self._allowed[tail]

    def matcher(self, begun: bytes) -> llguidance.LLMatcher | None:
        """The grammar after the beginning of a call; None where no call begins so."""
        ids = self.vocabulary.backend.tokenize_bytes(begun) if begun else []
        matcher = self._fresh.deep_copy()
        return matcher if matcher.try_consume_tokens(ids) == len(ids) else None
