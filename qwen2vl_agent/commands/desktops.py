"""The desktop that `run` operates: the user's own, another display's, or a virtual one."""

from collections.abc import Iterator
from contextlib import contextmanager

from qwen2vl_agent.commands.devices import AtHand, Wish
from qwen2vl_agent.schema.errors import ConfigError


@contextmanager
def desktop_at_hand(wish: Wish) -> Iterator[AtHand]:
    """A desktop; a virtual one ends with the block.

    Raises:
        ConfigError: there is none that a program may operate, or something is not installed.
        DeviceLost: it does not answer.
    """
    from qwen2vl_agent.envs.register import make_env

    virtual, display = bool(wish.options.get("virtual")), str(wish.options.get("display", ""))
    if virtual and display:
        raise ConfigError("--virtual starts a display of its own; leave out --display")
    env = make_env(
        "desktop", seed=wish.seed, dry_run=wish.dry_run, observe=wish.observe, virtual=virtual, display=display
    )
    where = env.device.display or "this screen"
    told = f"on a virtual desktop, {where}" if virtual else f"on the desktop {where}; push the pointer into a corner "
    told += "" if virtual else "of the screen to stop it"
    try:
        yield AtHand(env, told + ("; dry run: no action is sent" if wish.dry_run else ""), virtual=virtual, own=virtual)
    finally:
        env.close()
