"""gymnasium's worlds of numbered states, whose rules are a table: the best play, found by value iteration."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from qwen2vl_agent.envs.gym.adapter import Adapter, map_words
from qwen2vl_agent.envs.gym.control import Control
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.tools import tool_name

DISCOUNT = 0.99
"""Of a reward one step later: of two sure ways the shorter one is taken."""
CLOSE = 1e-8
"""Value iteration ends when no value changes by more."""
TOLD = 6
"""Calls of a sure way that a thought names, at most."""


class TabularAdapter(Adapter):
    """A world with a table `P[state][action]` of (chance, next state, reward, end): those of toy-text."""

    def began(self, observation: Any, info: dict[str, Any]) -> None:
        """The rules may be new: a map that is drawn for every episode."""
        self._choice: np.ndarray | None = None

    def oracle(self, control: Control) -> Decision:
        """The action of the highest value, and the way that follows where nothing is left to chance.

        Raises:
            ConfigError: a world without such a table and without a solution of its own.
        """
        world = self.env.unwrapped
        if not hasattr(world, "P"):
            return super().oracle(control)
        if self._choice is None:
            self._choice = best_actions(world.P)
        way = list(_way(world.P, self._choice, int(world.s)))
        names = [_said(control.from_raw(action)) for action in way]
        return Decision(f"{map_words(self.env)}The way is {', '.join(names)}.", control.from_raw(way[0]))


def best_actions(table: dict[int, dict[int, list[tuple[float, int, float, bool]]]]) -> np.ndarray:
    """The best action of every state, (states,), for rewards discounted by `DISCOUNT`; of equal ones the first.

    Source: value iteration, Sutton and Barto, Reinforcement Learning, second edition, section 4.4.
    """
    most = max(len(results) for actions in table.values() for results in actions.values())
    shape = (len(table), len(table[0]), most)
    chance, reward, lasts = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    following = np.zeros(shape, dtype=np.int64)
    for state, actions in table.items():
        for action, results in actions.items():
            for place, (share, after, earned, ended) in enumerate(results):
                where = (state, action, place)
                chance[where], following[where], reward[where], lasts[where] = share, after, earned, not ended
    values = np.zeros(len(table))
    while True:
        of_actions = (chance * (reward + DISCOUNT * lasts * values[following])).sum(-1)
        better = of_actions.max(-1)
        if np.abs(better - values).max() < CLOSE:
            return (of_actions >= better[:, None] - CLOSE).argmax(-1)
        values = better


def _way(table: Any, choice: np.ndarray, state: int) -> Iterator[int]:
    """The actions from here on, as far as they are sure, at most `TOLD`; at least one."""
    for _ in range(TOLD):
        action = int(choice[state])
        yield action
        results = table[state][action]
        _, state, _, ended = results[0]
        if ended or len({after for _, after, _, _ in results}) > 1:
            return


def _said(action: Any) -> str:
    """A function's name, or of a world with one function for all actions its argument."""
    return str(getattr(action, "action", tool_name(type(action)))).replace("_", " ")
