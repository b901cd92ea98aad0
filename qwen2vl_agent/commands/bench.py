"""`qwen2vl-agent bench`: success, task by task."""

import json as json_text
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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

if TYPE_CHECKING:
    from rich.console import Console

    from qwen2vl_agent.bench.result import BenchResult

COMPARE = "compare"
"""In place of a suite: two measurements are put beside each other."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """Measure how often a policy solves the tasks of a suite.

    The tasks are drawn with names and texts that are partly never seen in training (see --split), on a virtual phone
    or in a browser of each worker's own. Every episode is recorded in --out; run the same command again to go on after
    an interruption. There you also find results.json, results.md, results.png and, of a model, failures.md.

    Examples:
      qwen2vl-agent bench phone --episodes 10 --seed 7 --out runs/bench
      qwen2vl-agent bench phone --blind                 grey screens: the floor to beat
      qwen2vl-agent bench settings --baselines          the floor and the ceiling beside the score
      qwen2vl-agent bench clock --policy oracle         the bundled solutions
      qwen2vl-agent bench miniwob-pix2act               web pages, by a published protocol
      qwen2vl-agent bench compare runs/a runs/b         two measurements of the same episodes, paired
    """

    suite: tyro.conf.Positional[str] = "phone"
    """phone (all tasks), one app's (for example settings), desktop, miniwob or miniwob-PROTOCOL, cards, games, babyai,
    robots, a task's or gymnasium environment's id, or compare"""
    folders: tyro.conf.Positional[tuple[Path, ...]] = ()
    """after compare: the folders of two measurements"""
    policy: PolicyName = "model"
    """who acts"""
    model: str = ""
    """folder, hub id, or address of an OpenAI-compatible server; the embedded model if left out"""
    episodes: int = 10
    """episodes per task"""
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
    workers: int | None = None
    """processes; one for each core if left out, or one with --parallel"""
    parallel: int = 1
    """episodes at once in each process, with one model that writes their replies together: more of them in the time"""
    split: Literal["test", "train", "invented"] = "test"
    """what fills the phones: names and texts that are partly never seen in training; only those of training (with
    --seed 0 every second phone is one of the embedded model's demonstrations); or words invented for each phone"""
    max_steps: int | None = None
    """actions after which an episode ends; each task's own limit if left out"""
    out: Path | None = None
    """folder for records and report; a new one below runs/ if left out"""
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
    blind: bool = False
    """show grey screens: what remains is what can be done without looking"""
    baselines: bool = False
    """do the same episodes by doing nothing, by doing anything and by the bundled solutions, and put the scores beside
    the measured one, paired; they are kept in OUT/baselines"""
    constrained: bool = True
    """a model's calls are always valid, its thoughts free; without, it writes whatever it likes"""
    speculate: bool = True
    """a model's words are guessed from what was written before; without, it takes longer to write the same"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Measures, reports; the status says whether every episode gave a verdict."""
        if self.suite == COMPARE:
            return self._compare()
        if self.folders:
            raise ConfigError(f"bench {self.suite} takes no folders; to compare two: bench compare A B")
        return self._measure()

    def _compare(self) -> int:
        from qwen2vl_agent.bench.compare import compare, comparison_page, comparison_table

        if len(self.folders) != 2:
            raise ConfigError(f"bench compare takes two folders of measurements, got {len(self.folders)}")
        comparison = compare(*self.folders)
        output.console(self.json).print(comparison_table(comparison))
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            (self.out / "comparison.md").write_text(comparison_page(comparison), encoding="utf-8")
        if self.json:
            output.print_object(comparison.to_json())
        return 0

    def _measure(self) -> int:
        from qwen2vl_agent.agent.live import CollectionView
        from qwen2vl_agent.bench.failures import write_failures
        from qwen2vl_agent.bench.published import published_table
        from qwen2vl_agent.bench.result import Conditions
        from qwen2vl_agent.bench.run import bench_jobs, run_bench
        from qwen2vl_agent.bench.tables import rich_table
        from qwen2vl_agent.envs.suites import get_suite

        console = output.console(self.json)
        conditions = Conditions(
            suite=self.suite,
            policy=self.policy,
            model=resolve(self.model) if self.policy == "model" else "",
            episodes=at_least_one("--episodes", self.episodes),
            seed=self.seed,
            split=self.split,
            blind=self.blind,
            max_steps=self.max_steps,
            settings=agent_settings(self.set),
            loading=load_settings(self),
            sampling=sampling(self.constrained, self.speculate) if self.policy == "model" else {},
            observe=self.observe,
            env=suite_options(get_suite(self.suite), self.env_kwargs, self.env_set),
        )
        out = out_folder(self.out, f"bench-{self.suite}")
        with CollectionView(console, len(bench_jobs(conditions)), f"bench {self.suite}") as view:
            workers, parallel = worker_count(self.workers, self.parallel), at_least_one("--parallel", self.parallel)
            result = run_bench(conditions, out, workers, view.result, view.failure, parallel)
        console.print(rich_table(result))
        baselines = self._baselines(result, out, workers, console) if self.baselines else {}
        if (others := published_table(self.suite)) is not None:
            console.print(others)
        if self.policy == "model":
            with console.status("doing failed episodes again, to see where they went wrong"):
                write_failures(result.episodes, out)
        console.print(f"records and report: {out}", markup=False, soft_wrap=True)
        if self.json:
            output.print_object({**result.to_json(), **baselines, "out": str(out)})
        return 1 if result.failures else 0

    def _baselines(self, result: "BenchResult", out: Path, workers: int, console: "Console") -> dict[str, Any]:
        """Measures them, tells them and adds them to the report."""
        from qwen2vl_agent.bench.baselines import baseline_page, baseline_table, measure_baselines

        found = measure_baselines(result, out, workers, lambda name: console.print(f"baseline: {name}"))
        console.print(baseline_table(result, found))
        told = {"baselines": {baseline.policy: baseline.to_json() for baseline in found}}
        (out / "results.json").write_text(json_text.dumps(result.to_json() | told, indent=2) + "\n", encoding="utf-8")
        with (out / "results.md").open("a", encoding="utf-8") as page:
            page.write(baseline_page(result, found))
        return told
