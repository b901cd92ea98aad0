"""Which phone `run` operates: the one named, the one attached, or a virtual one behind adb's real server."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

from qwen2vl_agent.commands.devices import AtHand, Wish

VIRTUAL = "virtual"
"""The serial that asks for a virtual phone whatever is attached."""


@contextmanager
def phone_at_hand(wish: Wish) -> Iterator[AtHand]:
    """The phone to operate, as an environment; a virtual phone that was started for it ends with the block.

    Raises:
        DeviceLost: it is not there, not ready, or there are several to choose from.
    """
    from qwen2vl_agent.envs.phones import OpenedPhone, OwnPhone, open_phone, open_virtual_phone
    from qwen2vl_agent.envs.screen import ScreenConfig, ScreenEnv
    from qwen2vl_agent.envs.wrappers import DryRun
    from qwen2vl_agent.schema.actions import MORE_PHONE_ACTIONS, PHONE_ACTIONS

    serial, seed, dry_run = wish.serial, wish.seed, wish.dry_run
    capture, agreed = wish.options.get("capture"), wish.options.get("consent", ())
    consent = (lambda what: "keyboard" in agreed) if agreed else None
    tools = (*PHONE_ACTIONS, *(MORE_PHONE_ACTIONS[name] for name in wish.options.get("more_actions", ())))
    if serial == VIRTUAL:
        opened = OpenedPhone(open_virtual_phone(seed=seed, capture=capture), "virtual phone (as asked)")
    else:
        opened = open_phone(serial or None, seed=seed, capture=capture, consent=consent)
    device = opened.device
    try:
        config = ScreenConfig(seed=seed, observe=wish.observe)
        env = ScreenEnv(DryRun(device) if dry_run else device, config, tools=tools)
        own = isinstance(device, OwnPhone)
        where = f", which adb's server has as {device.serial}" if own else ""
        told = f"on the {opened.description}{where}" + ("; dry run: no action is sent" if dry_run else "")
        with contextlib.closing(env):
            yield AtHand(env, told, serial=device.serial, virtual=device.virtual, own=own, pid=device.pid if own else 0)
    finally:
        device.close()
