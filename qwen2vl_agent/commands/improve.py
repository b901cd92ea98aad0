"""`qwen2vl-agent improve`: a model that learns from what it does."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.flags import out_folder, worker_count
from qwen2vl_agent.commands.models import resolve

if TYPE_CHECKING:
    from qwen2vl_agent.flywheel.results import Improvement, RoundResult
    from qwen2vl_agent.flywheel.settings import ImproveSettings


@dataclass(frozen=True, kw_only=True)
class Command:
    """Collect, select, train, measure on held-out episodes, promote if better; several rounds.

    imitation: the model acts, the bundled solution says what was right where it went (DAgger). demonstrations: as many
    episodes of the solution alone, to compare with. rejection: of several attempts of the model those that succeeded.
    grpo: a policy gradient on all attempts. A round's model takes the old one's place only if it is better on the same
    held-out episodes with 95 % confidence. Run the same command again to go on after an interruption.

    Examples:
      qwen2vl-agent improve phone --model runs/short/tiny --rounds 4 --out runs/wheel
      qwen2vl-agent improve phone --method demonstrations --model runs/short/tiny --out runs/plain
      qwen2vl-agent improve settings --method grpo --attempts 8 --episodes 400 --out runs/grpo
    """

    suite: tyro.conf.Positional[str] = "phone"
    """as of `bench`"""
    model: str = ""
    """folder or hub id to begin with; the embedded model if left out"""
    method: Literal["imitation", "rejection", "grpo", "demonstrations"] = "imitation"
    """how it learns"""
    rounds: int = 4
    """of collecting and training"""
    episodes: int = 200
    """collected in each round"""
    attempts: int = 4
    """at each episode, for rejection and grpo"""
    temperature: float = 1.0
    """at which attempts are drawn"""
    seed: int = 1
    """round r learns from the episodes of this seed plus r"""
    held_out_seed: int = 900
    """of the episodes that are measured on and never learned from"""
    held_out: int = 4
    """measured episodes of each task"""
    replay: tuple[Path, ...] = ()
    """folders of earlier episodes that are learned along, against forgetting; earlier rounds are by themselves"""
    replay_share: float = 0.3
    """of the examples, those from there and from earlier rounds"""
    lessons: Path | None = None
    """the folder data/ of a `train tiny`, whose lessons in looking, reading and copying are learned along"""
    lessons_share: float = 0.5
    """of the examples, those"""
    size: str = ""
    """of the virtual phone's screen while collecting, for example 540x1200; its full size if left out"""
    steps: int = 400
    """of the optimizer in each round; grpo goes through its attempts twice instead"""
    lr: float | None = None
    """learning rate; 3e-4, for grpo 1e-5, if left out"""
    batch_tokens: int = 4096
    """of a packed row"""
    go_on: Literal["promoted", "latest"] = "promoted"
    """the model that a round begins from: the last that was promoted, or the latest that is not worse for certain,
    where rounds gain less than the measured episodes can tell"""
    workers: int | None = None
    """processes that run episodes; one for each core if left out, or one with --parallel"""
    parallel: int = 1
    """episodes at once in each process, with one model that writes their replies together: more of them in the time"""
    threads: int = 1
    """of training"""
    baselines: bool = False
    """measure doing nothing, chance and the bundled solutions, too"""
    out: Path | None = None
    """folder for everything; a new one below runs/ if left out"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Improves; the status says whether any round was promoted."""
        from qwen2vl_agent.agent.live import CollectionView
        from qwen2vl_agent.flywheel.improve import improve

        console, out = output.console(self.json), out_folder(self.out, f"improve-{self.suite}")

        def view(total: int, title: str) -> CollectionView:
            return CollectionView(console, total, title)

        def told(found: "RoundResult") -> None:
            console.print(round_line(found), markup=False, highlight=False, soft_wrap=True)

        found = improve(self.settings(), out, view, self.baselines, told)
        found.write(out)
        console.print(summary(found, out), markup=False, soft_wrap=True)
        if self.json:
            output.print_object({**found.to_json(), "out": str(out)})
        return 0 if found.best.number else 1

    def settings(self) -> "ImproveSettings":
        """What is to be done.

        Raises:
            ConfigError: a flag that makes no sense.
        """
        from qwen2vl_agent.commands.collect import read_size
        from qwen2vl_agent.flywheel.settings import ImproveSettings

        same: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("suite", "method", "rounds", "episodes", "attempts", "temperature", "seed", "held_out_seed")
        }
        more = ("held_out", "replay_share", "lessons_share", "steps", "lr", "batch_tokens", "go_on")
        same |= {name: getattr(self, name) for name in more}
        return ImproveSettings(
            **same,
            model=resolve(self.model),
            replay=tuple(map(str, self.replay)),
            lessons=str(self.lessons or ""),
            size=read_size(self.size) if self.size else None,
            workers=worker_count(self.workers, self.parallel),
            parallel=self.parallel,
            threads=self.threads,
        )


def round_line(found: "RoundResult") -> str:
    """A round in a line."""
    rate = found.success
    told = f"round {found.number}: {rate.success:.1%} of {rate.episodes} ({rate.low:.1%} to {rate.high:.1%})"
    if found.against is None:
        return told
    low, high = found.against.interval
    change = f"{100 * found.against.difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
    verdict = "promoted" if found.promoted else "not promoted"
    data = f"learned from {found.kept} of {found.episodes} episodes"
    return f"{told}, {change} against the best before, {verdict}; {data}"


def summary(found: "Improvement", out: Path) -> str:
    """The last line."""
    best = found.best
    return f"best: round {best.number}, use it with --model {best.model}; curve and numbers: {out}"
