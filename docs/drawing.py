"""A drawing of boxes, words and arrows as SVG text: the same input gives the same bytes."""

from html import escape

INK, QUIET = "#1f2933", "#52606d"
BLUE, GREEN, ORANGE, VIOLET, GREY = "#d6e4ff", "#d3f2e0", "#ffe6c7", "#e9dcff", "#eef1f4"
FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"


class Drawing:
    """Shapes by their place in pixels, the origin at the top left; `svg` is the whole picture."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._size, self._title = (width, height), title
        self._parts: list[str] = []

    def box(
        self, x: float, y: float, width: float, height: float, *lines: str, fill: str = GREY, size: int = 13
    ) -> None:
        """A box with its words in the middle, the first line in ink, the others quiet."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" fill="{fill}" stroke="{QUIET}"/>'
        )
        top = y + height / 2 - (len(lines) - 1) * size * 0.65
        for index, line in enumerate(lines):
            self.text(x + width / 2, top + index * size * 1.3, line, size if index == 0 else size - 2, "middle")

    def text(self, x: float, y: float, words: str, size: int = 13, anchor: str = "start", colour: str = INK) -> None:
        """Words whose middle line is at y."""
        self._parts.append(
            f'<text x="{x:g}" y="{y + size * 0.35:g}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">'
            f"{escape(words, quote=False)}</text>"
        )

    def arrow(self, *points: tuple[float, float]) -> None:
        """A line through the points, with a head at the last."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{INK}" stroke-width="1.4" marker-end="url(#head)"/>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = QUIET) -> None:
        """A thin line."""
        self._parts.append(f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}"/>')

    @property
    def svg(self) -> str:
        """The picture."""
        width, height = self._size
        head = (
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{INK}"/></marker></defs>'
        )
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
                f'font-family="{FONT}">',
                f"<title>{escape(self._title, quote=False)}</title>",
                head,
                f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
                *self._parts,
                "</svg>\n",
            ]
        )
