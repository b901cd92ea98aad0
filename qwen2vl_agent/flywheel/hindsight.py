"""Hindsight: an episode that missed its task, told as the task that it solved instead, where the environment can say.

The episode's calls are done again on the same phone. At the first step after which another bundled task is solved the
episode is cut, and recorded anew with that task's goal and a closing `done`. What the model wrote stays, as text: it
was written under another goal, so its token ids and probabilities are not carried over.

Source of the idea: Andrychowicz et al., "Hindsight Experience Replay", 2017.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qwen2vl_agent.dialogue.tool_call import render_call
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.tasks.achieved import achieved
from qwen2vl_agent.envs.tasks.task import Task
from qwen2vl_agent.schema.actions import Done
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.tools import to_call
from qwen2vl_agent.schema.trajectory import Reply, Step, Trajectory
from qwen2vl_agent.trajectory.record import Recorder
from qwen2vl_agent.trajectory.store import frames_folder, load_frame, read_episode

KEY = "hindsight"
"""In a header's `config`: what the episode's own task was."""
CLOSING = "It is done."


def relabelled(folder: Path, out: Path) -> Path | None:
    """Record the episode in `folder` below `out` as what it achieved; None where that is nothing that can be told.

    What was relabelled already is not done again.

    Raises:
        RecordError: its calls lead elsewhere when they are done again.
    """
    trajectory = read_episode(folder, prompts=False)
    header, place = trajectory.header, out / folder.name
    if header.device != "virtual-phone" or header.task == "text" or header.outcome != "failure":
        return None
    if place.is_dir():
        return place
    env = make_env(header.device, **header.config.get("job", {}).get("env_kwargs", {}))
    try:
        found = _first_achieved(env, folder, trajectory)
    finally:
        env.close()
    if found is None:
        return None
    task, done, after = found
    _record(place, folder, trajectory, task, trajectory.steps[:done], after)
    return place


def _first_achieved(env: Any, folder: Path, trajectory: Trajectory) -> tuple[Task, int, Any] | None:
    """Another task, the number of steps that solve it, and the screen then."""
    header = trajectory.header
    env.reset(seed=header.seed, options={"task": header.task, "split": header.config["split"]})
    for number, step in enumerate(trajectory.steps, 1):
        if not header.config.get("agent", {}).get("blind") and _differs(env, folder, step):
            raise RecordError(f"{folder}: step {step.index} shows another screen when it is done again")
        if step.call is None or step.error:
            continue
        _, _, terminated, truncated, _ = env.step(step.call)
        task = achieved(env.task, env.device.phone_state())
        if task is not None and task.id != header.task:
            return task, number, env.observation.image
        if terminated or truncated:
            break
    return None


def _differs(env: Any, folder: Path, step: Step) -> bool:
    return bool(env.observation.image.tobytes() != load_frame(folder, step.frame).tobytes())


def _record(place: Path, folder: Path, trajectory: Trajectory, task: Task, steps: Sequence[Step], after: Any) -> None:
    own = trajectory.header
    header = dataclasses.replace(
        own,
        task=task.id,
        goal=task.goal,
        outcome=None,
        reward=0.0,
        message="",
        config={**own.config, KEY: {"task": own.task, "goal": own.goal}},
    )
    frames = frames_folder(folder)
    with Recorder(place, header, frames, sync=False) as recorder:
        for step in steps:
            recorder.append(dataclasses.replace(step, reply=_plain(step.reply), reward=0.0))
        closing = to_call(Done())
        text = render_call(CLOSING, closing, own.form).removesuffix("\n✿RESULT✿")
        last = Step(len(steps), recorder.frame(after), "", Reply(text), closing, "", {"action": "done"}, 1.0)
        recorder.append(last)
        recorder.finish("success", 1.0)


def _plain(reply: Reply) -> Reply:
    return Reply(reply.text, target=reply.target)
