"""How soon after its last change a screen counts as settled, on a clock of the test's own."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qwen2vl_agent.envs import settling

SLACK_S = 0.05
LIMIT_S = 10.0


class Moving:
    """A screen that changes at given moments, and takes a while to be captured."""

    still = False

    def __init__(self, changes: list[float], capture_s: float) -> None:
        self.now = 0.0
        self._changes, self._capture_s = changes, capture_s

    def screenshot(self) -> Image.Image:
        """What it shows at the beginning of the capture."""
        shade = 40 + 30 * (sum(change <= self.now for change in self._changes) % 7)
        self.now += self._capture_s
        return Image.new("RGB", (64, 64), (shade, shade, shade))

    def sleep(self, seconds: float) -> None:
        self.now += seconds


moments = st.lists(st.floats(0.0, 0.14), min_size=1, max_size=20)


@settings(deadline=None)
@given(moments, st.floats(0.001, 0.35))
def test_it_is_settled_within_two_captures_of_its_last_change(pauses: list[float], capture_s: float) -> None:
    """Changes come faster than looks, as in an animation. A capture shows what was there when it began."""
    changes = [sum(pauses[: index + 1]) for index in range(len(pauses))]
    device, interval_s = Moving(changes, capture_s), 0.15
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling, "time", SimpleNamespace(perf_counter=lambda: device.now, sleep=device.sleep))
        settling.look(device, interval_s=interval_s, limit_s=LIMIT_S, may_settle=True)
    assert device.now <= changes[-1] + 2 * (interval_s + capture_s) + SLACK_S


def test_a_screen_that_never_rests_is_waited_for_no_longer_than_its_limit() -> None:
    device = Moving([0.07 * number for number in range(1000)], 0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling, "time", SimpleNamespace(perf_counter=lambda: device.now, sleep=device.sleep))
        settling.look(device, interval_s=0.15, limit_s=3.0, may_settle=True)
    assert 3.0 < device.now <= 3.0 + 0.15 + 0.05
