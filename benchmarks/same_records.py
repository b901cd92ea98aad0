"""Whether two folders hold the same episodes, times aside: `python benchmarks/same_records.py ONE OTHER`."""

import argparse
import sys
from pathlib import Path

from qwen2vl_agent.trajectory.sameness import differences
from qwen2vl_agent.trajectory.store import episodes, read_episode


def main() -> int:
    """Compares and prints; the status says whether they are the same."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("one", type=Path)
    parser.add_argument("other", type=Path)
    given = parser.parse_args()
    found = list(differences(given.one, given.other))
    for line in found:
        print(line)
    records = [read_episode(folder, prompts=False) for folder in episodes(given.one)]
    steps = [step for record in records for step in record.steps]
    screens = {frame.sha256 for step in steps for frame in step.frames}
    verdict = f"{len(found)} episodes differ" if found else "the same below both"
    print(f"{len(records)} episodes, {len(steps)} steps, {len(screens)} screens: {verdict}")
    return 1 if found or not records else 0


if __name__ == "__main__":
    sys.exit(main())
