"""gymnasium's worlds through function calls, without a model.

    python benchmarks/gym_worlds.py suites robots --policies oracle --episodes 20 --seed 51     success by task
    python benchmarks/gym_worlds.py untouched --count 40 --seed 1     ids of the registry, by the command line

`suites` neither draws nor records, since none of its policies looks: `qwen2vl-agent bench` measures the same with both.
It prints a table in Markdown, with 95 % intervals. `untouched` plays a few calls of environments that nobody chose, the
newest version of each, as many of one package as of another; what cannot be played tells why.
"""

import argparse
import contextlib
import io
import itertools
import random
import re
import warnings

import gymnasium

from qwen2vl_agent.bench.statistics import rate
from qwen2vl_agent.envs.gym.making import PROVIDERS, find_spec
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.suites import episode_seed, get_suite
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.tools import to_call

CALLS = 5


def outcome(env, task, policy, seed):
    """How one episode ends, and after how many calls."""
    env.reset(seed=seed, options={"task": task})
    env.action_space.seed(seed)
    for calls in range(1, env.max_steps + 1):
        action = {"oracle": lambda: env.oracle().action, "random": env.action_space.sample, "noop": env.noop}[policy]()
        _, _, terminated, truncated, info = env.step(to_call(action))
        if terminated or truncated:
            return info["outcome"], calls
    raise AssertionError(f"{task} does not end")


def measure_suites(given):
    """A row for each task and policy, and one for all tasks of a suite."""
    print("| task | policy | solved | 95 % | calls (median) |\n| --- | --- | ---: | ---: | ---: |")
    for name in given.suites:
        for policy in given.policies:
            whole, env = [], make_env("gym", blind=True)
            for task in get_suite(name).tasks:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    ended = [outcome(env, task, policy, episode_seed(given.seed, n)) for n in range(given.episodes)]
                print_row(task, policy, ended)
                whole += ended
            if len(get_suite(name).tasks) > 1:
                print_row(f"all of {name}", policy, whole)
            env.close()


def print_row(task, policy, ended):
    found = rate([how == "success" for how, _ in ended])
    calls = sorted(calls for _, calls in ended)[len(ended) // 2]
    solved = f"{round(found.success * found.episodes)} of {found.episodes}"
    interval = f"{100 * found.low:.1f} to {100 * found.high:.1f}"
    print(f"| `{task}` | {policy} | {solved} | {interval} | {calls} |", flush=True)


def play_untouched(given):
    """Draw ids and play them by the command line."""
    played = 0
    for env_id in drawn(given.count, given.seed):
        told = by_command_line(env_id, given.seed)
        played += not told.startswith("error")
        print(f"{env_id}: {told}", flush=True)
    print(f"{played} of {given.count} played; the others say why not")


def drawn(count, seed):
    """Ids of the registry, each package in turn."""
    for start in PROVIDERS:
        with contextlib.suppress(ConfigError):  # what it registers is what matters, not this id
            find_spec(f"{start}nothing-v0")
    newest = {}
    for env_id, spec in gymnasium.registry.items():
        if not env_id.startswith("qwen2vl_agent/"):
            name, version = re.sub(r"-v\d+$", "", env_id), spec.version or 0
            if name not in newest or version >= newest[name][0]:
                newest[name] = (version, env_id, str(spec.entry_point).partition(".")[0])
    packages = {}
    for _, env_id, package in newest.values():
        packages.setdefault(package, []).append(env_id)
    draw = random.Random(seed)
    for ids in packages.values():
        draw.shuffle(ids)
    turns = itertools.zip_longest(*packages.values())
    return [env_id for turn in turns for env_id in turn if env_id][:count]


def by_command_line(env_id, seed):
    """The verdict's line of `qwen2vl-agent run`, or its error."""
    from qwen2vl_agent.cli import main

    arguments = ["run", "--device", "gym", "--env-id", env_id, "--policy", "random", "--seed", str(seed)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(SystemExit):
            main([*arguments, "--max-steps", str(CALLS), "--no-record"])
    lines = (out.getvalue() + err.getvalue()).strip().splitlines()
    told = [line for line in lines if line.startswith(("error", "verdict"))]
    return (told or lines or ["error: nothing was said"])[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    suites = commands.add_parser("suites")
    suites.add_argument("suites", nargs="+")
    suites.add_argument("--policies", nargs="+", default=["oracle", "random", "noop"])
    suites.add_argument("--episodes", type=int, default=20)
    suites.add_argument("--seed", type=int, default=51)
    suites.set_defaults(act=measure_suites)
    untouched = commands.add_parser("untouched")
    untouched.add_argument("--count", type=int, default=40)
    untouched.add_argument("--seed", type=int, default=1)
    untouched.set_defaults(act=play_untouched)
    given = parser.parse_args()
    given.act(given)


if __name__ == "__main__":
    main()
