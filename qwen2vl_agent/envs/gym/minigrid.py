"""MiniGrid and BabyAI: named moves, a mission, and BabyAI's own bot as the solution."""

import dataclasses
import warnings
from typing import Any

import numpy as np

from qwen2vl_agent.envs.gym.adapter import Adapter
from qwen2vl_agent.envs.gym.control import Control, functions
from qwen2vl_agent.envs.gym.words import Label
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.errors import ConfigError

MOVES = (
    Label("left", "Turn left"),
    Label("right", "Turn right"),
    Label("forward", "Go one cell forward"),
    Label("pickup", "Pick up what is in front"),
    Label("drop", "Put down what is carried, in front"),
    Label("toggle", "Open or close the door or box in front"),
    Label("done", "Say that the mission is done"),
)
"""Source: `minigrid.core.actions.Actions`."""
ABOUT = {
    "GoNextToSubgoal": "Go there",
    "ExploreSubgoal": "Look for it",
    "OpenSubgoal": "Open it",
    "CloseSubgoal": "Close it",
    "PickupSubgoal": "Take it",
    "DropSubgoal": "Put it down",
}
"""The bot's subgoals in words."""
FACING = (">", "v", "<", "^")
"""Of the directions 0 to 3."""
LETTERS = {
    "key": {"red": "r", "green": "g", "blue": "b", "purple": "p", "yellow": "y", "grey": "e"},
    "ball": {"red": "R", "green": "G", "blue": "B", "purple": "P", "yellow": "Y", "grey": "E"},
    "box": {"red": "s", "green": "h", "blue": "c", "purple": "q", "yellow": "z", "grey": "f"},
    "door": {"red": "S", "green": "H", "blue": "C", "purple": "Q", "yellow": "Z", "grey": "F"},
}
"""Of a thing in a thought's map, by kind and colour."""
LARGEST_MAP = 8
"""Cells along a side of a world that a thought still tells."""


class MiniGridAdapter(Adapter):
    """A grid world. It is solved when an episode ends with a reward above 0, as its rules say."""

    def control(self, levels: int | None) -> Control:
        """The seven moves; the last one changes nothing in the world."""
        if self.env.action_space.n != len(MOVES):
            return super().control(levels)
        control = functions(MOVES, [move.name for move in MOVES])
        return dataclasses.replace(control, noop=control.from_raw(len(MOVES) - 1))

    def began(self, observation: Any, info: dict[str, Any]) -> None:
        """A new bot for the new mission."""
        self._bot: Any = None
        self._last: Any = None
        self._next: Any = None

    def did(self, raw: Any) -> None:
        """The bot is told before it says what follows."""
        self._last, self._next = self.env.unwrapped.actions(int(raw)), None

    def solved(self, reward: float, ended: bool, info: dict[str, Any]) -> bool | None:
        """See the class."""
        return ended and reward > 0

    def oracle(self, control: Control) -> Decision:
        """What BabyAI's bot would do, whatever was done before.

        Raises:
            ConfigError: a MiniGrid environment, whose missions the bot does not know.
        """
        world = self.env.unwrapped
        if not hasattr(world, "instrs"):
            raise ConfigError(f"{self.env_id} has no oracle: BabyAI's bot knows the missions of BabyAI only")
        if self._next is None:
            self._next = self._planned(world)
        thought = f"{_map(world)}{_where(world)}{self._aim()}: {MOVES[int(self._next)].about.lower()}."
        return Decision(thought, control.from_raw(int(self._next)))

    def _planned(self, world: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from minigrid.utils.baby_ai_bot import BabyAIBot

            if self._bot is None:
                self._bot = BabyAIBot(world)
                return self._bot.replan(None)
            try:
                return self._bot.replan(self._last)
            except (AssertionError, IndexError):  # it lost the thread: others acted in between
                self._bot = BabyAIBot(world)
                return self._bot.replan(None)

    def _aim(self) -> str:
        stack = self._bot.stack
        return ABOUT.get(type(stack[-1]).__name__, "Go on") if stack else "Go on"


def _map(world: Any) -> str:
    """A small world within its walls, cell by cell and row by row, for a mission of one thing; else empty."""
    if world.width > LARGEST_MAP or not _asked(world):
        return ""
    rows = ["".join(_cell(world, x, y) for x in range(1, world.width - 1)) for y in range(1, world.height - 1)]
    return f"{' '.join(rows)}. "


def _cell(world: Any, x: int, y: int) -> str:
    """What is there, with column and row: four characters, so that what is written of a cell stands in the same place.

    A thing has its letter twice (`rr25`, a red key), nothing is `..`, a wall `##`, the agent twice the way it faces.
    """
    thing = world.grid.get(x, y)
    if (x, y) == tuple(world.agent_pos):
        seen = 2 * FACING[world.agent_dir]
    elif thing is None or thing.type == "wall":
        seen = "##" if thing else ".."
    else:
        seen = 2 * LETTERS.get(thing.type, {}).get(thing.color, "?")
    return f"{seen}{x}{y}"


def _asked(world: Any) -> list[tuple[int, int]]:
    return [tuple(place) for place in getattr(getattr(world.instrs, "desc", None), "obj_poss", None) or ()]


def _where(world: Any) -> str:
    """The cells of the agent and of the nearest thing that a mission of one thing asks for, and the way on the picture.

    `I am vv21, it is rr53: 3 right, 2 down. `.
    """
    places = _asked(world)
    if not places:
        return ""
    offsets = [np.array(place) - world.agent_pos for place in places]
    nearest = min(offsets, key=lambda offset: int(np.abs(offset).sum()))
    there = _cell(world, *(world.agent_pos + nearest))
    return f"I am {_cell(world, *world.agent_pos)}, it is {there}: {way_in_words(*map(int, nearest))}. "


def way_in_words(columns: int, rows: int) -> str:
    """The way to a cell so many columns to the right and rows down: `3 left, 4 up`."""
    named = ((columns, ("right", "left")), (rows, ("down", "up")))
    return ", ".join(f"{abs(cells)} {names[cells < 0]}" for cells, names in named if cells) or "here"
