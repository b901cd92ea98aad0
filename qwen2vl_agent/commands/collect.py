"""`qwen2vl-agent collect`: many episodes, recorded."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from qwen2vl_agent.agent.loading import Compute, Dtype, Quantize
from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.flags import (
    PolicyName,
    agent_settings,
    at_least_one,
    load_settings,
    out_folder,
    sampling,
    worker_count,
)
from qwen2vl_agent.commands.gyms import suite_options
from qwen2vl_agent.commands.models import resolve
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.observation import Observe
from qwen2vl_agent.schema.trajectory import Split


@dataclass(frozen=True, kw_only=True)
class Command:
    """Record episodes in parallel, to learn from.

    The episodes go round the suite's tasks, on a virtual phone in each worker's own process. Killed or interrupted,
    nothing recorded is lost: run the same command again to go on.

    Examples:
      qwen2vl-agent collect --suite phone --episodes 200 --out runs/lessons
      qwen2vl-agent collect --policy model --split test --episodes 50 --out runs/attempts
      qwen2vl-agent collect --policy dagger --episodes 400 --out runs/corrections
      qwen2vl-agent collect --thoughts templates --episodes 400 --out runs/explained
      qwen2vl-agent collect --noise 0.1 --size 540x1200 --episodes 1000 --out runs/small
    """

    suite: str = "phone"
    """phone (all tasks), one app's (for example settings), another suite of `bench`, or a task's id"""
    device: Literal["virtual-phone", "android"] = "virtual-phone"
    """the phone in the worker's process, or one over adb"""
    serial: str = ""
    """the phone over adb, with --device android"""
    policy: PolicyName | Literal["dagger"] = "oracle"
    """who acts; dagger: the model, corrected by the bundled solution wherever it errs, to learn from"""
    model: str = ""
    """folder, hub id, or address of an OpenAI-compatible server, for --policy model or dagger; the embedded model if
    left out"""
    episodes: int = 100
    """episodes in all"""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """FIELD=VALUE: a setting of the agent in place of the model's own, such as max_frames=8 (screens in view),
    memory=summary (what stays of older steps) or second_look=true (the model checks each step)"""
    env_kwargs: str = ""
    """of gymnasium environments: what they are made with beside their ids, as a JSON object"""
    env_set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """FIELD=VALUE: how a gymnasium environment is played: action_repeat=3 (each call so often), levels=10 (whole
    numbers up to 10), tell_numbers=true (joints and places in words), camera=NAME, end_when_solved=false"""
    observe: Observe = "screen"
    """what is seen at each step: a screenshot (screen), a video of the time since the last step in its place (video),
    or a video of what happened during the last action before it (clip)"""
    seed: int = 0
    """another seed gives other episodes"""
    split: Split = "train"
    """the names and texts to draw from; test holds some that train never has, invented new ones in each episode"""
    thoughts: str = "own"
    """words before the calls of the bundled solution, to learn from: its own, templates (what is wanted, what went
    before and why, in changing words), or those of the model at the address of an OpenAI-compatible server"""
    noise: float = 0.0
    """how often a policy without a model makes a mistake first, so that mending it is recorded (0 to 1)"""
    size: str = ""
    """of the virtual phone's screen, for example 540x1200; its full size if left out"""
    dtype: Dtype = "auto"
    """type of the weights; auto: bfloat16 for a full-size model, float32 for a small one"""
    compute: Compute = "auto"
    """where the model runs; auto: a full-size one on the GPU where there is one, others on the CPU"""
    quantize: Quantize = "none"
    """bits of the language model's weights: a full-size model then writes two to three times as fast on a CPU"""
    quantize_vision: bool = False
    """8 bits for the vision encoder too, which then sees in half of the time"""
    max_pixels: int | None = None
    """most pixels of a screen as the model sees it, 784 a token; 602112 for a full-size model if left out, 0 for the
    checkpoint's own limit"""
    workers: int | None = None
    """processes; one for each core if left out, or one with --parallel"""
    parallel: int = 1
    """episodes at once in each process, with one model that writes their replies together: more of them in the time"""
    cluster: str = ""
    """address of a Ray cluster whose machines run the episodes, or local: one begun on this machine"""
    out: Path | None = None
    """folder for the records; a new one below runs/ if left out"""
    constrained: bool = True
    """a model's calls are always valid, its thoughts free; without, it writes whatever it likes"""
    speculate: bool = True
    """a model's words are guessed from what was written before; without, it takes longer to write the same"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Collects; the status says whether every episode was recorded."""
        from qwen2vl_agent.agent.cluster import collect_on_cluster
        from qwen2vl_agent.agent.collection_table import CollectionTable, Volume
        from qwen2vl_agent.agent.rollouts import collect_episodes

        console, out = output.console(self.json), out_folder(self.out, f"collect-{self.suite}")
        jobs = self.jobs()
        workers, parallel = self._at_once()
        with CollectionTable(console, len(jobs), f"collect {self.suite}") as view:
            if self.cluster:
                collection = collect_on_cluster(jobs, out, workers, view.result, view.failure, address=self.cluster)
            else:
                collection = collect_episodes(jobs, out, workers, view.result, view.failure, parallel)
        outcomes = Counter(result.outcome for result in collection.results)
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) or "nothing recorded"
        volume = Volume.below(out)
        console.print(f"{told}; {view.rates()}; {volume.told()}; records: {out}", markup=False, soft_wrap=True)
        if self.json:
            steps = sum(result.steps for result in collection.results)
            failures = [f"{job.name}: {why}" for job, why in collection.failures]
            values = {"episodes": len(collection.results), "steps": steps, "outcomes": outcomes, "failures": failures}
            output.print_object({**values, "seconds": round(view.seconds, 3), **asdict(volume), "out": str(out)})
        return 1 if collection.failures else 0

    def _at_once(self) -> tuple[int, int]:
        """Processes, and episodes at once in each."""
        parallel = at_least_one("--parallel", self.parallel)
        if parallel > 1 and self.cluster:
            raise ConfigError("--parallel is for this machine; a cluster's workers do one episode at a time each")
        if self.device == "virtual-phone":
            return worker_count(self.workers, parallel), parallel
        if parallel > 1:
            raise ConfigError("--parallel is for virtual phones: a phone over adb does one episode at a time")
        return 1, 1

    def jobs(self) -> list[Any]:
        """The episodes to run: round the tasks, each round with the next seed."""
        from qwen2vl_agent.agent.chosen import is_address, usual_settings
        from qwen2vl_agent.agent.jobs import Job
        from qwen2vl_agent.envs.suites import episode_seed, get_suite

        if not 0 <= self.noise < 1:
            raise ConfigError(f"--noise is {self.noise}; expected 0 or more, and less than 1")
        if self.thoughts not in ("own", "templates") and not is_address(self.thoughts):
            raise ConfigError(f"--thoughts is {self.thoughts!r}; expected own, templates or an address")
        if self.thoughts != "own" and self.policy not in ("oracle", "dagger"):
            raise ConfigError("--thoughts is for --policy oracle and dagger: others know no solution to explain")
        suite = get_suite(self.suite)
        tasks, options = suite.tasks, suite_options(suite, self.env_kwargs, self.env_set)
        asks = self.policy in ("model", "dagger")
        model = resolve(self.model) if asks else ""
        loading = load_settings(self)
        agent = replace(usual_settings(model), **agent_settings(self.set))
        return [
            Job(
                task=tasks[index % len(tasks)],
                seed=episode_seed(self.seed, index // len(tasks)),
                policy=self.policy,
                split=self.split,
                model=model,
                agent=agent,
                loading=loading,
                noise=0.0 if asks else self.noise,
                env=self.device if self.device == "android" else suite.env,
                env_kwargs=suite.env_kwargs | options | self._env_kwargs(),
                sampling=sampling(self.constrained, self.speculate) if asks else {},
                thoughts=self.thoughts,
            )
            for index in range(at_least_one("--episodes", self.episodes))
        ]

    def _env_kwargs(self) -> dict[str, Any]:
        observed = {"observe": self.observe} if self.observe != "screen" else {}
        if self.device == "android":
            return {"serial": self.serial, **observed} if self.serial else observed
        return {"size": read_size(self.size), **observed} if self.size else observed


def read_size(text: str) -> tuple[int, int]:
    """`540x1200` as (540, 1200).

    Raises:
        ConfigError: it is written otherwise.
    """
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ConfigError(f"--size is {text!r}; expected width and height in pixels, for example 540x1200")
    return int(width), int(height)
