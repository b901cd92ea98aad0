"""Runs every command line and program of README and the pages: `python docs/run_snippets.py [PAGE[:LINE] …]`.

Each page is done in order in an empty folder, as a reader would. A block with a title is written to that file; lines of
`sh` are run; one that ends in `&` goes on until the page ends. What is not run is listed with its reason, and what was
made smaller with what it was made. Exit status 1 if a line failed. `README.md:81` does that line alone again, after
what stays running.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import adbutils
from PIL import Image
from snippets import ROOT, Block, blocks, commands, our_words, pages

from qwen2vl_agent.commands.models import EMBEDDED

LIMIT_S = 600
START_S = 8.0
"""How long a program that stays is given to start; it must still run then."""
MAY_FAIL = ("run", "bench", "doctor", "improve", "replay", "verify")
"""Commands whose status 1 is a verdict and no fault of the line."""
STAYS = re.compile(r"^qwen2vl-agent (phone|serve|mcp)\b|--live\b|^qwen2vl-agent view (?!.*--html)")
CHANGED = (
    (r"bench phone --episodes 10", "bench launcher --episodes 1"),
    (r"bench phone --blind", "bench launcher --episodes 1 --blind"),
    (r"bench cards --policy oracle", "bench cards --policy oracle --episodes 1"),
    (r"collect --suite phone --policy oracle --episodes 200", "collect --policy oracle --suite launcher --episodes 6"),
    (r"collect --policy dagger --episodes 400", "collect --policy dagger --suite launcher --episodes 4"),
    (r"bench compare runs/A runs/B", "bench compare runs/bench runs/blind"),
    (r"--format sharegpt --out FOLDER", "--format sharegpt --out exports"),
    (r"(chat|quantize) FOLDER", r"\1 model"),
    (r"--out SMALL", "--out small"),
    (r"(chat .*--image receipt.jpg)", r"\1 --prompt total --json"),
    (r"(view|replay|redact) runs/FOLDER", r"\1 runs/one"),
    (r"^(qwen2vl-agent run --task settings.toggle --seed 1)$", r"\1 --out runs/one"),
    (r'--rules rules.toml --task "…"', "--rules rules.toml --task settings.toggle"),
    (r"improve phone --model FOLDER --rounds 4", "improve launcher --rounds 1 --episodes 4 --steps 2 --held-out 1"),
    (r"--live", "--live --max-seconds 60"),
    (r"phone --port 5599$", "phone --port 5601"),  # 5599 is the phone of the page's own adb lines
    (r"-m qwen2vl_agent train stage2 --dp 2 --pp 2 --model FOLDER", "-m qwen2vl_agent train stage2 --dp 2 --pp 2 "
     "--set steps=1 --set rows_per_step=4 --set batch_tokens=1024"),
)  # fmt: skip
"""Lines as they are run, where a reader's has a placeholder or takes hours: pattern and replacement."""
NOT_RUN = (
    (r"^make (demo|test)", "it sets up what this runs in; CI does it"),
    (r"--resume runs/FOLDER", "tests/cli/test_resume.py interrupts an episode first"),
    (
        r"train tiny .*--resume|train tiny --out",
        "takes hours; tests/recipes/test_tiny_run.py runs it small",
    ),
    (r"https://example.org", "no internet where this runs; tests/cli/test_browser_run.py has a page of its own"),
    (r"--device desktop --virtual --task \"…\"", "needs a model of full size; tests/envs/test_desktop_tasks.py"),
    (r"http://127.0.0.1:8000", "needs a server; tests/serve/test_endpoint_policy.py runs one"),
    (r"^qwen2vl-agent init ", "needs published weights; tests/parity/test_assemble.py has random ones"),
    (r"Qwen/Qwen2-VL", "needs the published weights"),
)
NOT_RUN_BLOCKS = {
    "docs/exports.md": "needs an environment of each target, with their packages",
    "docs/peers.md": "needs llama.cpp or packages of others, built or fetched",
}
"""Pages whose blocks need other people's programs."""
BEFORE = {"README.md": "qwen2vl-agent phone --port 5599 --seed 4 &"}
"""What the page says in words that a reader starts first."""
RULES = '[[rule]]\nfunction = "press_key"\nwhen.name = "power"\nthen = "deny"\n'
TALK = (
    '{"messages": [{"role": "user", "content": [{"type": "image", "image": "receipt.jpg"}]}, '
    '{"role": "assistant", "content": "12"}]}\n'
)


@dataclass(slots=True)
class Page:
    """A page while it is done."""

    folder: Path
    env: dict[str, str]
    only: int | None = None
    """The one line to do, beside those that go on."""
    ran: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    staying: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def command(self, where: str, line: str) -> None:
        """Run a line of a page, or say why not."""
        why = next((reason for pattern, reason in NOT_RUN if re.search(pattern, line)), "")
        if why:
            self.skipped.append(f"{where}: {line}\n    {why}")
            return
        done = line
        for pattern, replacement in CHANGED:
            done = re.sub(pattern, replacement, done)
        stays = done.endswith("&") or bool(STAYS.search(done))
        if self.only is not None and not (done.endswith("&") or where.endswith(f":{self.only}")):
            return
        if done != line:
            self.changed.append(f"{where}: {line}\n    as: {done}")
        if stays:
            self._start(where, done.removesuffix("&"))
        else:
            self._finish(where, done)

    def program(self, block: Block) -> None:
        """Run a block of Python."""
        if self.only not in (None, block.line):
            return
        file = self.folder / f"block{block.line}.py"
        file.write_text(block.text, "utf-8")
        self._finish(block.where, f"python {file.name}")

    def _finish(self, where: str, line: str) -> None:
        begin = time.monotonic()
        try:
            answer = subprocess.run(
                ["bash", "-c", line], cwd=self.folder, env=self.env, timeout=LIMIT_S, capture_output=True, text=True,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            status, told = answer.returncode, answer.stdout[-1500:] + answer.stderr[-1500:]
        except subprocess.TimeoutExpired:
            status, told = 124, f"not done after {LIMIT_S} s"
        words = our_words(line)
        fine = (0, 1) if words and words[0] in MAY_FAIL else (0,)
        self._tell(where, line, status in fine, told, time.monotonic() - begin)

    def _start(self, where: str, line: str) -> None:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=self.folder, env=self.env, stdin=subprocess.PIPE,
            stdout=(self.folder / "staying.txt").open("ab"), stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.staying.append(process)
        begin = time.monotonic()
        while time.monotonic() - begin < START_S and process.poll() is None:
            time.sleep(0.2)
        told = (self.folder / "staying.txt").read_text("utf-8", "replace")[-1500:]
        self._tell(where, line + " &", process.returncode in (None, 0), told, time.monotonic() - begin)

    def _tell(self, where: str, line: str, good: bool, told: str, seconds: float) -> None:
        self.ran += 1
        print(f"{'ok  ' if good else 'FAIL'} {seconds:6.1f} s  {where}: {line}", flush=True)
        if not good:
            self.failed.append(f"{where}: {line}\n{told}")

    def end(self) -> None:
        """Stop what stays."""
        for process in self.staying:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        for process in self.staying:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def prepare(folder: Path, home: Path) -> dict[str, str]:
    """What the lines name: a model, a picture, rules, conversations; the environment to run them in."""
    (folder / "model").symlink_to(EMBEDDED)
    Image.new("RGB", (140, 84), "white").save(folder / "receipt.jpg")
    (folder / "rules.toml").write_text(RULES, "utf-8")
    (folder / "talks.jsonl").write_text(TALK * 8, "utf-8")
    paths = [str(Path(sys.executable).parent), str(Path(adbutils.adb_path()).parent), os.environ["PATH"]]
    own = {
        "PATH": os.pathsep.join(paths),
        "HOME": str(home),
        "ANDROID_SERIAL": "127.0.0.1:5599",  # where a line of adb names no phone
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return os.environ | own


def run_page(path: Path, only: int | None = None) -> Page:
    """Do a page from its beginning to its end, or one line of it."""
    name = path.relative_to(ROOT).as_posix()
    with tempfile.TemporaryDirectory() as place:
        folder, home = Path(place) / "work", Path(place) / "home"
        folder.mkdir(), home.mkdir()
        page = Page(folder, prepare(folder, home), only)
        try:
            if name in BEFORE:
                page.command(name, BEFORE[name])
            for block in blocks(path):
                run_block(page, block, block.not_run or NOT_RUN_BLOCKS.get(name, ""))
        finally:
            page.end()
    return page


def run_block(page: Page, block: Block, why: str) -> None:
    """Do what a block asks for."""
    if block.title:
        (page.folder / block.title).write_text(block.text + "\n", "utf-8")
    elif block.language == "sh":
        for line, command in commands(block):
            if why:
                page.skipped.append(f"{block.page.name}:{line}: {command}\n    {why}")
            else:
                page.command(f"{block.page.name}:{line}", command)
    elif block.language == "python":
        if block.page.name == "README.md":
            page.skipped.append(f"{block.where}: Python\n    needs the published weights and a camera")
        else:
            page.program(block)


def main() -> int:
    """Do the pages that are named, or all; tell what was not run."""
    named = [word.partition(":") for word in sys.argv[1:]]
    wanted = [(Path(name).resolve(), int(line) if line else None) for name, _, line in named]
    if shutil.which("bash") is None:
        raise SystemExit("bash is needed")
    done = [run_page(path, only) for path, only in wanted or [(path, None) for path in pages()]]
    for title, lists in (("made smaller", [p.changed for p in done]), ("not run", [p.skipped for p in done])):
        print(f"\n{title}:", *(line for lines in lists for line in lines), sep="\n  ")
    failed = [line for page in done for line in page.failed]
    print(f"\n{sum(page.ran for page in done)} lines run, {len(failed)} failed", *failed, sep="\n\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
