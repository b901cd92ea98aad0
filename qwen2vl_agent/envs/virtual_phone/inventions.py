"""Words that nobody knows, made of the letters that follow each other in given ones: `Marola Bents`, `Fonice.pdf`.

A model that only ever meets the same names learns them by heart; one that meets new ones on every phone must read.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable

LONGEST = 9
"""Letters of an invented word, at most."""
SHORTEST = 3
"""Shorter words, such as endings and articles, are kept as they are."""
_WORD = re.compile(r"[^\W\d_]+")
_END = ""


class Inventor:
    """Draws words as a chain in which each letter depends on the two before."""

    def __init__(self, texts: Iterable[str], never: Iterable[str]) -> None:
        """Words of `texts` are learned from, those of `never` are not made."""
        self._never = frozenset(_words(never))
        self._following: dict[str, list[str]] = defaultdict(list)
        for word in _words(texts):
            letters = [*word, _END]
            for place, letter in enumerate(letters):
                self._following[word[max(0, place - 2) : place]].append(letter)

    def word(self, rng: random.Random) -> str:
        """A new word in small letters."""
        while True:
            word = ""
            while len(word) <= LONGEST and (letter := rng.choice(self._following[word[-2:]])) != _END:
                word += letter
            if SHORTEST <= len(word) <= LONGEST and word not in self._never:
                return word

    def like(self, text: str, rng: random.Random) -> str:
        """A text of new words in the shape of another: its capitals, marks, numbers and file ending stay."""
        stem, dot, ending = text.partition(".")
        return _WORD.sub(lambda match: self._instead(match[0], rng), stem) + dot + ending

    def _instead(self, word: str, rng: random.Random) -> str:
        if len(word) < SHORTEST:
            return word
        new = self.word(rng)
        return new.capitalize() if word[0].isupper() else new


def _words(texts: Iterable[str]) -> list[str]:
    """All words of some texts, in small letters."""
    return [word for text in texts for word in _WORD.findall(text.lower())]
