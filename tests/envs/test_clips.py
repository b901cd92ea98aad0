"""Clips at a steady rate that end with the present screen, out of frames that come late, twice, in bursts or not."""

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qwen2vl_agent.envs.clips import MOST_FRAMES, MOST_PIXELS, Shot, make_clip, shrunk_size, stepped_clip


def shade(level: int, size: tuple[int, int] = (40, 20)) -> Image.Image:
    return Image.new("RGB", size, (level, 0, 0))


def shades(clip) -> list[int]:
    return [frame.getpixel((0, 0))[0] for frame in clip.frames]


def test_a_clip_shows_what_was_there_before_and_ends_with_now() -> None:
    shots = [Shot(shade(1), 9.0), Shot(shade(2), 10.3), Shot(shade(3), 10.35), Shot(shade(4), 11.2)]
    clip = make_clip(shots, start=10.0, end=11.2)  # ticks 9.7, 10.2, 10.7, 11.2
    assert shades(clip) == [1, 1, 3, 4]
    assert clip.taken_s == (-2.2, -2.2, -0.85, 0.0)
    assert clip.dropped == 1
    assert clip.fps == 2.0


def test_a_frame_that_is_handed_over_late_stands_where_it_was_taken() -> None:
    late = make_clip([Shot(shade(1), 0.0), Shot(shade(3), 1.0), Shot(shade(2), 0.5)], 0.0, 1.0)
    assert shades(late) == [1, 2, 3]


def test_of_a_turned_screen_only_what_came_after_is_shown() -> None:
    clip = make_clip([Shot(shade(1, (20, 40)), 0.0), Shot(shade(2), 0.6), Shot(shade(3), 1.0)], 0.0, 1.0)
    assert shades(clip) == [3]  # the tick at 0.5 still showed the upright screen


@given(
    st.lists(st.floats(0, 60), min_size=1, max_size=30),
    st.floats(0, 60),
    st.floats(0, 30),
)
@settings(max_examples=200, deadline=None)
def test_a_clip_is_bounded_and_goes_forward_whatever_the_frames(times, start, length) -> None:
    end = start + length
    clip = make_clip([Shot(shade(0), time_s) for time_s in [*times, end]], start, end)
    assert 2 <= len(clip.frames) <= MOST_FRAMES
    assert list(clip.taken_s) == sorted(clip.taken_s)
    assert clip.taken_s[-1] == 0.0


def test_steps_of_an_environment_are_thinned_out_evenly_and_the_last_is_kept() -> None:
    clip = stepped_clip([shade(level) for level in range(40)], fps=30.0)
    assert shades(clip) == list(range(0, 40, 3))
    assert clip.fps == 10.0
    assert clip.taken_s[0] == -1.3
    assert shades(stepped_clip([shade(1), shade(2)], fps=30.0)) == [1, 2]


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_a_frame_is_made_no_larger_and_no_larger_than_a_model_sees(width, height) -> None:
    small = shrunk_size(width, height)
    assert small[0] <= width
    assert small[1] <= height
    assert small[0] * small[1] <= MOST_PIXELS or min(small) == 1
