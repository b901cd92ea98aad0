"""Which gymnasium environment a command operates, and how it is played: `--env-id`, `--env-kwargs`, `--env-set`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qwen2vl_agent.commands.devices import AtHand, Wish
from qwen2vl_agent.commands.flags import settings_of
from qwen2vl_agent.schema.errors import ConfigError

if TYPE_CHECKING:
    from qwen2vl_agent.envs.suite import Suite

PLAYED = ("action_repeat", "levels", "tell_numbers", "camera", "end_when_solved")
"""Fields of `GymConfig` that `--env-set` sets."""


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
    played = read_played(tuple(options.pop("env_set", ())))
    given = {"env_kwargs": kwargs, "modules": modules, **played, **options}
    env = make_env("gym", seed=wish.seed, dry_run=wish.dry_run, observe=wish.observe, **given)
    try:
        told = f"in {options.get('env_id') or 'gymnasium'}" + ("; dry run: no action is sent" if wish.dry_run else "")
        yield AtHand(env, told)
    finally:
        env.close()


def suite_options(suite: "Suite", env_kwargs: str, env_set: tuple[str, ...]) -> dict[str, Any]:
    """What the environments of a suite are made with beside what the suite says.

    Raises:
        ConfigError: the flags make no sense, or the suite is not of gymnasium.
    """
    if not (env_kwargs or env_set):
        return {}
    if suite.env != "gym":
        raise ConfigError(f"--env-kwargs and --env-set are for environments of gymnasium, which {suite.name} is not of")
    kwargs = read_kwargs(env_kwargs)
    return {**({"env_kwargs": kwargs} if kwargs else {}), **read_played(env_set)}


def read_played(given: tuple[str, ...]) -> dict[str, Any]:
    """Fields of `GymConfig` from `--env-set FIELD=VALUE`.

    Raises:
        ConfigError: no such field, or a value that it does not take.
    """
    from qwen2vl_agent.envs.gym.config import GymConfig

    return settings_of(GymConfig, PLAYED, given, "--env-set", "an environment")


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
