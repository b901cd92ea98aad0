"""Compiles a kernel for this very processor and loads it; the result is kept in the user's cache folder."""

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch

KERNELS = ("attention", "int4", "pointwise", "rows")
SWITCH = "QWEN2VL_AGENT_NATIVE"
"""Environment variable: `off` leaves all kernels to their plain forms."""
FLAGS = ("-O3", "-march=native", "-fopenmp", "-std=c++17", "-shared", "-fPIC", "-w")
COMPILE_S = 120
SOURCES = Path(__file__).parent
_log = logging.getLogger(__name__)


class NoKernel(Exception):
    """Why a kernel cannot be had here."""


@cache
def kernel(name: str) -> ctypes.CDLL | None:
    """The library of `NAME.cpp`; None where it cannot be had, which is noted in the log once."""
    try:
        return load(name)
    except NoKernel as reason:
        _log.info("without the native kernel %s: %s", name, reason)
        return None


def needed(name: str) -> ctypes.CDLL:
    """The library of a kernel that is known to be there."""
    library = kernel(name)
    assert library is not None, f"there is no kernel {name} here"
    return library


def load(name: str) -> ctypes.CDLL:
    """The library of `NAME.cpp`, compiled if it was not yet.

    Raises:
        NoKernel: switched off, no compiler, or a processor that it is not written for.
    """
    if os.environ.get(SWITCH, "").lower() == "off":
        raise NoKernel(f"{SWITCH} is off")
    if sys.platform != "linux":
        raise NoKernel(f"they are built on Linux only, this is {sys.platform}")
    compiler = shutil.which("g++")  # others bring an OpenMP of their own, whose threads PyTorch's would meet
    if compiler is None:
        raise NoKernel("there is no C++ compiler; install g++")
    try:
        path = _folder() / f"{name}-{_key(name, compiler)}.so"
        if not path.is_file():
            _compile(compiler, name, path)
        return ctypes.CDLL(str(path))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # of Path.home(), too
        raise NoKernel(str(error)) from error


def _folder() -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "qwen2vl-agent" / "kernels"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _key(name: str, compiler: str) -> str:
    """Another source, compiler, processor or PyTorch makes another library."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=COMPILE_S).stdout
    processor = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
    parts = (_source(name).read_bytes(), *(header.read_bytes() for header in sorted(SOURCES.glob("*.h"))), version)
    whole = b"\0".join((*parts, processor.encode(), " ".join((*FLAGS, *_openmp())).encode()))
    return hashlib.sha256(whole).hexdigest()[:16]


def _openmp() -> list[str]:
    """The library of threads that PyTorch brings, where it does, in place of the compiler's."""
    return ["-Wl,--as-needed", *map(str, sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*")))]


def _source(name: str) -> Path:
    return SOURCES / f"{name}.cpp"


def _compile(compiler: str, name: str, path: Path) -> None:
    """Written beside its place and moved there, so that nobody loads half of it."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        done = subprocess.run(
            [compiler, *FLAGS, "-o", str(draft), str(_source(name)), *_openmp()],
            capture_output=True,
            text=True,
            timeout=COMPILE_S,
        )
        if done.returncode:
            said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
            raise NoKernel(said.partition("error: ")[2].strip() or said)
        draft.replace(path)
