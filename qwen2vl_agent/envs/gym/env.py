"""Any gymnasium environment as an agent's: function calls in, pictures out, and an honest verdict."""

import time
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
from PIL import Image

from qwen2vl_agent.envs.action_space import ActionSpace
from qwen2vl_agent.envs.clips import FPS, stepped_clip
from qwen2vl_agent.envs.gym.catalogue import Entry, entries
from qwen2vl_agent.envs.gym.config import GymConfig
from qwen2vl_agent.envs.gym.judging import Verdict, verdict
from qwen2vl_agent.envs.gym.making import find_spec
from qwen2vl_agent.envs.gym.opened import Opened, called, open_entry, plain
from qwen2vl_agent.envs.gym.pictures import in_words, numbers_of
from qwen2vl_agent.envs.screen import DEFAULT_MAX_STEPS, HIGHEST_SEED
from qwen2vl_agent.envs.task_set import check_free_text
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.envs.wrappers import GREY
from qwen2vl_agent.schema.actions import Done
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError, ToolCallError
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Clip, Observation
from qwen2vl_agent.schema.tools import ToolCall, ToolSpec, narrowed, to_action, tool_name, tool_spec
from qwen2vl_agent.schema.trajectory import Split

OVER_TEXT = "The episode is over."


@dataclass(frozen=True, slots=True)
class GymTask:
    """What an environment asks for by itself."""

    id: str
    goal: str
    unseen: bool = False
    """Nothing is held out of training but seeds."""


class GymEnv(gymnasium.Env[np.ndarray, Any]):
    """A gymnasium environment whose actions are function calls and whose observation is its picture.

    The reward is the environment's own; `info` tells `return`, the sum so far, and at the last step `outcome` and
    `message`: `success` or `failure` where the environment says what it counts as solved, by a flag in its `info` or by
    a threshold of the return, and `unverified` where it does not. An instruction in the user's own words is never
    verified, and gets a function `done`. A call of what the environment refuses changes nothing and is told.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012 (gymnasium's own form)
    device_name = "gym"

    def __init__(self, config: GymConfig | None = None, *, render_mode: str | None = None) -> None:
        """Open the environment that `config` names, or the first of the bundled ones.

        Raises:
            ConfigError: there is no such environment, or it cannot be used, and why.
        """
        self.config = config or GymConfig()
        self.render_mode = render_mode
        self.episode_seed: int | None = None
        self.task: GymTask | None = None
        self.goal = ""
        self._entries = entries()
        self._opened: Opened | None = None
        self._observation: Observation | None = None
        self._info: dict[str, Any] = {}
        self.timings: dict[str, float] = {}
        """Seconds of the last reset or step by part, by this machine's clock: `perform`, `capture`."""
        self._begin_counting()
        self._stands_in = not (self.config.env_id or self.config.task)  # until an episode names its task
        self._open(self._wanted(self.config.task), None)
        self._offer(free=False)
        self.observation_space = gymnasium.spaces.Box(0, 255, (1, 1, 3), np.uint8)
        self.reset(seed=self.config.seed)
        self.episode_seed, self._stands_in = None, False

    @property
    def split(self) -> Split:
        """Recorded only: environments draw everything from the seed."""
        return self.config.split

    @property
    def observation(self) -> Observation:
        """What the agent is to look at now."""
        assert self._observation is not None
        return self._observation

    @property
    def env(self) -> Any:
        """The gymnasium environment inside."""
        return self._now.env

    @property
    def max_steps(self) -> int:
        """Calls after which this episode is cut off."""
        if self.config.max_steps:
            return self.config.max_steps
        limit = self.env.spec.max_episode_steps if self.env.spec else None
        limit = limit or getattr(self.env.unwrapped, "max_steps", None)
        return -(-int(limit) // self._repeat) if limit else DEFAULT_MAX_STEPS

    @property
    def legal_tools(self) -> tuple[ToolSpec, ...]:
        """The functions that may be called now, where the environment gives an `action_mask`."""
        specs = tuple(map(tool_spec, self.tools))
        mask, numbers = self._info.get("action_mask"), self._now.control.numbers
        if mask is None or len(mask) != len(numbers) or not np.any(mask):
            return specs
        legal = [action for action, number in numbers.items() if mask[number - min(numbers.values())]]
        if len(self._now.control.tools) > 1:
            names = {tool_name(type(action)) for action in legal} | {"done"}
            return tuple(spec for spec in specs if spec.name in names)
        if isinstance(legal[0].action, str):
            return (narrowed(specs[0], "action", [action.action for action in legal]), *specs[1:])
        return specs

    # gymnasium -----------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; `options` may hold `task` for this one."""
        if seed is None and self.episode_seed is None:
            seed = self.config.seed
        super().reset(seed=seed)
        self.episode_seed = int(self.np_random.integers(HIGHEST_SEED)) if seed is None else seed
        task = (options or {}).get("task", self.config.task)
        self._open(self._wanted(task), self.episode_seed)
        begin = time.perf_counter()
        with called(self._now.env_id, "reset"):
            self._last, self._info = self.env.reset(seed=self.episode_seed)
        self._now.adapter.began(self._last, self._info)
        self._set_goal(task)
        self._begin_counting()
        self._observe("")
        seconds = time.perf_counter() - begin
        info = {"goal": self.goal, "task": self.task.id if self.task else "", "seed": self.episode_seed}
        return self._pixels(), info | self._measured(0.0, seconds)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do an action or a `ToolCall`, as often as `action_repeat` says."""
        self._num_steps += 1
        begin = time.perf_counter()
        reward, terminated, truncated, performed, error = 0.0, False, False, None, ""
        try:
            if isinstance(action, ToolCall):
                action = to_action(action, self.tools)
            reward, terminated, truncated, performed = self._perform(action)
        except (ActionRejected, ToolCallError) as refusal:
            error = str(refusal)
        perform_s = time.perf_counter() - begin
        self._earned += reward
        self._observe(error)
        ended = isinstance(action, Done) and not error
        if self.config.end_when_solved and self._solved and self.task:
            terminated = True
        truncated = not terminated and not ended and (truncated or self._num_steps >= self.max_steps)
        info = {"performed": performed, "action_error": error, "return": self._earned}
        if (terminated or truncated) and not ended:
            told = self._verdict()
            info |= {"outcome": told.outcome, "message": told.message}
        self._over = terminated or truncated or ended
        return self._pixels(), reward, terminated or ended, truncated, info | self._measured(perform_s, self._looked_s)

    def render(self) -> np.ndarray | None:
        """The current picture where `render_mode` is `rgb_array`."""
        return self._pixels() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close the environment inside."""
        if self._opened is not None:
            self._opened.env.close()
            self._opened = None

    # What an agent asks ----------------------------------------------------------------------------------------------

    def oracle(self) -> Decision:
        """The solution's next action.

        Raises:
            ConfigError: this environment has none.
        """
        return self._now.adapter.oracle(self._now.control)

    def noop(self) -> Any:
        """The action that does nothing, or as little as there is."""
        return self._now.control.noop

    # Inside ----------------------------------------------------------------------------------------------------------

    @property
    def _now(self) -> Opened:
        if self._opened is None:
            raise ValueError("the environment is closed")
        return self._opened

    @property
    def _repeat(self) -> int:
        return self.config.action_repeat or self._now.adapter.action_repeat

    def _wanted(self, task: str) -> Entry:
        if task in self._entries:
            return self._entries[task]
        if self.config.env_id:
            return Entry(self.config.env_id, "", self.config.env_kwargs, self.config.levels)
        if task and " " not in task and task in gymnasium.registry:
            return Entry(task, "", self.config.env_kwargs, self.config.levels)
        if task:
            check_free_text(task, list(self._entries))
            raise ConfigError(f"in which environment is {task!r} to be done? name it with --env-id")
        return next(iter(self._entries.values()))

    def _open(self, entry: Entry, seed: int | None) -> None:
        """Have the environment of `entry` open; one that is there already stays, unless a seed needs another."""
        config = replace(self.config, env_kwargs={}, camera="") if self._stands_in else self.config
        if self._opened is None or not self._opened.serves(entry, config, seed):
            self.close()
            self._opened = open_entry(entry, config, seed)

    def _set_goal(self, task: str) -> None:
        own = self._now.adapter.goal(self._last)
        free = bool(task) and task not in self._entries and task != self._now.env_id
        if free:
            check_free_text(task, list(self._entries))
        bundled = task if task in self._entries else self._now.env_id
        self.task, self.goal = (None, task) if free else (GymTask(bundled, own), own)
        self._offer(free)

    def _offer(self, free: bool) -> None:
        tools = (*self._now.control.tools, *((Done,) if free else ()))
        if getattr(self, "tools", None) != tools:
            self.tools = tools
            self.action_space = ActionSpace(tools)

    def _begin_counting(self) -> None:
        self._num_steps, self._earned, self._looked_s = 0, 0.0, 0.0
        self._solved: bool | None = None
        self._over = False
        self._passed: list[Image.Image] = []
        self._grey: Image.Image | None = None

    def _perform(self, action: Any) -> tuple[float, bool, bool, dict[str, Any] | None]:
        """Reward, the end of the episode, its cutting off, and what was really done."""
        if self._over:
            raise ActionRejected(OVER_TEXT)
        if not self.action_space.contains(action):
            raise ActionRejected(f"{action!r} is not an action of this environment")
        if isinstance(action, Done):
            return 0.0, False, False, None
        told = {"action": tool_name(type(action))}
        if self.config.dry_run:
            return 0.0, False, False, {**told, "dry_run": True}
        raw = self._now.control.to_raw(action)
        if not self.env.action_space.contains(raw):
            raise ActionRejected(f"{self._now.env_id} takes no {raw!r} as an action")
        reward, terminated, truncated, done = 0.0, False, False, 0
        self._passed = [self.observation.image]
        while done < self._repeat and not (terminated or truncated or self._stops_here()):
            with called(self._now.env_id, "step"):
                self._last, earned, terminated, truncated, self._info = self.env.step(raw)
            done, reward = done + 1, reward + float(earned)
            self._now.adapter.did(raw)
            said = self._now.adapter.solved(float(earned), bool(terminated), self._info)
            self._solved = said if said is not None else self._solved
            if self.config.observe != "screen":
                self._passed.append(self._picture())
        rate = self.env.metadata.get("render_fps")
        lasted = {"lasted_s": round(done / float(rate), 6)} if rate else {}
        return reward, bool(terminated), bool(truncated), {**told, "sent": plain(raw), "times": done, **lasted}

    def _stops_here(self) -> bool:
        return bool(self._solved) and self.config.end_when_solved

    def _verdict(self) -> Verdict:
        if self.task is None:
            return Verdict("unverified", f"earned {self._earned:g}")
        return verdict(self._solved, self._earned, self._now.adapter.threshold())

    def _observe(self, text: str) -> None:
        begin = time.perf_counter()
        image = self._passed[-1] if len(self._passed) > 1 else self._picture()
        clip, self._passed = self._clip(image), []
        beside = self._now.adapter.beside(self._last, self._info)
        numbers = numbers_of(self._last)
        told = in_words(numbers) if self.config.tell_numbers else ""
        words = "\n".join(part for part in (text, beside, told) if part)
        self._observation = Observation(image, Frame("screenshot", *image.size), words, clip, numbers)
        shape = (image.height, image.width, 3)
        if self.observation_space.shape != shape:
            self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self._looked_s = time.perf_counter() - begin

    def _picture(self) -> Image.Image:
        """What it shows now; grey, as large as at first, where nothing is to be seen."""
        if self._grey is not None:
            return self._grey
        with called(self._now.env_id, "render"):
            image: Image.Image = self._now.adapter.shown(self._now.pictures.take(self._last))
        if self.config.blind:
            self._grey = image = Image.new("RGB", image.size, GREY)
        return image

    def _clip(self, image: Image.Image) -> Clip | None:
        """What led to the present picture; None where it is not wanted, or there was no step."""
        alone = self.config.observe == "video"
        if self.config.observe == "screen" or not (alone or self._passed):
            return None
        rate = self.env.metadata.get("render_fps") or FPS
        return stepped_clip(self._passed or [image], float(rate), alone)

    def _measured(self, perform_s: float, capture_s: float) -> dict[str, float]:
        """What `info` tells of times: nothing passes in simulated time, so that an episode repeats to the last bit."""
        self.timings = {"perform": perform_s, "capture": capture_s}
        return {"perform_s": 0.0, "settle_s": 0.0, "capture_s": 0.0}

    def _pixels(self) -> np.ndarray:
        return np.array(self.observation.image)


def gym_env(*, render_mode: str | None = None, **options: Any) -> GymEnv:
    """A `GymEnv` with the options that `make_env` takes (fields of `GymConfig`).

    Raises:
        ConfigError: an option that is none, or an environment that cannot be used.
    """
    try:
        config = GymConfig(**{name: value for name, value in options.items() if value is not None})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"an environment cannot be made so: {error}") from None
    if config.env_id:
        find_spec(config.env_id, config.modules)
    return GymEnv(config, render_mode=render_mode)
