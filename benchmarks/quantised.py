"""What rounding a model's weights costs in solved tasks: the same episodes before and after.

    python benchmarks/quantised.py                                  the embedded model, settings.toggle, 10 episodes
    python benchmarks/quantised.py --suite phone --episodes 5 --out runs/quantised

Measured are the model as it is, in int8, in int4 rounded to the nearest, and in int4 with scales found on the bundled
solutions' episodes. Interrupted, it goes on where it was when it is run again with the same --out; `qwen2vl-agent bench
compare OUT/plain OUT/int4` then tells task by task.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from qwen2vl_agent.agent.loading import LoadSettings
from qwen2vl_agent.bench.compare import compare
from qwen2vl_agent.bench.result import Conditions
from qwen2vl_agent.bench.run import run_bench
from qwen2vl_agent.commands.collect import Command as Collect
from qwen2vl_agent.commands.models import resolve
from qwen2vl_agent.commands.quantize import Command as Quantize
from qwen2vl_agent.envs.suites import get_suite

LESSONS = 16
"""Episodes on which the scales are found."""
PLAIN = "plain"


def calibrated(model: str, suite: str, out: Path) -> str:
    """The checkpoint in int4 whose channels were scaled on recorded episodes; made once."""
    folder = out / "checkpoint-int4-calibrated"
    if not folder.exists():
        tasks = len(get_suite(suite).tasks)
        Collect(suite=suite, episodes=max(LESSONS, tasks), workers=1, out=out / "lessons").run()
        Quantize(model=model, to="int4", out=folder, calibrate=out / "lessons", examples=LESSONS).run()
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="folder or hub id; the embedded model if left out")
    parser.add_argument("--suite", default="settings.toggle")
    parser.add_argument("--episodes", type=int, default=10, help="of each task")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=4, help="episodes at once in each process")
    parser.add_argument("--out", type=Path, default=Path("runs/quantised"))
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args()
    model, console = resolve(given.model), Console(stderr=True)
    ways = {
        PLAIN: (model, LoadSettings()),
        "int8": (model, LoadSettings(quantize="int8")),
        "int4": (model, LoadSettings(quantize="int4")),
        "int4-calibrated": (calibrated(model, given.suite, given.out), LoadSettings()),
    }
    table = Table("weights", "solved", "of", "difference", "only before", "only after", title=given.suite)
    found = {}
    for name, (folder, loading) in ways.items():
        conditions = Conditions(
            suite=given.suite,
            policy="model",
            model=folder,
            episodes=given.episodes,
            seed=given.seed,
            loading=loading,
        )
        result = run_bench(conditions, given.out / name, given.workers, parallel=given.parallel)
        paired = compare(given.out / PLAIN, given.out / name).overall
        solved = sum(episode.outcome == "success" for episode in result.episodes)
        found[name] = {"solved": solved, "episodes": len(result.episodes), "difference": paired.difference}
        numbers = (solved, len(result.episodes), f"{paired.difference:+.0%}", paired.only_a, paired.only_b)
        table.add_row(name, *map(str, numbers))
        console.print(f"{name}: {solved} of {len(result.episodes)}", highlight=False)
    console.print(table)
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
