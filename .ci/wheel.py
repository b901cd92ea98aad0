"""Builds wheel and sdist in an environment of its own, installs the wheel in a clean one, and tries it from outside.

`python .ci/wheel.py OUT` leaves the two files in the folder OUT. Words behind OUT go to the pip that installs the
wheel, for example `--extra-index-url URL` with the index of PyTorch's CPU builds.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "qwen2vl_agent"
RUN = ("run", "--device", "android", "--serial", "virtual", "--task", "settings.toggle", "--seed", "1")
NOT_SHIPPED = ("__pycache__",)


def expected_files() -> set[str]:
    """All that the package has to carry: its code, and everything beside it."""
    files = (path for path in (ROOT / PACKAGE).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in files if not set(path.parts) & set(NOT_SHIPPED)}


def missing_from(archive: Path) -> list[str]:
    """What a wheel or an sdist lacks."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            names = set(wheel.namelist())
        wanted = expected_files()
    else:
        with tarfile.open(archive) as sdist:
            names = {name.partition("/")[2] for name in sdist.getnames()}
        wanted = expected_files() | {"LICENSE", "NOTICE", "README.md", "pyproject.toml"}
    return sorted(wanted - names)


def environment(folder: Path) -> Path:
    """A new virtual environment; its folder of programs."""
    venv.create(folder, with_pip=True)
    return folder / ("Scripts" if os.name == "nt" else "bin")


def build(out: Path, work: Path) -> Path:
    """Wheel and sdist in `out`; the wheel."""
    programs = environment(work / "builder")
    run([programs / "python", "-m", "pip", "install", "--quiet", "build>=1.2,<2"])
    run([programs / "python", "-m", "build", "--outdir", out, ROOT])
    wheel, sdist = max(out.glob("*.whl"), key=age), max(out.glob("*.tar.gz"), key=age)
    for archive in (wheel, sdist):
        if lacking := missing_from(archive):
            sys.exit(f"{archive.name} lacks {', '.join(lacking[:10])}")
        print(f"{archive.name}: {archive.stat().st_size / 1e6:.1f} MB, complete", flush=True)
    return wheel


def try_out(wheel: Path, work: Path, pip_words: list[str]) -> None:
    """Install the wheel in a clean environment and use it from a folder that knows nothing of the repository."""
    programs, elsewhere = environment(work / "clean"), work / "elsewhere"
    elsewhere.mkdir()
    begun = time.monotonic()
    run([programs / "python", "-m", "pip", "install", "--quiet", *pip_words, wheel])
    print(f"installed with all that it needs in {time.monotonic() - begun:.0f} s", flush=True)
    program = programs / "qwen2vl-agent"
    for words in (
        ["--version"],
        ["run", "--help"],
        ["completion", "bash"],
        [*RUN, "--json"],
        [*RUN, "--policy", "oracle"],
    ):
        begun = time.monotonic()
        told = run([program, *words], cwd=elsewhere, quiet=True)
        print(f"qwen2vl-agent {' '.join(words)}: {time.monotonic() - begun:.1f} s, {told}", flush=True)
    told = run([programs / "python", "-m", PACKAGE, "--version"], cwd=elsewhere, quiet=True)
    print(f"python -m {PACKAGE} --version: {told}", flush=True)


def run(command: list[object], cwd: Path | None = None, quiet: bool = False) -> str:
    """Run a program that has to succeed; the last line that it printed."""
    plain = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    pipe = subprocess.PIPE if quiet else None
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=plain, stdout=pipe, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with status {done.returncode}")
    return (done.stdout or "").strip().rpartition("\n")[2][:100]


def age(path: Path) -> float:
    """When a file was written."""
    return path.stat().st_mtime


def main() -> None:
    """Build and try."""
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="qwen2vl-agent-wheel-") as work:
        try_out(build(out, Path(work)), Path(work), sys.argv[2:])


if __name__ == "__main__":
    main()
