"""What a request says about where an answer ends and what it may be, on top of the grammar of calls."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from qwen2vl_agent.model.constraint import Constraint


class ReplyConstraint:
    """A text that ends with any of `stops`, that may be ruled by a grammar, and that may have to hold a call.

    See `model/constraint.py` for what each method means.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        vocabulary: int,
        calls: Constraint | None = None,
        stops: Sequence[str] = (),
        never: Sequence[int] = (),
    ) -> None:
        """Nothing is written yet.

        Args:
            calls: the grammar of calls, if any.
            never: ids that may not come before a call was begun: those that would end the turn where one has to be
                made.
        """
        self._decode, self._size, self._calls, self._stops, self._never = decode, vocabulary, calls, stops, list(never)
        self._written: list[int] = []
        self._stopped = False

    def forced(self) -> list[int]:
        return self._calls.forced() if self._calls is not None else []

    def allowed(self) -> Tensor | None:
        allowed = self._calls.allowed() if self._calls is not None else None
        if not self._never or self.open:
            return allowed
        allowed = torch.ones(self._size, dtype=torch.bool) if allowed is None else allowed.clone()
        allowed[self._never] = False
        return allowed

    def accept(self, token_id: int) -> None:
        if self._calls is not None:
            self._calls.accept(token_id)
        if self._stops:
            self._written.append(token_id)
            text = self._decode(self._written)
            self._stopped = any(stop in text for stop in self._stops)

    @property
    def open(self) -> bool:
        return self._calls is not None and self._calls.open

    @property
    def finished(self) -> bool:
        return self._stopped or (self._calls is not None and self._calls.finished)


class Holdback:
    """Gives out a text piece by piece, up to the first of some marks; what may be the beginning of one is held back."""

    def __init__(self, marks: Sequence[str], tell: Callable[[str], None]) -> None:
        self._marks, self._tell = marks, tell
        self._held = ""
        self._ended = False

    def feed(self, piece: str) -> None:
        """One more piece."""
        if self._ended:
            return
        self._held += piece
        places = [place for mark in self._marks if (place := self._held.find(mark)) >= 0]
        safe = min(places) if places else len(self._held) - self._begun()
        self._ended = bool(places)
        self._give(safe)

    def finish(self) -> None:
        """The text ends here: what was held back was no mark."""
        if not self._ended:
            self._give(len(self._held))
            self._ended = True

    def _begun(self) -> int:
        """Length of the longest end of the text that begins a mark."""
        longest = max(map(len, self._marks), default=1) - 1
        return next((n for n in range(longest, 0, -1) if any(m.startswith(self._held[-n:]) for m in self._marks)), 0)

    def _give(self, size: int) -> None:
        if size:
            self._tell(self._held[:size])
        self._held = self._held[size:]
