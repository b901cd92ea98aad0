"""What `run --resume DIR` takes up: an episode that was interrupted, and how its record says it was run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from qwen2vl_agent.agent.checkpoints import CHECKPOINTS
from qwen2vl_agent.agent.loading import recorded_settings
from qwen2vl_agent.commands.devices import AtHand
from qwen2vl_agent.commands.flags import PolicyName
from qwen2vl_agent.commands.phones import VIRTUAL
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import EpisodeHeader

KEPT_FLAGS = (
    "device", "dry_run", "force", "threads", "constrained", "speculate", "samples", "secrets", "url", "allow",
    "capture", "consent", "more_actions", "downloads", "observe", "virtual", "display", "env_id", "env_kwargs",
    "env_set", "import_modules",
)  # fmt: skip
"""Flags of `run` that go on to hold and stand nowhere else in the record."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A recorded episode, by its header."""

    folder: Path
    header: EpisodeHeader

    @property
    def finished(self) -> bool:
        """Whether its outcome stands, so that nothing is left to do."""
        from qwen2vl_agent.agent.jobs import FINISHED

        return self.header.outcome in FINISHED

    @property
    def task(self) -> str:
        """What `run --task` was given."""
        return self.header.goal if self.header.task == "text" else self.header.task

    @property
    def policy(self) -> PolicyName:
        """Who acted.

        Raises:
            ConfigError: a policy that `run` does not know.
        """
        if self.header.policy not in get_args(PolicyName):
            raise ConfigError(f"{self.folder} was run by the policy {self.header.policy!r}, which is not one of run's")
        return cast(PolicyName, self.header.policy)

    @property
    def serial(self) -> str:
        """The phone that it ran on; a virtual one that was started for it is started again."""
        phone = self.header.config.get("phone", {})
        if phone.get("own", self.header.device == "virtual-phone"):
            return VIRTUAL
        return str(phone.get("serial", ""))

    @property
    def flags(self) -> dict[str, Any]:
        """The command's own flags that go on to hold."""
        given = self.header.config.get("flags", {})
        kept = {name: given[name] for name in KEPT_FLAGS if name in given}
        if "secrets" in kept:
            kept["secrets"] = Path(kept["secrets"])
        return kept | recorded_settings(self.header).to_json()

    def leftovers(self) -> Iterator[str]:
        """End what a killed run left behind, and tell it; then the question that it waited with, if it did."""
        phone = self.header.config.get("phone", {})
        serial, pid = str(phone.get("serial", "")), phone.get("pid")
        if not self.finished and phone.get("own") and pid and serial.startswith("127.0.0.1:"):
            from qwen2vl_agent.envs.virtual_phone.orphans import end_orphan

            if end_orphan(pid, int(serial.rpartition(":")[2])):
                yield f"ended the virtual phone {serial} that the interrupted run left behind"
        if not self.finished and (self.folder / CHECKPOINTS).is_file():
            from qwen2vl_agent.agent.graph import open_question
            from qwen2vl_agent.agent.terminal import asked

            if question := open_question(self.folder):
                yield f"it was waiting for an answer: {asked(question)}"

    def way(self, at_hand: AtHand) -> Literal["continue", "replay"]:
        """How to get to where it was: a phone that begins anew is led there again, any other stands there still."""
        begins_anew = at_hand.own or (at_hand.virtual and self.header.task != "text")
        return "replay" if begins_anew else "continue"

    def told(self, at_hand: AtHand) -> str:
        """What is about to happen, for people."""
        how = "what was recorded is done again" if self.way(at_hand) == "replay" else "from the screen as it is now"
        return f"going on with {self.folder}: {how}"


def read_interrupted(folder: Path) -> Interrupted:
    """The episode in a folder.

    Raises:
        RecordError: there is none, or it is damaged.
        ConfigError: another command runs it again.
    """
    from qwen2vl_agent.trajectory.store import read_header

    header = read_header(folder)
    if "job" in header.config:
        raise ConfigError(
            f"{folder} is one of many episodes that `collect` or `bench` recorded; run the same command with the same "
            "--out again, and it goes on"
        )
    return Interrupted(folder, header)
