"""The texts of the reference: the command line from its own parser, Python's rooms from their docstrings."""

import argparse
import importlib
import inspect
import re
import textwrap
import typing
import warnings

import tyro

from qwen2vl_agent.cli import COMMANDS, PROGRAM

ROOMS = {
    "The short way": ("qwen2vl_agent.agent.episode", "qwen2vl_agent.dialogue.processor", "qwen2vl_agent.model.qwen2vl"),
    "Plain types": (
        "qwen2vl_agent.schema.geometry",
        "qwen2vl_agent.schema.actions",
        "qwen2vl_agent.schema.tools",
        "qwen2vl_agent.schema.messages",
        "qwen2vl_agent.schema.observation",
        "qwen2vl_agent.schema.trajectory",
        "qwen2vl_agent.schema.errors",
    ),
    "The model": (
        "qwen2vl_agent.model.config",
        "qwen2vl_agent.model.image_processor",
        "qwen2vl_agent.model.mrope",
        "qwen2vl_agent.model.generate",
        "qwen2vl_agent.model.generate_many",
    ),
    "The dialogue": (
        "qwen2vl_agent.dialogue.compose",
        "qwen2vl_agent.dialogue.encode",
        "qwen2vl_agent.dialogue.tool_call",
        "qwen2vl_agent.dialogue.stream",
    ),
    "Environments": (
        "qwen2vl_agent.envs.register",
        "qwen2vl_agent.envs.device",
        "qwen2vl_agent.envs.agent_env",
        "qwen2vl_agent.envs.screen",
        "qwen2vl_agent.envs.task_set",
        "qwen2vl_agent.envs.tasks.task",
        "qwen2vl_agent.envs.suite",
    ),
    "The agent": ("qwen2vl_agent.agent.settings", "qwen2vl_agent.agent.policy", "qwen2vl_agent.agent.rules"),
    "Training": ("qwen2vl_agent.recipes.stages", "qwen2vl_agent.training.parallel.layout"),
}
"""What a program outside builds on; each module's docstrings make its part of the page."""


def python_page() -> str:
    """A section for each room, filled by mkdocstrings."""
    rooms = " · ".join(f"[{room}](#{room.lower().replace(' ', '-')})" for room in ROOMS)
    about = f"What a program of your own builds on, from the docstrings of the code: {rooms}."
    lines = ["# Python", "", about, ""]
    for room, modules in ROOMS.items():
        lines += [f"## {room}", ""]
        for module in modules:
            lines += [f"::: {module}", "    options:", "      heading_level: 3", ""]
    return "\n".join(lines)


def command_line_page() -> str:
    """A section for each command: what it is for, its examples and its flags."""
    parts = [
        "# Command line\n\nWritten from the parser of each command; `--help` tells the same.\n",
        *(_command(name, purpose) for name, purpose in COMMANDS.items()),
    ]
    return "\n".join(parts)


def _command(name: str, purpose: str) -> str:
    command = importlib.import_module(f"qwen2vl_agent.commands.{name}").Command
    sections = [f"## {name}\n", _described(command, purpose)]
    inner = _subcommands(command)
    for word, choice in inner.items():
        sections += [f"### {name} {word}\n", _described(choice, ""), _table(parser_of(choice, f"{name} {word}"))]
    return "\n".join(sections if inner else [*sections, _table(parser_of(command, name))])


def parser_of(command: type, words: str) -> argparse.ArgumentParser:
    """The argparse parser that a command's dataclass amounts to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return tyro.extras.get_parser(
            command, prog=f"{PROGRAM} {words}", description="", config=(tyro.conf.FlagCreatePairsOff,)
        )


def _subcommands(command: type) -> dict[str, type]:
    """The dataclasses of a command that is one of several, by the word that chooses it."""
    choice = typing.get_type_hints(command, include_extras=True).get("what")
    choices = typing.get_args(getattr(choice, "__origin__", None))  # Annotated[Annotated[…] | Annotated[…], …]
    return {
        mark.name: each.__origin__
        for each in choices
        for mark in getattr(each, "__metadata__", ())
        if getattr(mark, "name", None)
    }


def _described(command: type, purpose: str) -> str:
    """The docstring, its examples as a block of code."""
    text, _, examples = inspect.cleandoc(command.__doc__ or purpose).partition("Examples:\n")
    block = f"\n```text\n{textwrap.dedent(examples).rstrip()}\n```\n" if examples else ""
    return f"{_plain(text)}\n{block}"


def _table(parser: argparse.ArgumentParser) -> str:
    rows = [_row(action) for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    return "\n".join(["| flag | takes | what it does |", "| --- | --- | --- |", *rows, ""]) if rows else ""


def _row(action: argparse.Action) -> str:
    flag = action.option_strings[-1] if action.option_strings else action.dest.replace("_", "-")
    takes = str(action.metavar or "").replace("{None}|", "")
    return f"| `{flag}` | {_code(takes)} | {_plain(' '.join((action.help or '').split()))} |"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _plain(text: str) -> str:
    """Text in which Markdown finds nothing to do but for code."""
    return re.sub(r"([<>|*_\[\]])", r"\\\1", text.strip())
