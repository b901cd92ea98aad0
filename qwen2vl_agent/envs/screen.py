"""The one environment of screens: a device, perhaps a bundled task, and gymnasium's contract."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from PIL import Image

from qwen2vl_agent.envs.action_space import ActionSpace
from qwen2vl_agent.envs.device import TellsNews
from qwen2vl_agent.envs.settling import BLACK_TEXT, Look, look
from qwen2vl_agent.envs.task_set import EndsByItself, PhoneTasks, TaskSet
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.envs.watching import Watched
from qwen2vl_agent.schema.actions import PHONE_ACTIONS, Action, Answer, AskUser, Done, Note
from qwen2vl_agent.schema.errors import ActionRejected, ActionVoid, ConfigError, ToolCallError
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import OBSERVE, Observation, Observe
from qwen2vl_agent.schema.tools import ToolCall, ToolSpec, narrowed, to_action, tool_spec
from qwen2vl_agent.schema.trajectory import Split

NO_USER_TEXT = "Nobody is there to answer; decide yourself."
HIGHEST_SEED = 2**31


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreenConfig:
    """How episodes on a screen go."""

    task: str = ""
    """Id of a bundled task, or the task in the user's own words."""
    split: Split = "test"
    """Which words fill the phone of a bundled task."""
    seed: int | None = None
    """Seed of the first episode; later ones draw theirs from it."""
    max_steps: int | None = None
    """Steps after which an episode is cut off; None for what the task allows, or 30."""
    end_when_solved: bool = True
    """Whether an episode ends by itself once the task is solved, before the agent says so."""
    fresh: bool = False
    """Whether an episode without a bundled task begins on a new random phone (virtual ones only)."""
    observe: Observe = "screen"
    """What is shown at each step: a screenshot, a video in place of it, or one of the last action before it."""
    settle_interval_s: float = 0.15
    """From one look to the next while the screen moves, where a capture does not take longer."""
    settle_limit_s: float = 3.0
    """How long a moving screen is waited for."""

    def __post_init__(self) -> None:
        if self.max_steps is not None and self.max_steps <= 0:
            raise ValueError(f"max_steps is {self.max_steps}; expected at least 1")
        if self.settle_interval_s < 0 or self.settle_limit_s < 0:
            raise ValueError("settling takes no negative time")
        if self.observe not in OBSERVE:
            raise ValueError(f"observe is {self.observe!r}; expected {', '.join(OBSERVE)}")


DEFAULT_MAX_STEPS = 30


class ScreenEnv(gymnasium.Env[np.ndarray, Any]):
    """A device as a gymnasium environment.

    The observation is the screenshot, uint8 [H, W, 3]; `observation` has it as the agent sees it, with words beside
    it. An action is a dataclass of the action set or a `ToolCall`. What the device or the parser refuses is told in
    `info["action_error"]` and in the observation's text, and changes nothing. The reward is the task's score of the
    state after the step; an episode ends with a score of 1, `done` or `answer`.

    Raises, in `reset` and `step`:
        DeviceLost: the device does not answer.
        ConfigError: a bundled task was asked for that does not exist, or on a phone that is not virtual.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012 (gymnasium's own form)

    def __init__(
        self,
        device: Any,
        config: ScreenConfig | None = None,
        *,
        tasks: TaskSet | None = None,
        tools: tuple[type, ...] = PHONE_ACTIONS,
        ask_user: Callable[[str], str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        """`tasks` are the device's bundled ones; a phone's if left out."""
        self.device = device
        self.config = config or ScreenConfig()
        self.tools = tools
        self.render_mode = render_mode
        self.task: Any = None
        """The bundled task of this episode; None where the task is free text."""
        self._tasks = tasks or PhoneTasks(device)
        self.goal = ""
        self.answer: str | None = None
        self.episode_seed: int | None = None
        self._ask_user = ask_user
        self.timings: dict[str, float] = {}
        """Seconds of the last reset or step by part, by this machine's clock: `perform`, `settle`, `capture`."""
        self._num_steps = 0
        self._observation: Observation | None = None
        self._watched: Watched | None = None
        self.action_space = ActionSpace(tools, app_names=self._tasks.app_names)
        self.observation_space = _box(device.frame.width, device.frame.height)

    @property
    def device_name(self) -> str:
        """What records call the device."""
        return str(self.device.name)

    @property
    def split(self) -> Split:
        """Where the words of bundled tasks come from."""
        return self.config.split

    @property
    def observation(self) -> Observation:
        """What the agent is to look at now."""
        if self._observation is None:
            raise ValueError("reset() comes before the first observation")
        return self._observation

    @property
    def max_steps(self) -> int:
        """Steps after which this episode is cut off."""
        return self.config.max_steps or (int(self.task.max_steps) if self.task else DEFAULT_MAX_STEPS)

    @property
    def legal_tools(self) -> tuple[ToolSpec, ...]:
        """The tools as they may be called now: where the installed apps are known, an app is opened by its label."""
        names = self._tasks.app_names
        specs = map(tool_spec, self.tools)
        return tuple(narrowed(spec, "name", names) if spec.name == "open_app" and names else spec for spec in specs)

    # gymnasium -----------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; `options` may hold `task` and `split` for this one."""
        if seed is None and self.episode_seed is None:
            seed = self.config.seed
        super().reset(seed=seed)
        self.episode_seed = int(self.np_random.integers(HIGHEST_SEED)) if seed is None else seed
        options = options or {}
        self._set_up(options.get("task", self.config.task), options.get("split", self.config.split), self.episode_seed)
        self.answer, self._num_steps = None, 0
        if self.config.observe != "screen":
            self._watched = self._watched or Watched(self.device, self.config.observe)
            self._watched.begin()
        seen = self._look(may_settle=False)
        self._observe(seen, "")
        info = {"goal": self.goal, "task": self.task.id if self.task else "", "seed": self.episode_seed}
        return self._pixels(), info | self._measured(seen, 0.0)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do an action or a `ToolCall`, wait until the screen stands still, and score the state."""
        self._num_steps += 1
        performed, error, text, touched, begin = None, "", "", False, time.perf_counter()
        try:
            if isinstance(action, ToolCall):
                action = to_action(action, self.tools)
            performed, text = self._perform(action)
        except (ActionRejected, ToolCallError) as refusal:
            error = text = str(refusal)
        except ActionVoid as void:
            error = text = str(void)
            touched = True
        perform_s = time.perf_counter() - begin
        seen = self._look(may_settle=touched or performed is not None)
        self._observe(seen, text)
        reward = self.score()
        ended = not error and isinstance(action, Done | Answer)
        terminated = ended or (self.config.end_when_solved and reward >= 1.0) or self._over()
        truncated = not terminated and self._num_steps >= self.max_steps
        info = {"performed": performed, "action_error": error} | self._measured(seen, perform_s)
        return self._pixels(), reward, terminated, truncated, info

    def look_again(self) -> Observation:
        """Look without doing anything, as somebody else may have touched the device."""
        self._observe(self._look(may_settle=True), "")
        return self.observation

    def render(self) -> np.ndarray | None:
        """The current screen where `render_mode` is `rgb_array`."""
        return self._pixels() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Let go of the device."""
        (self._watched or self.device).close()

    # Tasks -----------------------------------------------------------------------------------------------------------

    def score(self) -> float:
        """The task's score of the state as it is; 0 where there is no bundled task."""
        return 0.0 if self.task is None else float(self._tasks.score(self.task, self.answer))

    def oracle(self) -> Decision:
        """The bundled task's own next action.

        Raises:
            ConfigError: there is no bundled task.
        """
        if self.task is None:
            raise ConfigError("only bundled tasks have an oracle; `qwen2vl-agent tasks` lists them")
        return self._tasks.oracle(self.task)

    def _over(self) -> bool:
        """Whether the task has ended by itself, solved or not."""
        return self.task is not None and isinstance(self._tasks, EndsByItself) and self._tasks.over(self.task)

    def _set_up(self, name: str, split: Split, seed: int) -> None:
        self.task = self._tasks.begin(name, split, seed, self.config.fresh)
        self.goal = self.task.goal if self.task else name

    # Inside ----------------------------------------------------------------------------------------------------------

    def _perform(self, action: Action) -> tuple[dict[str, Any] | None, str]:
        """What was really sent (None where the device was not touched), and what to tell the agent."""
        if not self.action_space.contains(action):
            raise ActionRejected(f"{action!r} is not an action of this device")
        match action:
            case Note() | Done():
                return None, ""
            case Answer(text=text):
                self.answer = text
                return None, ""
            case AskUser(question=question):
                return None, f"The user says: {self._ask_user(question)}" if self._ask_user else NO_USER_TEXT
        return (self._watched or self.device).perform(action), ""

    def _look(self, *, may_settle: bool) -> Look:
        config = self.config
        device = self._watched or self.device
        return look(device, interval_s=config.settle_interval_s, limit_s=config.settle_limit_s, may_settle=may_settle)

    def _observe(self, seen: Look, text: str) -> None:
        news = self.device.news() if isinstance(self.device, TellsNews) else ""
        black = getattr(self.device, "why_black", lambda: BLACK_TEXT)() if seen.black else ""
        words = " ".join(filter(None, (text, news, black)))
        frame = Frame("screenshot", *seen.image.size, self.device.frame.rotation)
        clip = None if self._watched is None else self._watched.clip(seen.image)
        self._observation = Observation(seen.image, frame, words, clip)
        if self.observation_space.shape != (seen.image.height, seen.image.width, 3):
            self.observation_space = _box(*seen.image.size)  # the screen was turned

    def _measured(self, seen: Look, perform_s: float) -> dict[str, Any]:
        """What `info` tells of the look: how long things took, which is nothing in simulated time."""
        self.timings = {"perform": perform_s, "settle": seen.settle_s, "capture": seen.capture_s}
        told = {f"{name}_s": seconds if self.device.timed else 0.0 for name, seconds in self.timings.items()}
        return told | {"black": seen.black}

    def _pixels(self) -> np.ndarray:
        image: Image.Image = self.observation.image
        return np.array(image)


def _box(width: int, height: int) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(0, 255, (height, width, 3), np.uint8)
