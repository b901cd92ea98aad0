"""Running one episode: from a task to a finished record."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from qwen2vl_agent.agent import deeds, nodes
from qwen2vl_agent.agent.checkpoints import forget
from qwen2vl_agent.agent.consult import consult
from qwen2vl_agent.agent.guards import LoopGuard
from qwen2vl_agent.agent.jobs import FINISHED
from qwen2vl_agent.agent.person import Nobody, Person
from qwen2vl_agent.agent.policy import Policy
from qwen2vl_agent.agent.rules import Judge, Rules
from qwen2vl_agent.agent.rules_file import rules_from
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.agent.state import START, Deed, Episode, Node, Progress
from qwen2vl_agent.agent.watcher import SilentWatcher, Watcher
from qwen2vl_agent.dialogue.recorded import recorded_dialogue, specs_to_record
from qwen2vl_agent.schema.actions import PHONE_ACTIONS, Wait
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.tools import to_call, tool_spec
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Outcome, Step, Trajectory
from qwen2vl_agent.trajectory.record import Recorder

Driver = Callable[[Episode, Progress], Progress]
RUNS_FOLDER = Path("runs")
"""Where episodes go that were given no folder."""


class Agent:
    """A model at work: the short way to run episodes from Python.

        trajectory = Agent(model, processor).run(make_env("virtual-phone", seed=1), task="settings.toggle")

    After a run, `folder` says where the episode was recorded. The record names the checkpoint that the processor was
    read from, so that `verify` finds the model.
    """

    def __init__(self, model: Any, processor: Any, config: AgentConfig | None = None, **sampling: Any) -> None:
        """Take a model and its processor, and the settings it was taught with; `sampling` goes to `SamplingConfig`."""
        from qwen2vl_agent.agent.model_policy import ModelPolicy, SamplingConfig

        self.config = config or AgentConfig.from_json(processor.agent_settings)
        self.policy = ModelPolicy(model, processor, SamplingConfig(**sampling))
        self.source: str = processor.source
        self.folder: Path | None = None

    def run(
        self,
        env: Any,
        task: str | None = None,
        out: Path | str | None = None,
        seed: int | None = None,
        watcher: Watcher | None = None,
        rules: Rules | None = None,
        person: Person | None = None,
    ) -> Trajectory:
        """Do a task in an environment and record it in `out` (default: a new folder below `runs/`).

        `rules` say what may be done (`read_rules` reads them from a file); `person` is asked where they say `ask`.
        """
        self.folder = Path(out) if out else new_folder(task)
        plan = EpisodePlan(out=self.folder, task=task, seed=seed, model=self.source, rules=rules or Rules())
        return run_episode(env, self.policy, plan, self.config, watcher, person=person)


def run_episode(
    env: Any,
    policy: Policy,
    plan: EpisodePlan,
    config: AgentConfig | None = None,
    watcher: Watcher | None = None,
    drive: Driver | None = None,
    person: Person | None = None,
) -> Trajectory:
    """Run an episode and record it. An interruption by the user ends it as `stopped`.

    Args:
        person: who is asked, and may pause, take over and stop; default nobody.
        drive: what goes round; default the langgraph one. `drive_plainly` does the same without importing langgraph.

    Raises:
        OperatorError: the device was lost or the like. The record then ends with the outcome `error`, as it does
            whatever else goes wrong.
    """
    config, watcher = config or AgentConfig(), watcher or SilentWatcher()
    if drive is None:
        from qwen2vl_agent.agent import graph

        drive = graph.drive
    env.reset(seed=plan.seed, options=_reset_options(plan))
    policy.begin(env.episode_seed)
    with open_record(env, policy, plan, config) as recorder:
        config = AgentConfig.from_json(recorder.header.config["agent"])  # when resuming: as it was
        rules = rules_from(recorder.header.config.get("rules", {}), (*PHONE_ACTIONS, *env.tools))
        episode = _episode(env, policy, recorder, config, watcher)
        episode.judge, episode.person = Judge(rules, lambda: nodes.app_in_front(env)), person or Nobody()
        watcher.began(recorder.header, episode.max_steps)
        outcome, reward, message = _run(episode, plan, drive)
        trajectory = recorder.finish(outcome, reward, message)
        if outcome in FINISHED:
            forget(recorder.folder)
    watcher.ended(trajectory.header)
    return trajectory


def _run(episode: Episode, plan: EpisodePlan, drive: Driver) -> tuple[Outcome, float, str]:
    steps = episode.recorder.trajectory.steps
    try:
        progress = go_on(episode, plan) if steps else START
        if progress["outcome"] is None:
            progress = drive(episode, progress)
        assert progress["outcome"] is not None
        return progress["outcome"], progress["reward"], progress["message"]
    except KeyboardInterrupt:
        return "stopped", _last_reward(steps), "stopped by the user"
    except Exception as error:
        message = str(error) or type(error).__name__
        episode.watcher.ended(episode.recorder.finish("error", _last_reward(steps), message).header)
        raise


def drive_plainly(episode: Episode, progress: Progress) -> Progress:
    """Run an episode to its end in a loop: what the graph does, for workers that must start fast."""
    state: Any = dict(progress)
    node: Node = "observe"
    while node != "end":
        state.update(NODES[node](episode, state))
        node = nodes.after(node, state)
    return state


NODES: dict[str, Callable[[Episode, Any], dict[str, Any]]] = {
    "observe": nodes.observe,
    "think": nodes.think,
    "decide": nodes.decide,
    "consult": consult,
    "act": nodes.act,
}


def open_record(env: Any, policy: Policy, plan: EpisodePlan, config: AgentConfig) -> Recorder:
    """The record to write to: a new one, or the one to go on with.

    Raises:
        RecordError: there is an episode already (or none, when resuming), or it is of another task.
    """
    if plan.resume == "no":
        return Recorder(plan.out, make_header(env, policy, plan, config), plan.frames, plan.sync)
    recorder = Recorder.reopen(plan.out, plan.sync)
    if recorder.header.goal != env.goal:
        recorder.close()
        raise RecordError(f"{plan.out} is about {recorder.header.goal!r}, the environment about {env.goal!r}")
    return recorder


def make_header(env: Any, policy: Policy, plan: EpisodePlan, config: AgentConfig) -> EpisodeHeader:
    """What is fixed when an episode begins."""
    task = getattr(env.task, "id", None) or "text"
    details = {
        "split": plan.split or env.split,
        "unseen": getattr(env.task, "unseen", False),
        "agent": config.to_json(),
        **specs_to_record(env.tools),
        **({"rules": plan.rules.source} if plan.rules.source else {}),
    }
    return EpisodeHeader(
        task=task,
        goal=env.goal,
        device=env.device_name,
        policy=policy.name,
        seed=env.episode_seed,
        model=plan.model,
        form=config.form,
        tools=tuple(tool_spec(kind).name for kind in env.tools),
        config={**details, **plan.notes},
    )


def go_on(episode: Episode, plan: EpisodePlan) -> Progress:
    """Take up the recorded steps as turns, doing them again if the plan says so; the progress after them.

    Raises:
        RecordError: done again, the steps lead to other screens than the recorded ones.
    """
    progress: Any = dict(START)
    for step in episode.recorder.trajectory.steps:
        if plan.resume == "replay":
            progress.update(_again(episode, progress, step))
        else:
            progress["screen"] = nodes.recorded_key(episode, step)
            deed = deeds.recorded_deed(episode, progress, step)
            episode.turns.append(nodes.turn_of(step, episode.recorder.frame_path))
            progress.update(nodes.consequence(episode, progress, deed))
        episode.watcher.did(step)
    return cast(Progress, progress)


def _again(episode: Episode, progress: Any, step: Step) -> dict[str, Any]:
    progress.update(nodes.observe(episode, progress))
    if episode.frame != step.frame:
        raise RecordError(f"step {step.index} shows another screen when it is done again: the episode cannot go on")
    deed = again(episode, progress, step)
    episode.turns.append(nodes.turn_of(step, episode.recorder.frame_path))
    return nodes.consequence(episode, progress, deed)


def again(episode: Episode, progress: Any, step: Step) -> Deed:
    """A recorded step, done once more; what a person said or refused then holds, and nobody is asked again.

    Raises:
        RecordError: a person acted by hand, which nothing can repeat.
    """
    performed = step.performed or {}
    if "by_hand" in step.events:
        if "state" not in performed:
            raise RecordError(f"step {step.index} was done by hand on the device and cannot be done again")
        return _by_hand(episode, performed["state"])
    if step.by == "person":
        found = deeds.understand(episode, step.reply.text)
        assert found.call is not None
        return deeds.do(episode, found.call, found.action)
    refused = step.error if {"denied", "stale"} & set(step.events) else ""
    given = {**progress, "refusal": refused, "answer": performed.get("answer")}
    return deeds.perform(episode, cast(Progress, given), step.reply.text)


def _by_hand(episode: Episode, state: dict[str, Any]) -> Deed:
    """Put a virtual phone where a person's hand had brought it."""
    device = episode.env.device
    device.load_state(type(device.phone_state()).from_json(state))
    episode.env.look_again()
    episode.fresh = True
    return Deed(to_call(Wait()), Wait(), performed={"action": "by_hand"}, events=("by_hand",))


def new_folder(task: str | None) -> Path:
    """A folder for an episode that was given none, named by the time and the task."""
    name = "".join(letter if letter.isalnum() or letter in ".-_" else "-" for letter in (task or "episode"))[:40]
    return RUNS_FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1000:03d}-{name}"


def _episode(env: Any, policy: Policy, recorder: Recorder, config: AgentConfig, watcher: Watcher) -> Episode:
    return Episode(
        env=env,
        policy=policy,
        recorder=recorder,
        dialogue=recorded_dialogue(recorder.header),
        config=config,
        watcher=watcher,
        max_steps=config.max_steps or env.max_steps,
        verdict=recorder.header.task != "text",
        guard=LoopGuard(config.hint_after, config.stop_after, config.other_after),
    )


def _reset_options(plan: EpisodePlan) -> dict[str, Any]:
    return {name: value for name, value in (("task", plan.task), ("split", plan.split)) if value}


def _last_reward(steps: list[Step]) -> float:
    return steps[-1].reward if steps else 0.0
