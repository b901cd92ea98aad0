"""The grammar of the phone's small shell: a line to pipelines of simple commands, joined by `;`, `&&` and `||`.

Nothing is carried out here, and nothing is ever handed to the host's shell.
"""

import re
from dataclasses import dataclass, field

VARIABLE = re.compile(r"\$(\?|[A-Za-z_][A-Za-z0-9_]*|\{(?:\?|[A-Za-z_][A-Za-z0-9_]*)\})")
OPERATORS = ("&&", "||", ";", "|", "&", "\n")
REDIRECT = re.compile(r"([0-9]?)(>>|>&|>|<)")
ESCAPED_IN_QUOTES = '"\\$`\n'
"""What a backslash protects between double quotes. Source: POSIX shell, §2.2.3."""


class ShellSyntaxError(Exception):
    """The line is not in the grammar; the text is the shell's message."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`$NAME` or `$?`, to be put in when the command runs."""

    name: str


@dataclass(frozen=True, slots=True)
class Word:
    """One argument: texts and variables, to be joined."""

    parts: tuple[str | Variable, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """A stream sent elsewhere: `> path` is (1, ">", path)."""

    descriptor: int
    operator: str
    target: Word


@dataclass(slots=True)
class Command:
    """A program's name, its arguments, and where its streams go."""

    words: list[Word] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class Pipeline:
    """Commands, each reading what the one before wrote."""

    connector: str
    """What stands before it: `;`, `&&` or `||`."""
    commands: list[Command]


def parse_line(line: str) -> list[Pipeline]:
    """The pipelines of a line, in order.

    Raises:
        ShellSyntaxError: an open quote, a misplaced operator, or syntax that this shell does not have.
    """
    pipelines: list[Pipeline] = []
    current, connector = Pipeline(";", [Command()]), ";"
    for token in [*_tokens(line), ";"]:
        command = current.commands[-1]
        if isinstance(token, Word):
            command.words.append(token)
        elif isinstance(token, Redirect):
            command.redirects.append(token)
        elif token == "|":
            _require(command, token)
            current.commands.append(Command())
        else:
            empty = not (command.words or command.redirects)
            if empty and (len(current.commands) > 1 or connector != ";" or token in ("&&", "||")):
                if token == "\n":
                    continue  # a line may end after an operator
                raise ShellSyntaxError(f"syntax error: unexpected '{'newline' if token == ';' else token}'")
            if not empty:
                pipelines.append(current)
            connector = token if token in ("&&", "||") else ";"
            current = Pipeline(connector, [Command()])
    return pipelines


def _require(command: Command, token: str) -> None:
    if not (command.words or command.redirects):
        raise ShellSyntaxError(f"syntax error: unexpected '{token}'")


def _tokens(line: str) -> list[Word | Redirect | str]:
    tokens: list[Word | Redirect | str] = []
    at = 0
    while True:
        at = _skip_blank(line, at)
        if at >= len(line):
            return tokens
        redirect = REDIRECT.match(line, at)
        operator = next((name for name in OPERATORS if line.startswith(name, at)), None)
        if redirect:
            start = _skip_blank(line, redirect.end())
            target, at = _word(line, start)
            if at == start:
                raise ShellSyntaxError("syntax error: unexpected 'newline'")
            default = 0 if redirect[2] == "<" else 1
            tokens.append(Redirect(int(redirect[1] or default), redirect[2], target))
        elif operator:
            tokens.append(operator)
            at += len(operator)
        elif line[at] in "()":
            raise ShellSyntaxError(f"syntax error: unexpected '{line[at]}'")
        else:
            word, at = _word(line, at)
            tokens.append(word)


def _skip_blank(line: str, at: int) -> int:
    while at < len(line) and line[at] in " \t\r":
        at += 1
    if at < len(line) and line[at] == "#":
        end = line.find("\n", at)
        return len(line) if end < 0 else end
    return at


def _word(line: str, at: int) -> tuple[Word, int]:
    """The word that begins at `at`, and where it ends."""
    parts: list[str | Variable] = []
    while at < len(line) and line[at] not in " \t\r\n;|&<>()":
        character = line[at]
        if character == "'":
            end = line.find("'", at + 1)
            if end < 0:
                raise ShellSyntaxError("no closing quote")
            parts.append(line[at + 1 : end])
            at = end + 1
        elif character == '"':
            at = _double_quoted(line, at + 1, parts)
        elif character == "\\":
            if line[at + 1 : at + 2] != "\n":
                parts.append(line[at + 1 : at + 2])
            at += 2
        else:
            at = _plain(line, at, parts)
    return Word(tuple(parts)), at


def _double_quoted(line: str, at: int, parts: list[str | Variable]) -> int:
    parts.append("")  # "" is a word, though an empty one
    while at < len(line):
        character = line[at]
        if character == '"':
            return at + 1
        if character == "\\" and line[at + 1 : at + 2] and line[at + 1] in ESCAPED_IN_QUOTES:
            parts.append("" if line[at + 1] == "\n" else line[at + 1])
            at += 2
        else:
            at = _plain(line, at, parts)
    raise ShellSyntaxError("no closing quote")


def _plain(line: str, at: int, parts: list[str | Variable]) -> int:
    if line[at] == "`" or line.startswith("$(", at):
        raise ShellSyntaxError("command substitution is not known to this shell")
    variable = VARIABLE.match(line, at)
    if variable:
        parts.append(Variable(variable[1].strip("{}")))
        return variable.end()
    parts.append(line[at])
    return at + 1
