"""`qwen2vl-agent replay`: a recorded episode, done again and checked screen by screen."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from qwen2vl_agent.commands import output, run
from qwen2vl_agent.commands.devices import DeviceName
from qwen2vl_agent.commands.flags import out_folder
from qwen2vl_agent.commands.models import resolve
from qwen2vl_agent.schema.errors import ConfigError

if TYPE_CHECKING:
    from qwen2vl_agent.agent.policy import Policy
    from qwen2vl_agent.agent.replaying import ReplayPolicy

DEVICE_FLAGS = ("url", "allow", "env_id", "env_kwargs", "import_modules", "observe")
"""Flags of the recorded `run` without which its device would be another."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """Do the recorded actions of an episode again, on this or another device.

    Before each action the screen is compared with the recorded one, by a perceptual hash and by the structure of its
    edges. At the first that is another screen it stops and does nothing more, or lets the model go on (--hand-over).
    The replay is recorded as an episode of its own, and --rules hold for it as for any run. Status 0: all was done
    again, and a bundled task is solved; 1: not solved; 2: the screens went apart.

    Examples:
      qwen2vl-agent replay runs/20260101-120000-settings.toggle
      qwen2vl-agent replay runs/mine --serial emulator-5554
      qwen2vl-agent replay runs/mine --seed 7 --hand-over
    """

    folder: tyro.conf.Positional[Path]
    """the recorded episode"""
    device: DeviceName | None = None
    """what to operate; what the record was made on if left out"""
    serial: str = ""
    """the phone's serial, or virtual for a virtual phone whatever is attached; left out: the one attached"""
    seed: int | None = None
    """of a bundled task and a virtual phone; the record's own if left out"""
    hand_over: bool = False
    """at the first screen that is another, let the model go on"""
    model: str = ""
    """folder or hub id of the model to hand over to; the embedded one if left out"""
    rules: Path | None = None
    """TOML file of what may be done, as for run"""
    secrets: Path | None = None
    """TOML file of secrets, as for run"""
    dry_run: bool = False
    """compare the first screen and show what would be sent; send nothing"""
    out: Path | None = None
    """folder of the new record; a new one below runs/ if left out"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Does it again; the status says whether it could be done."""
        from qwen2vl_agent.agent.replaying import ReplayPolicy
        from qwen2vl_agent.trajectory.store import load_frame, read_episode

        recorded = read_episode(self.folder)
        if not recorded.steps:
            raise ConfigError(f"{self.folder} holds no step to do again")
        header = recorded.header
        task = header.goal if header.task == "text" else header.task
        replay = ReplayPolicy(recorded, functools.partial(load_frame, self.folder))
        flags = header.config.get("flags", {})
        same = {name: flags[name] for name in DEVICE_FLAGS if name in flags}
        command = run.Command(
            **{**same, "allow": tuple(same.get("allow", ()))},
            device=self.device or flags.get("device", "android"),
            serial=self.serial,
            task=task,
            policy="model" if self.hand_over else "noop",
            model=self.model,
            seed=self.seed if self.seed is not None else (1 if header.seed is None else header.seed),
            rules=self.rules,
            secrets=self.secrets,
            dry_run=self.dry_run,
            json=self.json,
        )
        work = [(task, out_folder(self.out, f"replay-{task}"))]
        name = resolve(self.model) if self.hand_over else ""
        status = command.operate(work, name, wrap=functools.partial(_replaying, replay, self.hand_over))
        console = output.console(self.json)
        console.print(_told(replay), markup=False, soft_wrap=True)
        return status


def _replaying(replay: "ReplayPolicy", hand_over: bool, policy: "Policy") -> "Policy":
    replay.then = policy if hand_over else None
    return replay


def _told(replay: "ReplayPolicy") -> str:
    worst = max(replay.found, key=lambda found: found.distance, default=None)
    compared = f"{len(replay.found)} screens compared" + (f", the farthest: {worst}" if worst else "")
    return f"{compared}; {replay.diverged or 'all as recorded'}"
