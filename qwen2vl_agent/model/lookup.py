"""Guessing the coming tokens by looking up what followed the same tokens earlier in the sequence.

An agent repeats itself: names from the goal, thoughts and calls from earlier steps. A guess costs nothing where it is
right, as several tokens are read in one pass, and changes nothing where it is wrong. Source: prompt lookup decoding,
github.com/apoorvumang/prompt-lookup-decoding.
"""

from collections.abc import Collection, Sequence

LONGEST_MATCH, SHORTEST_MATCH = 3, 2
"""So many of the last tokens are looked up, the longer match first. One alone is followed by anything."""


class Lookup:
    """Remembers a sequence; its guesses are at most `length` tokens long."""

    def __init__(self, ids: Sequence[int], length: int, breaks: Collection[int] = ()) -> None:
        """`breaks` are ids that no guess contains: places of pictures, ends of turns."""
        self._length = length
        self._breaks = frozenset(breaks)
        self._ids: list[int] = []
        self._follows: dict[tuple[int, ...], int] = {}
        for token_id in ids:
            self.append(token_id)

    def append(self, token_id: int) -> None:
        """Take note of the next id of the sequence."""
        place = len(self._ids)
        self._ids.append(token_id)
        if token_id in self._breaks:
            return
        for size in range(SHORTEST_MATCH, LONGEST_MATCH + 1):
            if place >= size:
                self._follows[tuple(self._ids[place - size : place])] = place

    def guess(self, more: Sequence[int] = ()) -> list[int]:
        """What followed the last occurrence of the sequence's last tokens, `more` added to it; empty where nothing did.

        After 5 6 7 8 9 5 6 and a length of 2: 7 8.
        """
        recent = [*self._ids[-LONGEST_MATCH:], *more][-LONGEST_MATCH:]
        for size in range(min(LONGEST_MATCH, len(recent)), SHORTEST_MATCH - 1, -1):
            place = self._follows.get(tuple(recent[-size:]))
            if place is not None:
                return self._until_break(self._ids[place : place + self._length])
        return []

    def _until_break(self, ids: list[int]) -> list[int]:
        for place, token_id in enumerate(ids):
            if token_id in self._breaks:
                return ids[:place]
        return ids
