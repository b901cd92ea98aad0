"""Letters and icons of a screen as they were painted: what can be read, where, and nothing that is covered."""

from itertools import islice

from PIL import Image

from qwen2vl_agent.envs.tasks.explore import random_pages
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Mark, Rect


def canvas() -> Canvas:
    return Canvas(Image.new("RGB", (360, 200), "white"), 1.0, mark=True)


def test_letters_stand_where_their_ink_is():
    painted = canvas()
    painted.text(20, 100, "I l", 40, (0, 0, 0))
    assert [mark.name for mark in painted.marks] == ["I", "l"]
    dark = [(x, y) for x in range(360) for y in range(200) if painted.image.getpixel((x, y))[0] < 128]
    for mark in painted.marks:
        assert any(abs(x - mark.x) <= 2 for x, _ in dark)
    assert {mark.y for mark in painted.marks} == {100.0}


def test_what_is_painted_over_cannot_be_read():
    painted = canvas()
    painted.text(20, 50, "gone", 20, (0, 0, 0))
    painted.icon(200, 50, "wifi", 24, (0, 0, 0))
    painted.text(20, 150, "kept", 20, (0, 0, 0))
    painted.round(Rect(0, 0, 360, 100), 8, (255, 255, 255))
    assert "".join(mark.name for mark in painted.marks) == "kept"
    painted.icon(200, 50, "wifi", 24, (0, 0, 0))
    assert painted.marks[-1] == Mark("icon:wifi", 200, 50)


def test_nothing_is_remembered_unless_asked():
    silent = Canvas(Image.new("RGB", (360, 200)), 1.0)
    silent.text(20, 50, "text", 20, (255, 255, 255))
    assert silent.marks is None


def test_the_rows_of_screens_are_spelled_by_the_marks_within_them():
    spelled = 0
    for page in islice(random_pages(5, (540, 1200)), 40):
        for element in page.elements:
            if element.role != "row" or "…" in element.text:
                continue
            left, top, right, bottom = element.bounds
            within = "".join(m.name for m in page.marks if left <= m.x < right and top <= m.y < bottom)
            spelled += element.text.replace(" ", "") in within
    assert spelled > 40
