"""Commands on text and files, as toybox gives them: echo, cat, ls, grep, head, wc …"""

import asyncio
import posixpath
import re
import stat
from collections.abc import Callable, Iterable

from qwen2vl_agent.envs.virtual_phone.files import FileProblem
from qwen2vl_agent.envs.virtual_phone.shell import Call, Handler, ShellExit

MODIFIED_TEXT = "2023-11-14 22:13"


def echo(call: Call) -> int:
    """Its arguments; `-n` leaves the newline out, `-e` reads backslashes."""
    words, newline, escapes = list(call.args), True, False
    while words and re.fullmatch(r"-[neE]+", words[0]):
        newline &= "n" not in words[0]
        escapes |= "e" in words[0]
        words.pop(0)
    text = " ".join(words)
    if escapes:
        text = text.replace("\\n", "\n").replace("\\t", "\t")
    call.out += text.encode("utf-8", "surrogateescape") + (b"\n" if newline else b"")
    return 0


def leave(call: Call) -> int:
    """End the shell."""
    text = call.args[0] if call.args else str(call.shell.status)
    if not re.fullmatch(r"-?\d+", text):
        call.fail(f"/system/bin/sh: exit: {text}: bad number")
        raise ShellExit(1)
    raise ShellExit(int(text) & 0xFF)


async def sleep(call: Call) -> int:
    """Wait so many seconds."""
    if not call.args or not re.fullmatch(r"\d{1,4}(\.\d*)?|\.\d+", call.args[0], re.ASCII):
        return call.fail("sleep: Needs 1 argument" if not call.args else f"sleep: bad number '{call.args[0]}'")
    await call.flush()
    await asyncio.sleep(float(call.args[0]))
    return 0


async def run_line(call: Call) -> int:
    """`sh -c LINE`."""
    if call.args[:1] != ["-c"] or len(call.args) < 2:
        return call.fail("sh: only `sh -c LINE` is known")
    await call.flush()
    try:
        return await call.shell.run(call.args[1], call.stdin)
    except ShellExit as end:
        return end.status


def which(call: Call) -> int:
    """Where a command lies."""
    known = [name for name in call.args if call.shell.knows(name)]
    for name in known:
        call.print(f"/system/bin/{name}")
    return 0 if known and len(known) == len(call.args) else 1


async def cat(call: Call) -> int:
    """Files, or standard input, as they are."""
    if not call.args:
        call.out += await call.read_all()
    return _each_file(call, call.args, lambda path: call.out.extend(call.system.files.read(path)))


def ls(call: Call) -> int:
    """What lies in directories; `-l` tells more."""
    files, status = call.system.files, 0
    long = any("l" in option for option in call.args if option.startswith("-"))
    for path in [item for item in call.args if not item.startswith("-")] or ["/"]:
        mode = files.mode(path)
        if not mode:
            status = call.fail(f"ls: {path}: No such file or directory")
            continue
        directory = stat.S_ISDIR(mode)
        names = files.names(path) if directory else [path]
        if long and directory:
            call.print(f"total {4 * len(names)}")
        for name in names:
            full = posixpath.join(path, name) if directory else path
            details = f"{stat.filemode(files.mode(full))} 1 shell shell {files.size(full):>8} {MODIFIED_TEXT} "
            call.print((details if long else "") + name)
    return status


def rm(call: Call) -> int:
    """Delete files; `-r` directories too, `-f` without complaint."""
    options = "".join(item[1:] for item in call.args if item.startswith("-"))
    paths = [item for item in call.args if not item.startswith("-")]
    if not paths and "f" not in options:
        return call.fail('rm: Needs 1 argument (see "rm --help")')
    present = [path for path in paths if "f" not in options or call.system.files.mode(path)]
    recursive = "r" in options or "R" in options
    return _each_file(call, present, lambda path: call.system.files.remove(path, recursive=recursive))


def mkdir(call: Call) -> int:
    """Make directories."""
    paths = [item for item in call.args if not item.startswith("-")]
    parents = any(item.startswith("-") and "p" in item for item in call.args)
    return _each_file(call, paths, lambda path: call.system.files.make_directory(path, parents=parents))


def touch(call: Call) -> int:
    """Make empty files where there are none."""
    return _each_file(call, call.args, lambda path: call.system.files.write(path, b"", append=True))


def copy(call: Call) -> int:
    """`cp` and `mv` of one file."""
    paths = [item for item in call.args if not item.startswith("-")]
    if len(paths) != 2:
        return call.fail(f'{call.name}: Needs 2 arguments (see "{call.name} --help")')
    source, target = paths
    if stat.S_ISDIR(call.system.files.mode(target)):
        target = posixpath.join(target, posixpath.basename(source))

    def move(path: str) -> None:
        call.system.files.write(target, call.system.files.read(path))
        if call.name == "mv":
            call.system.files.remove(path)

    return _each_file(call, [source], move)


async def head(call: Call) -> int:
    """The first lines (`head`) or the last (`tail`), ten unless told; `-c` counts bytes."""
    if call.args[:1] == ["-c"] and len(call.args) > 1 and call.args[1].isdecimal():
        whole, size = await _text(call, call.args[2:]), int(call.args[1])
        if whole is None:
            return 1
        call.out += whole[:size] if call.name == "head" else whole[max(len(whole) - size, 0) :]
        return 0
    count, paths = _line_count(call.args)
    if count is None:
        return call.fail(f"{call.name}: bad number of lines")
    data = await _text(call, paths)
    if data is None:
        return 1
    lines = data.splitlines(keepends=True)
    chosen = lines[:count] if call.name == "head" else lines[max(len(lines) - count, 0) :]
    call.out += b"".join(chosen)
    return 0


def _line_count(args: list[str]) -> tuple[int | None, list[str]]:
    count, paths, rest = "10", [], list(args)
    while rest:
        item = rest.pop(0)
        if item == "-n" and rest:
            count = rest.pop(0)
        elif re.fullmatch(r"-n?\d+", item):
            count = item.lstrip("-n")
        else:
            paths.append(item)
    return (int(count) if count.isascii() and count.isdigit() else None), paths


async def wc(call: Call) -> int:
    """Lines, words and bytes."""
    options = "".join(item[1:] for item in call.args if item.startswith("-")) or "lwc"
    data = await _text(call, [item for item in call.args if not item.startswith("-")])
    if data is None:
        return 1
    counts = {"l": data.count(b"\n"), "w": len(data.split()), "c": len(data), "m": len(data.decode("utf-8", "replace"))}
    call.print(" ".join(str(counts[option]) for option in "lwcm" if option in options))
    return 0


async def grep(call: Call) -> int:
    """Lines that match; options -i -v -c -q -o -n -F -E -w -x and -e PATTERN."""
    options, patterns, paths = _grep_arguments(call.args)
    if not patterns:
        return call.fail("usage: grep [-EFcinoqvwx] [-e PATTERN | PATTERN] [FILE...]", 2)
    try:
        matcher = _matcher(patterns, options)
    except re.error as error:
        return call.fail(f"grep: bad regex: {error}", 2)
    data = await _text(call, paths)
    if data is None:
        return 2
    found = 0
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").splitlines(), 1):
        match = matcher.search(line)
        if bool(match) == ("v" in options):
            continue
        found += 1
        if not options & {"c", "q"}:
            text = match[0] if match and "o" in options else line
            call.print(f"{number}:{text}" if "n" in options else text)
    if "c" in options:
        call.print(str(found))
    return 0 if found else 1


def _grep_arguments(args: list[str]) -> tuple[set[str], list[str], list[str]]:
    options, patterns, others, rest = set(), [], [], list(args)
    while rest:
        item = rest.pop(0)
        if item == "-e" and rest:
            patterns.append(rest.pop(0))
        elif item == "--":
            others += rest
            break
        elif re.fullmatch(r"-[A-Za-z]+", item):
            options |= set(item[1:])
        else:
            others.append(item)
    if not patterns:
        patterns, others = others[:1], others[1:]
    return options, patterns, others


def _matcher(patterns: Iterable[str], options: set[str]) -> re.Pattern[str]:
    branches = [re.escape(item) if "F" in options else item.replace("\\|", "|") for item in patterns]
    pattern = "|".join(f"(?:{branch})" for branch in branches)
    if "w" in options:
        pattern = rf"(?<!\w)(?:{pattern})(?!\w)"
    if "x" in options:
        pattern = rf"^(?:{pattern})$"
    return re.compile(pattern, re.IGNORECASE if "i" in options else 0)


async def _text(call: Call, paths: list[str]) -> bytes | None:
    """The files' bytes, or standard input where none is named; None after a complaint."""
    if not paths:
        return await call.read_all()
    data = bytearray()
    failed = _each_file(call, paths, lambda path: data.extend(call.system.files.read(path)))
    return None if failed else bytes(data)


def _each_file(call: Call, paths: Iterable[str], do: Callable[[str], object]) -> int:
    """Do it to each path; complaints go to standard error."""
    status = 0
    for path in paths:
        try:
            do(path)
        except FileProblem as problem:
            status = call.fail(f"{call.name}: {path}: {problem}")
    return status


COMMANDS: dict[str, Handler] = {
    "echo": echo,
    "exit": leave,
    "sleep": sleep,
    "sh": run_line,
    "which": which,
    "true": lambda call: 0,
    ":": lambda call: 0,
    "false": lambda call: 1,
    "cat": cat,
    "ls": ls,
    "rm": rm,
    "mkdir": mkdir,
    "touch": touch,
    "cp": copy,
    "mv": copy,
    "head": head,
    "tail": head,
    "wc": wc,
    "grep": grep,
    "pwd": lambda call: call.print("/"),
    "cd": lambda call: 0,
}
