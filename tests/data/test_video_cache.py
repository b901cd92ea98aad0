"""A video is decoded once, into the frames that a full decode shows; nothing that goes wrong makes other frames."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from video_doubles import cut_film, number_of, turn_film, write_film

from qwen2vl_agent.data import video_cache
from qwen2vl_agent.data.frame_pack import Pack, write_pack
from qwen2vl_agent.data.video_cache import CachedVideos, VideoCache
from qwen2vl_agent.data.vision_store import StoredVideo, VisionStore
from qwen2vl_agent.model import video_file
from qwen2vl_agent.model.video_file import open_video, sample_times
from qwen2vl_agent.model.video_processor import VideoProcessor
from qwen2vl_agent.schema.errors import MediaError, RecordError

PROCESSOR = VideoProcessor(28 * 28, 8 * 12 * 28 * 28)
STEADY = [n / 30 for n in range(240)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", STEADY)


def numbers(path: Path, fps: float = 2.0) -> list[int]:
    return [number_of(frame) for frame in PROCESSOR.frames(path, fps)]


def full_decode(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("fps", [0.25, 0.5, 2, 7.5, 30])
def test_sampled_frames_are_those_of_a_full_decode_at_the_same_times(film: Path, fps: float) -> None:
    frames = full_decode(film)
    times = [frame.time for frame in frames]
    chosen = sample_times([*times, times[-1] + 1 / 30], fps)
    taken = list(open_video(film, fps).pictures())
    assert len(taken) == len(chosen) == max(1, round(8 * fps))
    for number, picture in zip(chosen, taken, strict=True):
        assert np.array_equal(np.asarray(picture), frames[number].to_ndarray(format="rgb24"))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "libvpx-vp9"])
@pytest.mark.parametrize("seek_frames", [1, 20, 10**6])
def test_leaping_to_key_frames_changes_nothing(tmp_path, monkeypatch, codec, seek_frames):
    name = "a.mkv" if codec == "libvpx-vp9" else "a.mp4"
    path = write_film(tmp_path / name, [n / 10 for n in range(200)], codec, g="12", bf="0" if "vp9" in codec else "2")
    monkeypatch.setattr(video_file, "SEEK_FRAMES", seek_frames)
    assert numbers(path, 0.2) == [0, 50, 100, 150]
    assert numbers(path, 0.55) == [round(n / 0.055 - 0.5) for n in range(11)]


def test_a_sparse_sampling_decodes_a_part_of_the_file_only(tmp_path, monkeypatch):
    path = write_film(tmp_path / "a.mp4", [n / 30 for n in range(600)], g="30")
    given = []
    frames = video_file._Decoder.frames
    monkeypatch.setattr(
        video_file._Decoder, "frames", lambda self: (given.append(1) or frame for frame in frames(self))
    )
    assert numbers(path, 0.2) == [0, 150, 300, 450]
    assert len(given) < 20


@pytest.mark.parametrize(
    ("name", "codec", "frames_ahead"),
    [("a.avi", "mpeg4", "2"), ("a.ts", "libx264", "2"), ("a.webm", "libvpx-vp9", "0"), ("a.flv", "flv1", "0")],
)
def test_containers_with_clocks_of_their_own_are_sampled_alike(tmp_path, name, codec, frames_ahead):
    path = write_film(tmp_path / name, STEADY[:120], codec, bf=frames_ahead)
    assert numbers(path) == [15 * n for n in range(8)]


def test_a_variable_rate_is_sampled_by_its_timestamps(tmp_path):
    times = [0.0, 0.1, 0.2, 1.9, 2.0, 2.04, 3.6, 3.7]
    path = write_film(tmp_path / "variable.mkv", times)
    assert numbers(path) == [0, 2, 2, 2, 4, 5, 5, 5]
    assert numbers(path, 10) == [sum(t <= n / 10 + 6e-4 for t in times) - 1 for n in range(38)]


def test_a_film_of_an_upright_phone_stands_upright(tmp_path):
    path = write_film(tmp_path / "phone.mp4", STEADY[:30])
    lying = next(open_video(path, 2).pictures())
    turn_film(path)
    upright = next(open_video(path, 2).pictures())
    assert upright.size == (lying.height, lying.width)
    assert np.array_equal(np.asarray(upright), np.rot90(np.asarray(lying), -1))  # the top is to the right now


def test_what_an_edit_list_cuts_away_is_not_seen(tmp_path):
    path = write_film(tmp_path / "cut.mp4", STEADY)
    assert numbers(path)[0] == 0
    cut_film(path, 1.5)
    with av.open(str(path)) as container:
        shown = [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert shown[0] == 45  # what a player shows first
    assert numbers(path) == [45 + 15 * n for n in range(13)]


def test_a_film_that_breaks_off_ends_where_it_breaks_off(tmp_path):
    path = write_film(tmp_path / "tail.mp4", STEADY, noise=True, faststart=True)
    whole = numbers(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    left = numbers(path)
    assert 6 <= len(left) <= 11
    assert left == whole[: len(left)]


def test_a_damaged_stretch_is_passed_over(tmp_path):
    path = write_film(tmp_path / "hole.mp4", STEADY, "mpeg4", noise=True, g="15")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + len(data) * 4 // 10
    data[start : start + 6000] = bytes(6000)
    path.write_bytes(data)
    seen = numbers(path)
    assert len(seen) == 16
    right = [n == 15 * place for place, n in enumerate(seen)]
    assert sum(right) >= 12
    assert right[0]
    assert right[-1]


def test_a_file_without_one_good_frame_is_told(tmp_path):
    path = write_film(tmp_path / "bad.mp4", STEADY[:30])
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"bad\.mp4 cannot be read"):
        numbers(path)


def test_cached_patches_are_those_of_the_file_and_a_second_epoch_opens_no_video(film, tmp_path, monkeypatch):
    cache = VideoCache(tmp_path)
    videos = CachedVideos(PROCESSOR, cache)
    for fps in (2.0, 3.7):
        expected, grid = PROCESSOR(film, fps)
        patches, got = videos(film, fps)
        assert got == grid
        assert torch.equal(patches, expected)
    assert cache.decoded == 2
    first = videos(film, 3.7)[0]
    monkeypatch.setattr(av, "open", lambda *args, **more: pytest.fail("a codec was opened"))
    other = VideoCache(tmp_path)
    assert torch.equal(CachedVideos(PROCESSOR, other)(str(film), 3.7)[0], first)
    assert other.decoded == 0


def test_a_video_is_known_by_its_content(film, tmp_path):
    cache = VideoCache(tmp_path / "cache")
    videos = CachedVideos(PROCESSOR, cache)
    expected = videos(film)[0]
    moved = tmp_path / "moved.mp4"
    moved.write_bytes(film.read_bytes())
    stored = StoredVideo(VisionStore(tmp_path), "moved.mp4")
    for same in (moved, film.read_bytes(), stored):
        assert torch.equal(videos(same)[0], expected)
    assert cache.decoded == 1
    write_film(moved, STEADY[30:90])
    assert not torch.equal(videos(moved)[0], expected)
    assert cache.decoded == 2
    smaller = VideoProcessor(28 * 28, 4 * 28 * 28)
    assert CachedVideos(smaller, cache)(film)[1] == smaller(film)[1]
    assert cache.decoded == 3


def _decode_at_once(folder: Path, film: Path, start, results) -> None:
    cache = VideoCache(folder)
    start.wait()
    patches, _ = CachedVideos(PROCESSOR, cache)(film)
    results.put((cache.decoded, float(patches.double().sum())))


@pytest.mark.multiprocess
def test_of_several_processes_one_decodes(film, tmp_path):
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(4), context.Queue()
    readers = [context.Process(target=_decode_at_once, args=(tmp_path, film, start, results)) for _ in range(4)]
    for reader in readers:
        reader.start()
    told = [results.get(timeout=500) for _ in readers]
    for reader in readers:
        reader.join()
    assert sum(decoded for decoded, _ in told) == 1
    assert len({total for _, total in told}) == 1


SLOW_DECODE = """
import sys, time
from pathlib import Path
from qwen2vl_agent.data.video_cache import VideoCache
from qwen2vl_agent.model.video_processor import VideoProcessor

class Slow(VideoProcessor):
    def frames(self, source, fps=2.0):
        for number, frame in enumerate(super().frames(source, fps)):
            print(number, flush=True)
            time.sleep(0.2)
            yield frame

VideoCache(sys.argv[1]).pack(Path(sys.argv[2]), 2.0, Slow(28 * 28, 8 * 12 * 28 * 28))
"""


@pytest.mark.parametrize("killed_at", [1, 5])
def test_a_process_killed_while_it_writes_leaves_nothing_that_is_read(film, tmp_path, killed_at):
    command = [sys.executable, "-c", SLOW_DECODE, str(tmp_path), str(film)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while int(process.stdout.readline()) < killed_at:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(list((tmp_path / "packs").glob("*.part"))) == 1
    cache = VideoCache(tmp_path)
    assert torch.equal(CachedVideos(PROCESSOR, cache)(film)[0], PROCESSOR(film)[0])
    assert cache.decoded == 1
    assert not list((tmp_path / "packs").glob("*.part"))


def test_drafts_of_killed_processes_are_cleared_away_but_not_those_at_work(film, tmp_path):
    cache = VideoCache(tmp_path)
    for key in ("aa-dead", "bb-at-work"):
        (tmp_path / "packs" / f"{key}.part").write_bytes(b"half")
    with video_cache._alone(tmp_path / "locks" / "bb"):
        cache.pack(film, 1.0, PROCESSOR)
        assert [path.name for path in (tmp_path / "packs").glob("*.part")] == ["bb-at-work.part"]


def test_the_longest_unused_go_first_and_open_packs_stay_readable(film, tmp_path):
    cache = VideoCache(tmp_path)
    held = cache.pack(film, 1.0, PROCESSOR)
    for fps in (2.0, 3.0):
        cache.pack(film, fps, PROCESSOR)
    time.sleep(0.02)
    cache.pack(film, 1.0, PROCESSOR)  # used again: now the youngest
    before = held.frames()
    small = VideoCache(tmp_path, max_bytes=cache.size() - 1)
    small.pack(film, 4.0, PROCESSOR)
    assert small.size() <= small.max_bytes
    small.pack(film, 1.0, PROCESSOR)
    assert small.decoded == 1  # that one was still there
    small.pack(film, 2.0, PROCESSOR)
    assert small.decoded == 2  # and this one not
    VideoCache(tmp_path, max_bytes=1).pack(film, 5.0, PROCESSOR)
    assert np.array_equal(held.frames(), before)


def test_a_damaged_pack_is_decoded_again(film, tmp_path):
    cache = VideoCache(tmp_path)
    videos = CachedVideos(PROCESSOR, cache)
    expected = videos(film)[0]
    (path,) = (tmp_path / "packs").glob("*.pack")
    good = path.read_bytes()
    for place in (3, len(good) // 3, len(good) // 2, len(good) - 100, len(good) - 12, len(good) - 1):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert torch.equal(videos(film)[0], expected)
        assert path.read_bytes() == good
    path.write_bytes(good[: len(good) // 2])
    assert torch.equal(videos(film)[0], expected)
    path.write_bytes(b"")
    assert torch.equal(videos(film)[0], expected)
    assert cache.decoded == 9


def test_packs_keep_every_pixel_and_drawings_take_little_room(tmp_path):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (56, 84, 3), dtype=np.uint8) for _ in range(3)]
    drawing = np.zeros((56, 84, 3), np.uint8)
    moved = drawing.copy()
    moved[10:20, 10:20] = 255
    frames = [noise[0], noise[0], noise[0].copy(), noise[1], drawing, moved, moved, noise[2]]
    write_pack(tmp_path / "a.pack", frames)
    assert np.array_equal(Pack(tmp_path / "a.pack").frames(), np.stack(frames))
    write_pack(tmp_path / "b.pack", [drawing, moved] * 20)
    assert np.array_equal(Pack(tmp_path / "b.pack").frames(), np.stack([drawing, moved] * 20))
    assert (tmp_path / "b.pack").stat().st_size < 0.05 * 40 * drawing.nbytes
    with pytest.raises(ValueError, match="at least one"):
        write_pack(tmp_path / "c.pack", [])
    with pytest.raises(RecordError):
        Pack(tmp_path / "c.pack")
