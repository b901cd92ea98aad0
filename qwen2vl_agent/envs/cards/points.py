"""EZPoint and Point24: write a formula that uses each card once and gives the target, symbol by symbol."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from qwen2vl_agent.envs.cards.drawing import SIDE, SUITS, Card, table
from qwen2vl_agent.envs.cards.formula import OPERATORS, solve, value_of
from qwen2vl_agent.envs.cards.rules import EXAMPLES

NUMBERS = tuple(str(number) for number in range(1, 11))
WON, WRONG = 10.0, -1.0


class PointsEnv(gymnasium.Env[np.ndarray, Any]):
    """Cards lie on the table; an action writes one symbol of the formula below them, `=` ends it.

    Face cards count as tens. A number that is on no unused card is not written, costs 1, and takes up a place. The
    reward of `=` is 10 for the target with every card used, else -1; a formula that is too long is cut off with -1.

    Source: the rules of RL4VLM (arXiv 2405.10292), gym-cards `points.py` and `ezpoints.py`. Different here: chance
    comes from the seed, and a formula is read by a grammar of its own (`formula.py`), never run.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012 (gymnasium's own form)
    symbols: tuple[str, ...]
    operators: tuple[str, ...]
    goal_text: str
    longest: int
    """Symbols after which the formula is cut off."""

    def __init__(self, target: int, render_mode: str | None = None) -> None:
        self.target, self.render_mode = target, render_mode
        self.action_space = spaces.Discrete(len(self.symbols))
        self.observation_space = spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.max_steps = self.longest + 2
        self.cards: list[Card] = []
        self.formula: list[str] = []
        self.used: list[int] = []
        self._solved: bool | None = None

    def get_action_meanings(self) -> list[str]:
        """In the order of the action space."""
        return list(self.symbols)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Deal."""
        super().reset(seed=seed)
        ranks = self.deal()
        self.cards = [Card(rank, SUITS[int(self.np_random.integers(len(SUITS)))]) for rank in ranks]
        self.formula, self.used, self._solved = [], [], None
        return self.render(), self._info()

    def deal(self) -> list[int]:
        """The ranks of the cards."""
        raise NotImplementedError

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Write a symbol."""
        symbol = self.symbols[int(action)]
        if len(self.formula) > self.longest:
            self._solved = False
            return self.render(), WRONG, False, True, self._info()
        reward, terminated = 0.0, False
        if symbol == "=":
            self._solved, terminated = self._right(), True
            reward = WON if self._solved else WRONG
        elif symbol.isdecimal() and not self._unused(int(symbol)):
            self.formula.append(" ")
            reward = WRONG
        else:
            self.formula.append(symbol)
            self.used += [int(symbol)] if symbol.isdecimal() else []
        return self.render(), reward, terminated, False, self._info()

    def _right(self) -> bool:
        written = [symbol for symbol in self.formula if symbol != " "]
        return len(self.used) == len(self.cards) and value_of(written) == self.target

    def _unused(self, number: int) -> bool:
        return self.numbers.count(number) > self.used.count(number)

    @property
    def numbers(self) -> list[int]:
        """What the cards count, as they lie."""
        return [card.points for card in self.cards]

    def solution(self) -> tuple[str, int]:
        """The right next symbol, and why; where no formula is right, `=` gives up."""
        found = solve(sorted(self.numbers), self.target, self.operators)  # one formula, however the cards lie
        written = [symbol for symbol in self.formula if symbol != " "]
        said = f"The cards are {_listed(self.numbers)}{self._in_order()}."
        if found is None or list(found[: len(written)]) != written:
            reason = "no formula" if found is None else "this formula can no more"
            return f"{said} I see that {reason} gives {self.target}.", self.symbols.index("=")
        following = found[len(written)] if len(written) < len(found) else "="
        return f"{said} {' '.join(found)} = {self.target}.", self.symbols.index(following)

    def _in_order(self) -> str:
        """More than two cards are put in order before a formula is sought."""
        return f", in order {_listed(sorted(self.numbers))}" if len(self.cards) > 2 else ""

    def render(self) -> np.ndarray:
        """The picture: cards, and the formula so far."""
        text = " ".join(self.formula).strip()
        lines = [("Formula:", 0.76), (text, 0.88)] if len(self.cards) > 2 else [(f"Formula: {text}", 0.86)]
        return np.array(table(self.cards, lines, top=0.4))

    def _info(self) -> dict[str, Any]:
        told = {"cards": [card.name for card in self.cards], "numbers": self.numbers, "formula": " ".join(self.formula)}
        return told if self._solved is None else {**told, "is_success": self._solved}


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


class EZPointEnv(PointsEnv):
    """Two cards that give 12 by their sum or product."""

    symbols = (*NUMBERS, "+", "*", "=")
    operators = ("+", "*")
    goal_text = EXAMPLES["ezpoint"]
    longest = 5

    def __init__(self, target: int = 12, render_mode: str | None = None) -> None:
        super().__init__(target, render_mode)

    def deal(self) -> list[int]:
        """A card from 2 to king, and the one that is missing to 12, by product in half of the cases where it can."""
        first = int(self.np_random.integers(2, 14))
        points = min(first, 10)
        product = points in (2, 3, 4, 6) and self.np_random.random() <= 0.5
        ranks = [first, 12 // points if product else 12 - points]
        return ranks[::-1] if self.np_random.random() <= 0.5 else ranks


class Point24Env(PointsEnv):
    """Four cards that may or may not give 24."""

    symbols = (*NUMBERS, *OPERATORS, "(", ")", "=")
    operators = OPERATORS
    goal_text = EXAMPLES["point24"]
    longest = 20

    def __init__(self, target: int = 24, render_mode: str | None = None) -> None:
        super().__init__(target, render_mode)

    def deal(self) -> list[int]:
        """Four ranks, each drawn evenly."""
        return [int(rank) for rank in self.np_random.integers(1, 14, 4)]
