"""Looks at this machine: packages, processor, adb and its devices, the embedded model, disk space."""

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.schema.errors import OperatorError

State = Literal["good", "note", "missing"]
DISTRIBUTION = "qwen2vl-agent"
SPACE_WANTED_GB = 5.0
"""A 2B checkpoint in bfloat16 is 4.4 GB; recorded episodes need far less."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    name: str
    state: State
    """`missing` keeps the main job from running; `note` is worth knowing."""
    found: str
    mend: str = ""
    """What to do about it; empty where nothing is to be done."""


def findings() -> list[Finding]:
    """Everything that can be said of this machine, most important first."""
    return [_python(), *_packages(), *_processor(), _embedded_model(), *_adb(), _disk(), *_extras()]


def _python() -> Finding:
    return Finding("python", "good", f"{platform.python_version()}, {platform.system()} {platform.machine()}")


def _packages() -> Iterator[Finding]:
    """The core packages: one line for those that are there, one for each that is not."""
    present = []
    for name in sorted(_wanted(extra=None)):
        version = _version(name)
        if version is None:
            yield Finding(name, "missing", "not installed", f"pip install {DISTRIBUTION}")
        else:
            present.append(f"{name} {version}")
    yield Finding("packages", "good", ", ".join(present))


def _processor() -> Iterator[Finding]:
    if _version("torch") is None:
        return
    import torch

    from qwen2vl_agent.model.precision import bf16_instructions

    fast = bf16_instructions()
    speed = f"bf16 in hardware: {', '.join(fast)}" if fast else "no bf16 in hardware: float32 is the fastest here"
    threads = f"{torch.get_num_threads()} threads of {os.cpu_count()} cores"
    yield Finding("processor", "good", f"{threads}, {torch.backends.cpu.get_cpu_capability()}, {speed}")
    yield _native_kernels()
    if torch.cuda.is_available():
        yield Finding("gpu", "good", torch.cuda.get_device_name())


def _native_kernels() -> Finding:
    from qwen2vl_agent.model.native.build import KERNELS, NoKernel, load

    there, missing = [], {}
    for name in KERNELS:
        try:
            load(name)
        except NoKernel as reason:
            missing[name] = str(reason)
        else:
            there.append(name)
    if not missing:
        return Finding("native kernels", "good", ", ".join(there))
    without = "; ".join(f"without {name}: {reason}" for name, reason in missing.items())
    mend = "apt install g++" if any("compiler" in reason for reason in missing.values()) else ""
    return Finding("native kernels", "note", "; ".join((*there, without)), mend)


def _embedded_model() -> Finding:
    weights = list(EMBEDDED.glob("*.safetensors"))
    if not weights:
        mend = "reinstall the package, or give another model with --model FOLDER"
        return Finding("embedded model", "missing", "no weights in the package", mend)
    size = sum(path.stat().st_size for path in weights) / 1e6
    return Finding("embedded model", "good", f"{size:.1f} MB of weights")


def _adb() -> Iterator[Finding]:
    """The adb program, its server, and a line for each device."""
    if _version("adbutils") is None:
        return
    from qwen2vl_agent.envs.adb_server import adb_client, adb_path, attached

    try:
        path, client = adb_path(), adb_client()
        phones = attached(client)
        yield Finding("adb", "good", f"{path}, server version {client.server_version()} on port {client.port}")
    except OperatorError as error:
        yield Finding("adb", "missing", str(error), "see: adb start-server")
        return
    for phone in phones:
        yield _device(phone.serial, phone.state)
    if not phones:
        yield Finding("phone", "note", "none attached: a virtual phone is used", "for a real one: USB debugging on")


def _device(serial: str, state: str) -> Finding:
    from qwen2vl_agent.envs.adb_server import WHAT_TO_DO

    if state == "device":
        return Finding(f"phone {serial}", "good", "attached and ready")
    mend = next((advice for kind, advice in WHAT_TO_DO.items() if state.startswith(kind)), "see: adb devices -l")
    return Finding(f"phone {serial}", "note", state, mend)


def _disk() -> Finding:
    free = shutil.disk_usage(".").free / 1e9
    if free < SPACE_WANTED_GB:
        return Finding("disk", "note", f"{free:.1f} GB free here", "make room, or work on another disk with --out")
    return Finding("disk", "good", f"{free:.0f} GB free here")


def _extras() -> Iterator[Finding]:
    """One line for each extra: complete, or what it lacks."""
    for extra in importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []:
        absent = sorted(name for name in _wanted(extra) if _version(name) is None)
        if absent:
            mend = f"pip install '{DISTRIBUTION}[{extra}]'"
            yield Finding(f"extra [{extra}]", "note", f"without {', '.join(absent)}", mend)
        else:
            yield Finding(f"extra [{extra}]", "good", "complete")


def _wanted(extra: str | None) -> set[str]:
    """Names of the packages that the core install, or one extra, asks for."""
    names = set()
    for line in importlib.metadata.requires(DISTRIBUTION) or []:
        requirement, _, condition = line.partition(";")
        of_extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", condition)
        if (of_extra[1] if of_extra else None) == extra:
            names.add(re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0])
    return names


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
