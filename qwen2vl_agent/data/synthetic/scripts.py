"""Words of many scripts, invented letter by letter, so that reading is learnt and not a list of words."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass

from qwen2vl_agent.data.synthetic import strings
from qwen2vl_agent.data.synthetic.letters import HAN, KATAKANA, LETTERS, Syllables

HELD_OUT = 1 / 8
"""Share of all words that training never shows."""
Maker = Callable[[random.Random], str]


@dataclass(frozen=True, slots=True)
class Script:
    """How words of a script are made."""

    name: str
    word: Maker
    space: str = " "
    """What stands between two words."""
    words: tuple[int, int] = (1, 3)
    """Of a line, from and to."""
    called: str = ""
    """What the script is called, where that is another name."""

    @property
    def told(self) -> str:
        """The script's name in an answer."""
        return self.called or self.name.capitalize()

    def line(self, rng: random.Random, *, held_out: bool) -> str:
        """Words that training shows, or words of which it shows none."""
        count = rng.randint(*self.words)
        return self.space.join(self._word(rng, held_out) for _ in range(count))

    def _word(self, rng: random.Random, held_out: bool) -> str:
        while True:
            word = self.word(rng)
            if is_held_out(word) == held_out:
                return word


def is_held_out(word: str) -> bool:
    """Whether a word is for testing only; the same for all cases, on any machine."""
    return hashlib.sha256(word.lower().encode()).digest()[0] < HELD_OUT * 256


def _of_syllables(syllables: Syllables) -> Maker:
    def word(rng: random.Random) -> str:
        made = "".join(
            rng.choice(syllables.onsets) + rng.choice(syllables.nuclei) + rng.choice(syllables.codas)
            for _ in range(rng.randint(*syllables.count))
        )
        return made.capitalize() if syllables.cased and rng.random() < 0.4 else made

    return word


def _of_letters(letters: str, least: int, most: int) -> Maker:
    return lambda rng: "".join(rng.choices(letters, k=rng.randint(least, most)))


def _hangul(rng: random.Random) -> str:
    """Syllables of a common initial, a vowel and, every second time, a final. Source: Unicode 16, chapter 3.12."""
    initials, vowels, finals = (0, 2, 3, 5, 6, 7, 9, 11, 12, 14, 16, 17, 18), (0, 1, 4, 5, 6, 8, 12, 13, 18, 20), (1, 4)

    def syllable() -> str:
        final = rng.choice((*finals, 8, 16, 17, 21)) if rng.random() < 0.5 else 0
        return chr(0xAC00 + (rng.choice(initials) * 21 + rng.choice(vowels)) * 28 + final)

    return "".join(syllable() for _ in range(rng.randint(1, 4)))


def _kana(rng: random.Random) -> str:
    """Hiragana, or katakana with long vowels."""
    letters = KATAKANA if rng.random() < 0.4 else LETTERS["hiragana"]
    return "".join(rng.choices(letters, k=rng.randint(2, 6)))


SCRIPTS = {
    script.name: script
    for script in (
        Script("latin", strings.word),
        Script("vietnamese", _of_syllables(LETTERS["vietnamese"]), words=(2, 4), called="Latin"),
        Script("cyrillic", _of_syllables(LETTERS["cyrillic"])),
        Script("greek", _of_syllables(LETTERS["greek"])),
        Script("arabic", _of_letters(LETTERS["arabic"], 3, 6)),
        Script("hebrew", _of_letters(LETTERS["hebrew"], 3, 6)),
        Script("hangul", _hangul),
        Script("kana", _kana, space="", words=(1, 2)),
        Script("han", _of_letters(HAN, 2, 4), space="", words=(1, 2)),
    )
}
