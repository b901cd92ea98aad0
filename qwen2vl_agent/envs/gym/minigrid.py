"""MiniGrid and BabyAI: named moves, a mission, and BabyAI's own bot as the solution."""

import dataclasses
import warnings
from typing import Any

from qwen2vl_agent.envs.gym.adapter import Adapter
from qwen2vl_agent.envs.gym.control import Control, functions
from qwen2vl_agent.envs.gym.grid_map import LETTERS, WALL, Cell, GridMap, Pose
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
        self._acted = False
        self._thing: Cell | None = None

    def did(self, raw: Any) -> None:
        """The bot is told before it says what follows."""
        self._last, self._next, self._acted = self.env.unwrapped.actions(int(raw)), None, True

    def solved(self, reward: float, ended: bool, info: dict[str, Any]) -> bool | None:
        """See the class."""
        return ended and reward > 0

    def oracle(self, control: Control) -> Decision:
        """What BabyAI's bot would do, whatever was done before; to a thing in a small world, the shortest way.

        Raises:
            ConfigError: a MiniGrid environment, whose missions the bot does not know.
        """
        world = self.env.unwrapped
        if not hasattr(world, "instrs"):
            raise ConfigError(f"{self.env_id} has no oracle: BabyAI's bot knows the missions of BabyAI only")
        seen = self._seen(world)
        if self._next is None:
            self._next = self._move(world)
        return Decision(f"{seen}{self._aim()}: {MOVES[self._next].about.lower()}.", control.from_raw(self._next))

    def _seen(self, world: Any) -> str:
        """The map of a small world at first, and where the thing is that is asked for; empty where it is several."""
        places = _asked(world)
        if not places:
            self._thing = None
            return ""
        pose, grid = _pose(world), _grid_map(world)
        if self._thing not in places:
            self._thing = min(places, key=lambda place: abs(place[0] - pose.x) + abs(place[1] - pose.y))
        told = "" if self._acted or not _is_small(world) else f"{grid.told(pose)} "
        return f"{told}{grid.where(pose, self._thing)} "

    def _move(self, world: Any) -> int:
        """The next move of the way to the thing asked for, or of the bot where the mission is another."""
        if self._thing and _is_small(world) and type(world.instrs).__name__ == "GoToInstr":
            move = _grid_map(world).next_move(_pose(world), self._thing)
            if move is not None:
                return move
        return int(self._planned(world))

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
        if self._bot is None:
            return ABOUT["GoNextToSubgoal"]
        return ABOUT.get(type(self._bot.stack[-1]).__name__, "Go on") if self._bot.stack else "Go on"


def _is_small(world: Any) -> bool:
    return bool(world.width <= LARGEST_MAP)


def _asked(world: Any) -> list[Cell]:
    """Where the things are that a mission of one thing is content with."""
    places = getattr(getattr(world.instrs, "desc", None), "obj_poss", None) or ()
    return [(int(x), int(y)) for x, y in places]


def _pose(world: Any) -> Pose:
    x, y = map(int, world.agent_pos)
    return Pose(x, y, int(world.agent_dir))


def _grid_map(world: Any) -> GridMap:
    cells = ((x, y) for x in range(1, world.width - 1) for y in range(1, world.height - 1))
    things = {cell: world.grid.get(*cell) for cell in cells}
    return GridMap(world.width, world.height, {cell: _letter(thing) for cell, thing in things.items() if thing})


def _letter(thing: Any) -> str:
    return WALL if thing.type == "wall" else LETTERS.get(thing.type, {}).get(thing.color, "?")
