"""`qwen2vl-agent export`: recorded episodes in other programs' formats."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import Outcome


@dataclass(frozen=True, kw_only=True)
class Command:
    """Write recorded episodes in a format that other trainers and tools read.

    messages (TRL, OpenAI), sharegpt (LLaMA-Factory) and swift (ms-swift) hold conversations in the <tool_call> form
    and a folder of pictures; lerobot is a LeRobot data set of version 3, a film and tables; atif has a document for
    each episode, with the token ids and probabilities that were recorded; aitz (Android in the Zoo) has phone steps, on
    which `eval aitz` measures. docs/exports.md tells how each is loaded.

    Examples:
      qwen2vl-agent export runs/lessons --format messages --out exports/lessons
      qwen2vl-agent export runs/bench --format atif --outcome success failure --out exports/bench
      qwen2vl-agent export runs/lessons --format sharegpt --each-reply --out exports/replies
    """

    folder: tyro.conf.Positional[Path]
    """an episode, or a folder of episodes"""
    format: Literal["messages", "sharegpt", "swift", "lerobot", "atif", "aitz"]
    """of what is written"""
    out: Path
    """a new folder"""
    outcome: tuple[Outcome, ...] = ("success",)
    """which episodes: those that ended so"""
    each_reply: bool = False
    """a conversation for each reply that is to be learned, ending with it; without, one for each episode"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Writes; the status says whether anything was written."""
        from qwen2vl_agent.data.exports.formats import export
        from qwen2vl_agent.trajectory.store import episodes, read_header

        console = output.console(self.json)
        found = [folder for folder in episodes(self.folder) if read_header(folder).outcome in self.outcome]
        if not found:
            raise ConfigError(f"{self.folder} holds no episode that ended as {' or '.join(self.outcome)}")
        with console.status(f"exporting {len(found)} episodes"):
            done = export(found, self.format, self.out, self.each_reply)
        for why, count in Counter(why for _, why in done.left_out).items():
            console.print(f"left out {count}: {why}", markup=False, soft_wrap=True)
        if done.clips:
            warning = f"warning: {done.clips} videos are not in the export, which shows their steps' screenshots alone"
            console.print(warning, style="yellow", markup=False, soft_wrap=True)
        told = f"{done.episodes} episodes, {done.rows} rows: {self.out}"
        console.print(told, markup=False, soft_wrap=True)
        if self.json:
            left_out = {str(folder): why for folder, why in done.left_out}
            values = {
                "format": self.format,
                "episodes": done.episodes,
                "rows": done.rows,
                "left_out": left_out,
                "clips_left_out": done.clips,
            }
            output.print_object({**values, "out": str(self.out)})
        return 0 if done.rows else 1
