"""What is watched between two looks: by a simulated clock, from a source that is late, repeats itself, and fails."""

import threading
import time

import pytest
from PIL import Image

from qwen2vl_agent.envs.clips import MOST_FRAMES, Shot
from qwen2vl_agent.envs.register import make_env, screen_env
from qwen2vl_agent.envs.secrets import SecretFiller, Secrets
from qwen2vl_agent.envs.watching import SampledFilm, Watched
from qwen2vl_agent.envs.wrappers import GREY, GreyScreens
from qwen2vl_agent.schema.actions import Wait
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import Frame


class Moving:
    """A device whose screen tells the time in tenths of a second, by a clock that its pictures and actions move."""

    name, still, timed = "moving", False, True
    frame = Frame("device", 56, 112)

    def __init__(self, capture_s: float = 0.0, fails: frozenset[int] = frozenset()) -> None:
        self.now, self.pictures = 100.0, 0
        self._capture_s, self._fails = capture_s, fails
        self.busy = threading.Lock()

    def clock(self) -> float:
        return self.now

    def screenshot(self) -> Image.Image:
        assert self.busy.acquire(blocking=False), "two things were asked of the device at once"
        try:
            self.pictures += 1
            if self.pictures in self._fails:
                raise DeviceLost("no picture")
            return Image.new("RGB", (56, 112), (round((self.now - 100) * 10), 0, 0))
        finally:
            self.now += self._capture_s
            self.busy.release()

    def perform(self, action) -> dict[str, str]:
        assert self.busy.acquire(blocking=False), "two things were asked of the device at once"
        time.sleep(0.02)
        self.busy.release()
        return {"action": "wait"}

    def elements(self):
        return []

    def close(self) -> None:
        self.closed = True


class Kept:
    """A film whose frames a test has put there."""

    def __init__(self, device: Moving) -> None:
        self.shots, self._device = [], device

    def frames(self, since):
        return self.shots

    def close(self) -> None:
        pass


def filmed(observe: str, **options):
    device = Moving(**options)
    film = Kept(device)
    device.film = lambda: film
    watched = Watched(device, observe, clock=device.clock)
    watched.begin()
    return device, film, watched


def tenths(clip) -> list[int]:
    return [frame.getpixel((0, 0))[0] for frame in clip.frames]


def see(device, film, watched, seconds: float = 0.0) -> None:
    """Time passes, and a frame comes every quarter of it."""
    for _ in range(round(seconds * 4)):
        device.now += 0.25
        film.shots.append(Shot(Image.new("RGB", (56, 112), (round((device.now - 100) * 10), 0, 0)), device.now))


def test_a_clip_is_of_the_last_action_only_and_the_first_look_has_none() -> None:
    device, film, watched = filmed("clip")
    see(device, film, watched, 3.0)
    assert watched.clip(watched.screenshot()) is None
    see(device, film, watched, 5.0)  # the model thinks
    watched.perform(Wait(seconds=1))
    see(device, film, watched, 1.0)
    clip = watched.clip(watched.screenshot())
    assert tenths(clip) == [80, 85, 90]
    assert not clip.alone
    assert watched.clip(watched.screenshot()) is None  # nothing was done since


def test_a_video_goes_on_where_the_last_one_ended_and_is_bounded() -> None:
    device, film, watched = filmed("video")
    see(device, film, watched, 1.0)
    assert tenths(watched.clip(watched.screenshot())) == [2, 5, 10]
    see(device, film, watched, 1.5)
    clip = watched.clip(watched.screenshot())
    assert tenths(clip) == [10, 15, 20, 25]
    assert clip.alone
    see(device, film, watched, 20.0)
    long = watched.clip(watched.screenshot())
    assert len(long.frames) == MOST_FRAMES
    assert long.taken_s[0] == -7.5


def test_a_still_device_without_a_clock_shows_before_and_after() -> None:
    device = Moving()
    device.still, device.timed = True, False
    watched = Watched(device, "clip", clock=device.clock)
    watched.begin()
    first = watched.screenshot()
    assert watched.clip(first) is None
    watched.perform(Wait(seconds=1))
    device.now += 3.0
    clip = watched.clip(watched.screenshot())
    assert tenths(clip) == [0, 30]
    assert clip.taken_s == (-0.5, 0.0)


def test_pictures_that_fail_are_left_out_and_a_device_that_stays_away_is_told() -> None:
    device = Moving(capture_s=0.25, fails=frozenset({2, 3}))
    film = SampledFilm(device.screenshot, spacing_s=0.0, clock=device.clock)
    deadline = time.monotonic() + 10
    while device.pictures < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [shot.image.getpixel((0, 0))[0] for shot in film.frames(0.0)][:3] == [0, 8, 10]  # late, and where asked for
    film.close()

    gone = SampledFilm(Moving(fails=frozenset(range(10_000))).screenshot, spacing_s=0.0)
    while time.monotonic() < deadline:
        try:
            gone.frames(0.0)
        except DeviceLost:
            break
        time.sleep(0.01)
    with pytest.raises(DeviceLost, match="no picture"):
        gone.frames(0.0)
    gone.close()


def test_a_device_is_never_asked_two_things_at_once() -> None:
    watched = Watched(Moving(), "video")
    watched.begin()
    for _ in range(20):
        watched.perform(Wait(seconds=1))
        watched.screenshot()
    assert watched.clip(watched.screenshot()) is not None
    watched.close()


def test_a_films_own_video_never_shows_what_is_grey_or_painted_over() -> None:
    device = Moving()
    device.film = lambda: Kept(device)
    assert GreyScreens(device).film() is None
    filler = SecretFiller(device, Secrets())
    film = filler.film()
    film._film.shots.append("a frame")
    assert film.frames(0.0) == ["a frame"]
    filler._used["bank"] = "value"
    assert film.frames(0.0) == []


@pytest.mark.parametrize("observe", ["video", "clip"])
def test_an_environment_of_screens_shows_videos_when_asked_and_repeats_to_the_bit(observe) -> None:
    def played():
        env = make_env("virtual-phone", seed=3, size=(270, 600), task="settings.toggle", observe=observe)
        env.reset(seed=3)
        seen = [env.observation]
        for _ in range(2):
            env.step(env.oracle().action)
            seen.append(env.observation)
        env.close()
        return seen

    one, two = played(), played()
    assert (one[0].clip is None) == (observe == "clip")
    assert [frame.tobytes() for frame in one[1].clip.frames] == [one[0].image.tobytes(), one[1].image.tobytes()]
    assert [item.clip and [f.tobytes() for f in item.clip.frames] for item in one] == [
        item.clip and [f.tobytes() for f in item.clip.frames] for item in two
    ]
    assert one[1].clip.taken_s == two[1].clip.taken_s


def test_a_grey_environment_has_grey_clips_and_a_wrong_word_is_refused() -> None:
    env = make_env("virtual-phone", seed=3, size=(270, 600), observe="video", blind=True)
    env.reset(seed=3)
    assert {colour for frame in env.observation.clip.frames for _, colour in frame.getcolors()} == {GREY}
    env.close()
    with pytest.raises(ConfigError, match="observe is 'film'"):
        screen_env(Moving(), observe="film")
