"""The words that fill a phone: names, titles and texts, split once and for all into a train and a held-out part.

Which part a word belongs to depends on the word alone (a checksum of its letters), so every process and every
version of the pools agrees.
"""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from qwen2vl_agent.envs.virtual_phone.inventions import Inventor
from qwen2vl_agent.envs.virtual_phone.word_pools import (
    ALARM_LABELS,
    ARTISTS,
    CITIES,
    EVENTS,
    FILES,
    FIRST_NAMES,
    LAST_NAMES,
    MESSAGE_TEMPLATES,
    MESSAGES,
    NETWORKS,
    NOTE_KINDS,
    NOTE_TOPICS,
    SONGS,
    THINGS,
)
from qwen2vl_agent.schema.trajectory import Split

HELD_OUT_PERCENT = 30
"""Share of every pool that training never sees."""
HELD_OUT_SHARE_IN_TEST = 0.4
"""Share of held-out words in the pools of a test phone."""


@dataclass(frozen=True, slots=True)
class Words:
    """Pools to draw from. Names are drawn apart as first and last names."""

    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    note_topics: tuple[str, ...]
    things: tuple[str, ...]
    messages: tuple[str, ...]
    cities: tuple[str, ...]
    alarm_labels: tuple[str, ...]
    events: tuple[str, ...]
    songs: tuple[str, ...]
    artists: tuple[str, ...]
    files: tuple[str, ...]
    networks: tuple[str, ...]

    @classmethod
    def train(cls) -> "Words":
        """Pools without any held-out word."""
        return cls(*_train_pools())

    @classmethod
    def test(cls) -> "Words":
        """Pools of which about 40 % are held out; the rest are words that training knows."""
        return cls(*(_mixed(pool) for pool in _POOLS))

    @classmethod
    def invented(cls, seed: int) -> "Words":
        """Pools of new words for each seed, in the shape of those of training."""
        rng, inventor = random.Random(f"invented {seed}"), _inventor()
        return cls(*(tuple(dict.fromkeys(inventor.like(word, rng) for word in pool)) for pool in _train_pools()))

    @classmethod
    def of(cls, split: Split, seed: int) -> "Words":
        """The pools of a split; only the invented ones depend on the seed."""
        if split == "invented":
            return cls.invented(seed)
        return cls.train() if split == "train" else cls.test()

    def full_name(self, rng: random.Random) -> str:
        """A first and a last name."""
        return f"{rng.choice(self.first_names)} {rng.choice(self.last_names)}"

    def full_names(self, rng: random.Random, count: int) -> list[str]:
        """Names of which no two share the first name, so that a first name tells a person."""
        firsts = rng.sample(self.first_names, count)
        return [f"{first} {rng.choice(self.last_names)}" for first in firsts]

    def phone_number(self, rng: random.Random) -> str:
        """A number as it is shown, for example `555-0182`."""
        return f"{rng.randint(200, 999)}-{rng.randint(0, 9999):04d}"

    def note_titles(self, rng: random.Random, count: int) -> list[str]:
        """Titles of two words, no two about the same topic."""
        return [f"{topic} {rng.choice(NOTE_KINDS)}" for topic in rng.sample(self.note_topics, count)]

    def note_body(self, rng: random.Random) -> str:
        """A short body of a note: some things, or a sentence."""
        if rng.random() < 0.5:
            return ", ".join(rng.sample(self.things, rng.randint(2, 4)))
        return self.message(rng)

    def message(self, rng: random.Random) -> str:
        """A short message between friends."""
        if rng.random() < 0.4:
            return rng.choice(self.messages)
        template = rng.choice(MESSAGE_TEMPLATES)
        hour = f"{rng.randint(1, 12)}:{rng.choice(('00', '15', '30', '45'))}"
        return template.format(thing=rng.choice(self.things), city=rng.choice(self.cities), time=hour)


_POOLS: tuple[Sequence[str], ...] = (
    FIRST_NAMES,
    LAST_NAMES,
    NOTE_TOPICS,
    THINGS,
    MESSAGES,
    CITIES,
    ALARM_LABELS,
    EVENTS,
    SONGS,
    ARTISTS,
    FILES,
    NETWORKS,
)
_NAMES = frozenset((*FIRST_NAMES, *LAST_NAMES))


@cache
def _train_pools() -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(word for word in pool if not _held_out(word)) for pool in _POOLS)


@cache
def _inventor() -> Inventor:
    known = {word for pool in _train_pools() for word in pool}
    return Inventor(sorted(known), {word for pool in _POOLS for word in pool} - known)


def is_held_out(text: str) -> bool:
    """Whether a text holds a word or title that the train pools never contain.

    A full name and a note's title count as held out when one of their parts is.
    """
    if any(text in pool for pool in _POOLS):
        return _held_out(text)
    first, _, second = text.partition(" ")
    if first in _NAMES and second in _NAMES:
        return _held_out(first) or _held_out(second)
    if first in NOTE_TOPICS and second in NOTE_KINDS:
        return _held_out(first)
    return False


def _held_out(word: str) -> bool:
    return zlib.crc32(word.encode()) % 100 < HELD_OUT_PERCENT


def _mixed(pool: Sequence[str]) -> tuple[str, ...]:
    held_out = [word for word in pool if _held_out(word)]
    known = [word for word in pool if not _held_out(word)]
    share = HELD_OUT_SHARE_IN_TEST
    return tuple(held_out + known[: round(len(held_out) * (1 - share) / share)])
