"""Frames out of a raw H.264 byte stream, each as soon as its last byte is there."""

from typing import Any

from PIL import Image

START_CODES = (b"\0\0\1", b"\0\0\0\1")
DELIMITER = b"\0\0\0\1\x09\xf0"
"""An access unit delimiter. Source: ITU-T H.264, §7.3.2.4."""


class BrokenStream(Exception):
    """The bytes cannot be decoded on from here; begin again at a key frame."""


class FrameDecoder:
    """Decodes a stream without delay.

    A frame's end only shows when the next begins, and a screen that stands still sends no next one. `end_unit`, called
    when nothing came for a while, says that the frame is whole. If it was not, the next bytes do not begin one: then
    `BrokenStream` is raised, and the frame shown meanwhile was damaged.
    """

    def __init__(self) -> None:
        import av
        from av.codec.context import Flags

        self._codec: Any = av.CodecContext.create("h264", "r")
        self._codec.thread_count = 1  # threads would hold frames back
        self._codec.flags |= Flags.low_delay
        self._ended = True
        self.pending = False
        """Whether bytes came since the last `end_unit`."""

    def feed(self, data: bytes) -> list[Any]:
        """The frames (`av.VideoFrame`) that are whole now.

        Raises:
            BrokenStream: a frame was ended too early, or the bytes are no video.
        """
        if self._ended and not data.startswith(START_CODES):
            raise BrokenStream("a frame went on after a pause")
        self._ended, self.pending = False, True
        return self._decode(data)

    def end_unit(self) -> list[Any]:
        """The frame that ends here, if one does.

        Raises:
            BrokenStream: its bytes are no video.
        """
        self._ended, self.pending = True, False
        return self._decode(DELIMITER)

    def _decode(self, data: bytes) -> list[Any]:
        import av

        try:
            packets = self._codec.parse(data)
            frames = [frame for packet in packets for frame in self._codec.decode(packet)]
        except av.FFmpegError as error:
            raise BrokenStream(str(error)) from None
        if any(frame.is_corrupt for frame in frames):
            raise BrokenStream("a damaged frame")
        return frames


def to_rgb(frame: Any) -> Image.Image:
    """A decoded frame as a picture in RGB."""
    image: Image.Image = frame.to_image()
    return image
