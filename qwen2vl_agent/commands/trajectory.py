"""`qwen2vl-agent trajectory`: what records keep, taken out or deleted."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.schema.errors import ConfigError

if TYPE_CHECKING:
    from qwen2vl_agent.trajectory.privacy import Region


@dataclass(frozen=True, kw_only=True)
class Command:
    """Redact, delete or prune recorded episodes. What goes is gone for good.

    redact takes --text out of everything that is written, and paints --region black on every screen; a text that is
    drawn on a screen is not found, give its region. Of the steps at which an --app was in front it leaves nothing but
    the names of the functions called. delete removes each episode at or below the folder. prune removes
    those older than --days, or older than the days that `run --keep-days` gave each.

    Examples:
      qwen2vl-agent trajectory redact runs/mine --text "Bella Archer" "+1 555" --region 0,0,1000,60
      qwen2vl-agent trajectory redact runs --app com.example.bank "com.android.messaging*"
      qwen2vl-agent trajectory delete runs/mine
      qwen2vl-agent trajectory prune runs --days 30
    """

    what: tyro.conf.Positional[Literal["redact", "delete", "prune"]]
    """what to do"""
    folder: tyro.conf.Positional[Path]
    """an episode, or a folder of episodes"""
    text: tuple[str, ...] = ()
    """texts to take out, whatever their capitals"""
    region: tuple[str, ...] = ()
    """regions to paint over, each LEFT,TOP,RIGHT,BOTTOM between 0 and 1000 whatever the screen's size"""
    app: tuple[str, ...] = ()
    """packages of apps to take out, perhaps with * in them"""
    days: float | None = None
    """age of the episodes to prune"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Does it to each episode, and says to how many."""
        from qwen2vl_agent.trajectory.privacy import delete, expired
        from qwen2vl_agent.trajectory.store import episodes

        if not self.folder.is_dir():
            raise ConfigError(f"there is no folder {self.folder}")
        found = list(expired(self.folder, self.days)) if self.what == "prune" else episodes(self.folder)
        if not found and self.what != "prune":
            raise ConfigError(f"{self.folder} holds no episode")
        console = output.console(self.json)
        for folder in found:
            told = self._redact(folder) if self.what == "redact" else "deleted"
            if self.what != "redact":
                delete(folder)
            console.print(f"{folder}: {told}", markup=False, soft_wrap=True)
        if self.json:
            output.print_object({"what": self.what, "episodes": [str(folder) for folder in found]})
        return 0

    def _redact(self, folder: Path) -> str:
        from qwen2vl_agent.trajectory.privacy import redact

        if not (self.text or self.region or self.app):
            raise ConfigError("say what to redact: --text TEXT, --region LEFT,TOP,RIGHT,BOTTOM or --app PACKAGE")
        done = redact(folder, self.text, [read_region(region) for region in self.region], self.app)
        return f"{done.words} places in words, {done.frames} screens painted over"


def read_region(text: str) -> "Region":
    """A region from `LEFT,TOP,RIGHT,BOTTOM`.

    Raises:
        ConfigError: it is none.
    """
    try:
        left, top, right, bottom = (int(number) for number in text.split(","))
    except ValueError:
        raise ConfigError(f"--region {text}: expected LEFT,TOP,RIGHT,BOTTOM, whole numbers from 0 to 1000") from None
    if not (0 <= left < right <= 1000 and 0 <= top < bottom <= 1000):
        raise ConfigError(f"--region {text}: expected 0 <= LEFT < RIGHT <= 1000 and 0 <= TOP < BOTTOM <= 1000")
    return left, top, right, bottom
