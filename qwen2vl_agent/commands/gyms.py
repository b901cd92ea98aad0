"""Which gymnasium environment `run` operates: the one of `--env-id`, or that of a bundled task."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qwen2vl_agent.commands.devices import AtHand, Wish
from qwen2vl_agent.schema.errors import ConfigError


@contextmanager
def gym_at_hand(wish: Wish) -> Iterator[AtHand]:
    """The environment to play in.

    Raises:
        ConfigError: there is none of that id, or it cannot be used, and why.
    """
    from qwen2vl_agent.envs.register import make_env

    options = dict(wish.options)
    kwargs = read_kwargs(options.pop("env_kwargs", ""))
    modules = [name for name in options.pop("import_modules", "").split(",") if name]
    env = make_env(
        "gym", seed=wish.seed, dry_run=wish.dry_run, observe=wish.observe, env_kwargs=kwargs, modules=modules, **options
    )
    try:
        told = f"in {options.get('env_id') or 'gymnasium'}" + ("; dry run: no action is sent" if wish.dry_run else "")
        yield AtHand(env, told)
    finally:
        env.close()


def read_kwargs(text: str) -> dict[str, Any]:
    """The arguments in a JSON object.

    Raises:
        ConfigError: it is none.
    """
    try:
        kwargs = json.loads(text or "{}")
    except ValueError as error:
        raise ConfigError(f"--env-kwargs is no JSON ({error}); expected an object such as '{{\"size\": 8}}'") from error
    if not isinstance(kwargs, dict):
        raise ConfigError(f"--env-kwargs is {text}; expected an object such as '{{\"size\": 8}}'")
    return kwargs
