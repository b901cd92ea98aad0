"""Makes the pictures of the viewer and of the live page: `python docs/make_page_images.py`. Needs Chromium.

The embedded model does a bundled task on a virtual phone; then the bundled solution does it under rules that ask.
"""

import io
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from qwen2vl_agent import Agent, Processor, Qwen2VL, make_env
from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.rules_file import rules_from
from qwen2vl_agent.agent.settings import EpisodePlan
from qwen2vl_agent.commands.models import EMBEDDED
from qwen2vl_agent.serve.live_page import serving_live_page
from qwen2vl_agent.serve.viewer_page import whole_page

FOLDER = Path(__file__).parent / "images"
TASK, SEED = "settings.toggle", 1
ASK = {"rule": [{"function": "tap", "then": ["ask", "deny"], "reason": "every touch is asked about"}]}
COLOURS = 256
SHOWN = 0.75


@contextmanager
def browser_page(width: int, height: int) -> Iterator[Any]:
    """An empty page in the system's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": width, "height": height})
        yield page
        browser.close()


def save(shot: bytes, name: str) -> None:
    """A screenshot, smaller and with few colours."""
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    size = round(image.width * SHOWN), round(image.height * SHOWN)
    smaller = image.resize(size, Image.Resampling.LANCZOS)
    smaller.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(FOLDER / name, optimize=True)


def viewer(folder: Path) -> None:
    """The viewer on an episode of the embedded model."""
    agent = Agent(Qwen2VL.from_pretrained(EMBEDDED), Processor.from_pretrained(EMBEDDED))
    env = make_env("virtual-phone", seed=SEED)
    agent.run(env, TASK, out=folder / "one", seed=SEED)
    env.close()
    file = folder / "page.html"
    file.write_text(whole_page({"one": folder / "one"}), "utf-8")
    with browser_page(1180, 800) as page:
        page.goto(file.as_uri())
        page.wait_for_selector("body[data-shown]")
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(500)
        save(page.screenshot(), "viewer.png")


def live_page(folder: Path) -> None:
    """The live page while it asks about the second touch."""
    env = make_env("virtual-phone", seed=SEED)
    plan = EpisodePlan(out=folder / "two", task=TASK, seed=SEED, rules=rules_from(ASK))
    with serving_live_page() as (live, url), browser_page(1180, 800) as page:
        given = {"watcher": live, "person": live.controls}
        episode = threading.Thread(target=run_episode, args=(env, scripted_policy("oracle"), plan), kwargs=given)
        episode.start()
        page.goto(url)
        page.wait_for_selector("#question:not([hidden])")
        page.keyboard.press("a")
        page.wait_for_selector("#steps li")
        page.wait_for_selector("#question:not([hidden])")
        page.wait_for_timeout(500)
        save(page.screenshot(), "live-page.png")
        page.keyboard.press("s")
        episode.join()
    env.close()


def main() -> None:
    """Both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        viewer(Path(folder))
        live_page(Path(folder))


if __name__ == "__main__":
    main()
