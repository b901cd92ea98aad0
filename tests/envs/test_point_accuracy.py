"""Where a model's point lands: within half a cell of its grid, over sizes, rotations, overrides, conventions."""

import random
from dataclasses import dataclass
from fractions import Fraction

from qwen2vl_agent.envs.android import AndroidDevice
from qwen2vl_agent.schema.actions import Tap
from qwen2vl_agent.schema.geometry import MODEL_FRAME, Frame, Point, smart_resize

CASES = 10_000
SIZES = ((1080, 2400), (1440, 3120), (720, 1600), (1080, 1920), (1600, 2560), (2208, 1840), (480, 800), (1812, 2176))


@dataclass
class Answering:
    """A phone that only tells its size and takes lines."""

    physical: tuple[int, int]
    override: tuple[int, int] | None
    rotation: int
    sent: str = ""

    def shell(self, line: str):
        if line.startswith("wm size"):
            text = "Physical size: {}x{}\n".format(*self.physical)
            if self.override:
                text += "Override size: {}x{}\n".format(*self.override)
            text += (
                "DisplayViewport{type=INTERNAL, valid=true, isActive=true, displayId=0, uniqueId='local:1', "
                f"physicalPort=0, orientation={self.rotation}, deviceWidth=1}}"
            )
        else:
            self.sent, text = line, ""
        return type("Result", (), {"text": text, "status": 0})


def make(phone: Answering) -> AndroidDevice:
    """An `AndroidDevice` on that phone, without an adb server."""
    device = object.__new__(AndroidDevice)
    device.serial, device.virtual = "answering", False
    device._shell = phone.shell  # type: ignore[method-assign]
    device._capture = type("Capture", (), {"acted": staticmethod(lambda: None)})()
    device.connection = type("Open", (), {"act": staticmethod(lambda send: send())})()
    device._frame = device._read_frame()
    return device


def test_ten_thousand_points_land_within_half_a_cell() -> None:
    chance = random.Random(5)
    for case in range(CASES):
        physical = chance.choice(SIZES)
        override = None
        if chance.random() < 0.4:
            scale = chance.uniform(0.4, 1.5)
            override = round(physical[0] * scale), round(physical[1] * scale)
        phone = Answering(physical, override, chance.randrange(4))
        device = make(phone)
        width, height = override or physical
        if phone.rotation % 2:
            width, height = height, width
        assert (device.frame.width, device.frame.height, device.frame.rotation) == (width, height, phone.rotation)
        convention = MODEL_FRAME
        if chance.random() < 0.5:
            resized = smart_resize(height, width, min_pixels=3136, max_pixels=chance.choice((200_704, 1_003_520)))
            convention = Frame("resized", resized[1], resized[0])
        point = Point(chance.randrange(convention.width), chance.randrange(convention.height), convention)
        done = device.perform(Tap(point=point))
        assert phone.sent == f"input tap {done['x']} {done['y']}"
        for cell, cells, pixel, pixels in (
            (point.x, convention.width, done["x"], width),
            (point.y, convention.height, done["y"], height),
        ):
            assert 0 <= pixel < pixels, case
            wanted, landed = Fraction(2 * cell + 1, 2 * cells), Fraction(2 * pixel + 1, 2 * pixels)
            half = max(Fraction(1, 2 * cells), Fraction(1, 2 * pixels))  # a pixel cannot be split
            assert abs(wanted - landed) <= half, case
