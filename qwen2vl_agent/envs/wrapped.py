"""gymnasium's wrappers around an agent's environment, and one that records what is done in a loop of your own."""

import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from qwen2vl_agent.dialogue.recorded import specs_to_record
from qwen2vl_agent.dialogue.tool_call import render_call
from qwen2vl_agent.envs.agent_env import AgentEnv
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall, to_call, tool_spec
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Outcome, Reply, Step, StoredFrame
from qwen2vl_agent.trajectory.record import Recorder


class AgentWrapper(gymnasium.Wrapper[np.ndarray, Any, np.ndarray, Any]):
    """An environment in wrappers, fit for an agent: what a wrapper does not have is looked up in what it wraps.

    `AgentWrapper(TimeLimit(make_env("gym", env_id="CartPole-v1"), 20))` is an `AgentEnv`: gymnasium's own wrappers
    show none of the functions, the goal or the picture of what they wrap.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return self.env.get_wrapper_attr(name)


class RecordEpisodes(AgentWrapper):
    """Records the episodes of a loop of your own as the agent's are: to view, export and learn from.

    Each is a folder of its own in `out`, by its number. One that is left by `reset` or `close` before its end has the
    outcome `stopped`.
    """

    def __init__(self, env: gymnasium.Env[np.ndarray, Any], out: Path | str, policy: str = "python") -> None:
        """`policy`: what the records call whoever acts."""
        super().__init__(env)
        self._out, self._policy = Path(out), policy
        self._count = 0
        self._recorder: Recorder | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode, and its record.

        Raises:
            RecordError: `out` holds an episode of that number.
        """
        self._stop()
        pixels, info = super().reset(seed=seed, options=options)
        inside = self._inside
        header = EpisodeHeader(
            task=getattr(inside.task, "id", None) or "text",
            goal=inside.goal,
            device=inside.device_name,
            policy=self._policy,
            seed=inside.episode_seed,
            tools=tuple(tool_spec(kind).name for kind in inside.tools),
            config={"split": inside.split, **specs_to_record(inside.tools)},
        )
        self._recorder = Recorder(self._out / f"{self._count:04d}", header)
        self._count += 1
        self._earned = 0.0
        return pixels, info

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do an action or a `ToolCall`, and record it with what was seen before."""
        seen: Observation = self._inside.observation
        begin = time.perf_counter()
        pixels, reward, terminated, truncated, info = super().step(action)
        call = action if isinstance(action, ToolCall) else to_call(action)
        if self._recorder is not None:
            frame = self._recorder.frame(seen.image)
            self._recorder.append(self._step(seen, frame, call, float(reward), info, time.perf_counter() - begin))
            self._earned += float(reward)
            if terminated or truncated:
                self._finish(info.get("outcome") or ("success" if float(reward) >= 1 else "failure"), info)
        return pixels, float(reward), terminated, truncated, info

    def _step(
        self, seen: Observation, frame: StoredFrame, call: ToolCall, reward: float, info: dict[str, Any], took_s: float
    ) -> Step:
        assert self._recorder is not None
        return Step(
            index=len(self._recorder.trajectory.steps),
            frame=frame,
            observation_text=seen.text,
            reply=Reply(render_call("", call, self._recorder.header.form)),
            call=call,
            error=info.get("action_error", ""),
            performed=info.get("performed"),
            reward=reward,
            timings={"perform": took_s},
            numbers=seen.numbers,
        )

    def close(self) -> None:
        """Close the environment; an episode that has not ended is stopped."""
        self._stop()
        super().close()

    @property
    def _inside(self) -> AgentEnv:
        inside: Any = self.env.unwrapped
        return inside

    def _stop(self) -> None:
        if self._recorder is not None:
            self._finish("stopped", {})

    def _finish(self, outcome: Outcome, info: dict[str, Any]) -> None:
        assert self._recorder is not None
        self._recorder.finish(outcome, info.get("return", self._earned), info.get("message", ""))
        self._recorder = None
