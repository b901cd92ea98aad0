"""How well a model acts: what it would do at each step of a solution, and whole tasks."""

import tempfile
from pathlib import Path
from typing import Any

from qwen2vl_agent.agent.difference import difference, said_in
from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.jobs import Job
from qwen2vl_agent.agent.policy import Context, Policy
from qwen2vl_agent.agent.rollouts import collect_episodes
from qwen2vl_agent.agent.scripted import OraclePolicy
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.suites import get_suite
from qwen2vl_agent.recipes.score import Score
from qwen2vl_agent.schema.trajectory import Reply


class Compared:
    """Does what the solution does, and counts how often another policy would have done the same."""

    name = "oracle"

    def __init__(self, policy: Policy) -> None:
        self.score = Score()
        self._policy, self._solution = policy, OraclePolicy()

    def begin(self, seed: int | None) -> None:
        """Pass the seed on."""
        self._policy.begin(seed)

    def reply(self, context: Context) -> Reply:
        """The solution's reply, after the other one was compared with it."""
        wanted, device, form = self._solution.reply(context), context.env.device, context.dialogue.form
        said, solution = (said_in(reply, form) for reply in (self._policy.reply(context), wanted))
        self.score.add(not difference(said, solution, device.elements(), device.frame))
        return wanted


def action_accuracy(policy: Policy, config: AgentConfig, seed: int, episodes: int, suite: str = "phone") -> Score:
    """Steps of the bundled solutions at which the policy would do the same; so many `episodes` of every task.

    The steps before are the solution's, so that one mistake is counted once.
    """
    compared, tasks = Compared(policy), get_suite(suite)
    env = make_env(**tasks.env_kwargs)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for task in tasks.tasks:
                for number in range(episodes):
                    plan = EpisodePlan(
                        out=Path(folder) / f"{task}-{number}", task=task, split="test", seed=seed + number, sync=False
                    )
                    run_episode(env, compared, plan, config, drive=drive_plainly)
    finally:
        env.close()
    return compared.score


def solved(
    model: Path, config: AgentConfig, out: Path, seed: int, episodes: int, workers: int, suite: str = "phone"
) -> Score:
    """Tasks that the model in a folder solves; so many `episodes` of every task, recorded in `out`."""
    tasks = get_suite(suite)
    jobs: list[Any] = [
        Job(
            task=task,
            seed=seed + number,
            policy="model",
            split="test",
            model=str(model),
            env_kwargs=tasks.env_kwargs,
            agent=config,
        )
        for task in tasks.tasks
        for number in range(episodes)
    ]
    score = Score()
    for result in collect_episodes(jobs, out, workers).results:
        score.add(result.outcome == "success")
    return score
