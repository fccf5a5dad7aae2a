"""A picture as SVG: small, in the colours of the page around it, light or dark."""

from __future__ import annotations

from html import escape

from .pictures import Mark, Picture

WIDTH, HEIGHT = 360, 280
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 10, 40
CROSS = 3


def svg_of(picture: Picture, identity: str) -> str:
    """The picture as an element; `identity` is unique on the page."""
    frame = Frame(picture)
    parts = [
        f'<svg class="picture {picture.name}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-labelledby="{identity}"><title id="{identity}">{escape(picture.alt)}</title>'
    ]
    parts += [frame.draw(mark) for mark in picture.marks if mark.kind == "band"]
    parts.append(frame.axes())
    parts += [frame.draw(mark) for mark in picture.marks if mark.kind != "band"]
    return "".join([*parts, "</svg>"])


class Frame:
    """From the coordinates of a picture to those of its SVG."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.left, self.right = float(LEFT), float(WIDTH - RIGHT)
        self.top, self.bottom = float(TOP), float(HEIGHT - BOTTOM)
        if picture.square:
            spare = (self.right - self.left - (self.bottom - self.top)) / 2
            self.left, self.right = self.left + spare, self.right - spare

    def at(self, x: float, y: float) -> tuple[float, float]:
        (x0, x1), (y0, y1) = self.picture.x, self.picture.y
        across, up = (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)
        return (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )

    def axes(self) -> str:
        """Grid, frame, ticks and labels."""
        p, grid, texts = self.picture, [], []
        for value, text in p.x_ticks:
            x, _ = self.at(value, p.y[0])
            grid.append(f"M{x:.1f} {self.top:.1f}V{self.bottom:.1f}")
            texts.append(_text(x, self.bottom + 14, text, "middle"))
        for value, text in p.y_ticks:
            _, y = self.at(p.x[0], value)
            grid.append(f"M{self.left:.1f} {y:.1f}H{self.right:.1f}")
            texts.append(_text(self.left - 6, y + 4, text, "end"))
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        side = self.left - 42
        texts.append(_text(x, HEIGHT - 8, p.x_label, "middle"))
        texts.append(
            f'<text transform="translate({side:.1f} {y:.1f}) rotate(-90)"'
            f' text-anchor="middle">{escape(p.y_label)}</text>'
        )
        frame = f"M{self.left:.1f} {self.top:.1f}V{self.bottom:.1f}H{self.right:.1f}"
        return (
            f'<path class="grid" d="{"".join(grid)}"/><path class="frame" d="{frame}"/>'
            f'<g class="labels">{"".join(texts)}</g>'
        )

    def draw(self, mark: Mark) -> str:
        points = [self.at(x, y) for x, y in mark.points]
        if mark.kind == "band":
            (x0, y0), (x1, y1) = points
            box = f"M{x0:.1f} {y0:.1f}H{x1:.1f}V{y1:.1f}H{x0:.1f}z"
            return f'<path class="band {mark.role}" d="{box}"/>'
        if mark.kind == "line":
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            return f'<path class="line {mark.role}" d="M{path}"/>'
        if mark.kind == "crosses":
            c = f"l{2 * CROSS} {2 * CROSS}m-{2 * CROSS} 0l{2 * CROSS}-{2 * CROSS}"
            path = "".join(f"M{x - CROSS:.1f} {y - CROSS:.1f}{c}" for x, y in points)
        else:  # a line of no length with round ends is a dot
            path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
        return f'<path class="{mark.kind} {mark.role}" d="{path}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
