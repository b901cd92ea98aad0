"""What the solutions of the full edition's tasks share: drags, waits, and the way to a page."""

from collections.abc import Sequence

from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Screen
from qwen2vl_agent.envs.virtual_phone.full.prompts import is_online
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import scale_of
from qwen2vl_agent.schema.actions import Swipe, Wait
from qwen2vl_agent.schema.geometry import Frame, Point

WAIT_S = 2.0


def drag(screen: Screen, start: tuple[int, int], end: tuple[float, float], thought: str) -> Decision:
    """Move a finger from a pixel to another; beside the screen it stops at its edge."""
    frame = Frame("device", *screen.size)
    width, height = screen.size
    x, y = min(max(round(end[0]), 1), width - 2), min(max(round(end[1]), 1), height - 2)
    return Decision(thought, Swipe(start=Point(*start, frame), end=Point(x, y, frame)))


def dp(screen: Screen, distance: float) -> float:
    """A distance in dp as one in pixels."""
    return distance * scale_of(screen.size)


def wait() -> Decision:
    """Let a page load."""
    return Decision("The page is loading: wait.", Wait(seconds=WAIT_S))


def on_page(hand: Hand, app: str, pages: Sequence[tuple[str, str]], dialog: str = "") -> Decision | None:
    """The way to one of some pages (name and what it is about) of an app; None when it is in front.

    `dialog` is the one that may be open on it.
    """
    way = hand.in_app(app)
    if way:
        return way
    page = hand.page
    if (page.name, page.arg) not in pages or (page.dialog and page.dialog != dialog):
        return hand.back()
    return None


def get_online(hand: Hand) -> Decision | None:
    """What makes the phone reach the internet, through the quick settings; None where it does."""
    if is_online(hand.state) or not hand.state.screen_on:
        return None
    if not hand.state.shade_open:
        return hand.pull_shade()
    airplane = hand.state.settings.get("network.airplane_mode")
    return hand.press("shade:network.airplane_mode" if airplane else "shade:wifi.enabled")


def make_online(state: PhoneState) -> None:
    """See that a phone reaches the internet when its task begins."""
    state.settings |= {"network.airplane_mode": False, "wifi.enabled": True}
