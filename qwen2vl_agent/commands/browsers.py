"""The browser that `run` operates: on a page of the user's, or on the pages of MiniWoB++."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qwen2vl_agent.commands.devices import AtHand, Wish
from qwen2vl_agent.schema.errors import ConfigError

BUNDLED = "miniwob."


@contextmanager
def browser_at_hand(wish: Wish) -> Iterator[AtHand]:
    """A browser of its own, which ends with the block.

    Raises:
        ConfigError: no first page, a wrong one, or Chromium or the extra is not installed.
        DeviceLost: the browser or the page does not start.
    """
    from qwen2vl_agent.envs.register import make_env

    name, told, options = _wanted(wish)
    env = make_env(name, seed=wish.seed, dry_run=wish.dry_run, observe=wish.observe, **options)
    try:
        yield AtHand(env, told + ("; dry run: no action is sent" if wish.dry_run else ""), virtual=name == "miniwob")
    finally:
        env.close()


def _wanted(wish: Wish) -> tuple[str, str, dict[str, Any]]:
    """Which environment, what to tell of it, and its options."""
    url, tasks = wish.options.get("url", ""), wish.tasks
    if not url:
        if tasks and all(task.startswith(BUNDLED) for task in tasks):
            return "miniwob", "in Chromium, on pages of MiniWoB++", {}
        raise ConfigError(
            "--device browser needs a page to begin with, --url https://…, or a task of `qwen2vl-agent tasks miniwob`"
        )
    options = {"url": url, "allow": tuple(wish.options.get("allow", ()))}
    downloads = wish.options.get("downloads")
    if downloads:
        options["downloads"] = Path(downloads)
    others = f" and {', '.join(options['allow'])}" if options["allow"] else ""
    return "browser", f"in Chromium, from {url} on; links may lead to its origin{others} only", options
