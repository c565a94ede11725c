#!/usr/bin/env python3
"""Draws the figures of docs/book that are drawings, as SVG. Needs nothing but Python.

    tools/figures.py tape > docs/book/src/figures/tape.svg
    tools/figures.py times trace.jsonl > docs/book/src/figures/times.svg

Every number in a figure is computed here, by other means than the program's where there are any: the gradients of
`tape` are finite differences, bf16 is rounded with fractions.
"""

import json
import math
import statistics
import struct
import sys
from fractions import Fraction

INK, GREY, LIGHT, BLUE, RED, GREEN = "#222", "#888", "#ddd", "#1f5fa8", "#b5361c", "#2a7a3f"


class Drawing:
    """SVG on white, so that it can be read on a dark page, too."""

    def __init__(self, width, height, title):
        self.size, self.title, self.parts = (width, height), title, []

    def line(self, x1, y1, x2, y2, color=GREY, width=1.0, dash=None, arrow=False):
        more = f' stroke-dasharray="{dash}"' if dash else ""
        more += ' marker-end="url(#arrow)"' if arrow else ""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" stroke-width="{width}"{more}/>'
        )

    def path(self, points, color, width=1.6, dash=None):
        more = f' stroke-dasharray="{dash}"' if dash else ""
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}"{more}/>')

    def dot(self, x, y, color, radius=3.5):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{color}"/>')

    def box(self, x, y, width, height, fill="#fff", color=GREY):
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}" stroke="{color}"/>'
        )

    def text(self, x, y, text, color=INK, size=13, anchor="middle", bold=False):
        weight = ' font-weight="bold"' if bold else ""
        text = text.replace("&", "&amp;").replace("<", "&lt;")
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" font-size="{size}" text-anchor="{anchor}"{weight}>{text}</text>'
        )

    def __str__(self):
        width, height = self.size
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            f' font-family="sans-serif" role="img">\n<title>{self.title}</title>\n'
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            f' orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="{GREY}"/></marker></defs>\n'
            f'<rect width="{width}" height="{height}" fill="#fff"/>\n'
        )
        return head + "\n".join(self.parts) + "\n</svg>\n"


class Axes:
    """From numbers to places in a drawing."""

    def __init__(self, drawing, box, xs, ys):
        self.drawing, self.box, self.xs, self.ys = drawing, box, xs, ys

    def at(self, x, y):
        left, top, width, height = self.box
        (x0, x1), (y0, y1) = self.xs, self.ys
        return left + (x - x0) / (x1 - x0) * width, top + height - (y - y0) / (y1 - y0) * height

    def frame(self, xticks, yticks, name=str):
        left, top, width, height = self.box
        for x in xticks:
            px, _ = self.at(x, self.ys[0])
            self.drawing.line(px, top, px, top + height, LIGHT)
            self.drawing.text(px, top + height + 16, name(x), GREY, 11)
        for y in yticks:
            _, py = self.at(self.xs[0], y)
            self.drawing.line(left, py, left + width, py, LIGHT)
            self.drawing.text(left - 6, py + 4, name(y), GREY, 11, "end")

    def curve(self, function, color, steps=200, **more):
        (x0, x1) = self.xs
        xs = [x0 + (x1 - x0) * i / steps for i in range(steps + 1)]
        self.drawing.path([self.at(x, function(x)) for x in xs], color, **more)


def number(x):
    """As short as it is exact."""
    text = f"{x:g}"
    return text.replace("-", "−")


def tape():
    """The five nodes of examples/01_tape_by_hand.rs. A node's gradient: what moving its value a little does to f."""
    x, y = 2.0, -3.0

    def f(moved, by):
        values = []
        for name in range(5):
            value = [
                lambda: x,
                lambda: y,
                lambda: values[0] * values[1],
                lambda: values[2] + values[0],
                lambda: values[3] * values[3],
            ][name]()
            values.append(value + (by if name == moved else 0.0))
        return values

    values = f(None, 0.0)
    step = 2.0**-10
    slopes = [(f(node, step)[4] - f(node, -step)[4]) / (2 * step) for node in range(5)]
    d = Drawing(700, 250, "A tape of five nodes, with values and gradients")
    places = [(60, 70), (60, 190), (230, 130), (410, 100), (600, 100)]
    names = ["x", "y", "p = x·y", "s = p + x", "f = s·s"]
    arrows = [(0, 2), (1, 2), (2, 3), (0, 3), (3, 4)]
    for a, b in arrows:
        (x1, y1), (x2, y2) = places[a], places[b]
        d.line(x1 + 44, y1 + (10 if a == 0 and b == 2 else -4 if a == 0 else 0), x2 - 58, y2, GREY, 1.4, arrow=True)
    d.line(410 + 44, 106, 600 - 58, 106, GREY, 1.4, arrow=True)
    for place, name, value, slope in zip(places, names, values, slopes):
        px, py = place
        d.box(px - 55, py - 30, 110, 60, "#f6f6f6")
        d.text(px, py - 12, name, bold=True)
        d.text(px, py + 6, f"value {number(value)}", BLUE)
        d.text(px, py + 22, f"gradient {number(round(slope, 6))}", RED)
    d.text(350, 232, "values are computed from left to right, gradients from right to left", GREY)
    return d


def im2col():
    """The picture of examples/02_convolution.rs, two of its patches, and their rows."""
    x = [[0, 0, 1, 1]] * 4
    w = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    d = Drawing(760, 300, "A convolution as a matrix product: a row for each pixel, the nine numbers it sees")
    cell = 26

    def value(i, j):
        return x[i][j] if 0 <= i < 4 and 0 <= j < 4 else 0

    left, top = 20, 60
    d.text(left + 3 * cell, 30, "picture, zeros around it", GREY)
    for i in range(-1, 5):
        for j in range(-1, 5):
            inside = 0 <= i < 4 and 0 <= j < 4
            px, py = left + (j + 1) * cell, top + (i + 1) * cell
            d.box(px, py, cell, cell, "#fff" if inside else "#f0f0f0", LIGHT)
            d.text(px + cell / 2, py + 18, str(value(i, j)), INK if inside else GREY, 12)
    pixels = [((1, 1), BLUE), ((2, 2), RED)]
    for (i, j), color in pixels:
        d.parts.append(
            f'<rect x="{left + j * cell}" y="{top + i * cell}" width="{3 * cell}" height="{3 * cell}"'
            f' fill="none" stroke="{color}" stroke-width="2"/>'
        )
    left, rows = 240, [(1, 0), (1, 1), (1, 2), (2, 1), (2, 2)]
    d.text(left + 4.5 * cell, 30, "patches: 16 × 9", GREY)
    results = []
    for index, (i, j) in enumerate(rows):
        color = dict(pixels).get((i, j), INK)
        patch = [value(i + u - 1, j + v - 1) for u in range(3) for v in range(3)]
        py = top + index * cell + 10
        for k, number_ in enumerate(patch):
            d.box(left + k * cell, py, cell, cell, "#fff", LIGHT)
            d.text(left + (k + 0.5) * cell, py + 18, str(number_), color, 12)
        d.text(left - 6, py + 18, f"({i}, {j})", color, 11, "end")
        results.append((py, color, sum(a * b for a, b in zip(patch, [tap for row in w for tap in row]))))
    d.text(left + 4.5 * cell, top + 6 * cell + 6, "… and eleven more", GREY, 12)
    d.text(500, top + 90, "×", size=20)
    for k, tap in enumerate(tap for row in w for tap in row):
        d.box(525, top - 20 + k * cell, cell + 6, cell, "#fff", LIGHT)
        d.text(525 + cell / 2 + 3, top - 2 + k * cell, number(tap), size=12)
    d.text(540, 30, "filter: 9 × 1", GREY)
    d.text(590, top + 90, "=", size=20)
    d.text(650, 30, "outputs: 16 × 1", GREY)
    for py, color, result in results:
        d.box(630, py, cell + 14, cell, "#fff", LIGHT)
        d.text(630 + cell / 2 + 7, py + 18, number(result), color, 12)
    return d


def winograd():
    """(1 + 3t)(2 − t²), known by its values."""
    a, g = (lambda t: 1 + 3 * t), (lambda t: 2 - t * t)
    d = Drawing(700, 320, "A product of polynomials is known by its values at four points")
    axes = Axes(d, (50, 20, 460, 260), (-1.3, 1.3), (-4.5, 6))
    axes.frame([-1, 0, 1], [-4, -2, 0, 2, 4, 6], number)
    axes.curve(a, BLUE)
    axes.curve(g, GREEN)
    axes.curve(lambda t: a(t) * g(t), RED, width=2.2)
    for t in (-1, 0, 1):
        for function, color in ((a, BLUE), (g, GREEN), (lambda t: a(t) * g(t), RED)):
            d.dot(*axes.at(t, function(t)), color, 4)
    d.text(610, 60, "a(t) = 1 + 3t", BLUE)
    d.text(610, 82, "g(t) = 2 − t²", GREEN)
    d.text(610, 104, "a·g", RED)
    d.text(610, 140, "t: a · g = a·g", GREY, 12)
    for row, t in enumerate((-1, 0, 1)):
        d.text(610, 160 + 18 * row, f"{number(t)}:  {number(a(t))} · {number(g(t))} = {number(a(t) * g(t))}", size=12)
    d.text(610, 214, "∞:  3 · −1 = −3", size=12)
    d.text(610, 246, "four multiplications,", GREY, 12)
    d.text(610, 262, "four coefficients:", GREY, 12)
    d.text(610, 282, "2 + 6t − t² − 3t³", RED, 12)
    return d


def adam():
    """Down the bowl x² + 25y² in 70 steps, from (−1, 0.5): plain gradient descent, and Adam."""

    def gradient(p):
        return 2 * p[0], 50 * p[1]

    def descent(rate):
        p, way = (-1.0, 0.5), []
        for _ in range(70):
            way.append(p)
            p = tuple(x - rate * g for x, g in zip(p, gradient(p)))
        return way

    def adam_way(rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
        p, m, v, way = [-1.0, 0.5], [0.0, 0.0], [0.0, 0.0], []
        for t in range(1, 71):
            way.append(tuple(p))
            for k, g in enumerate(gradient(p)):
                m[k] = beta1 * m[k] + (1 - beta1) * g
                v[k] = beta2 * v[k] + (1 - beta2) * g * g
                p[k] -= rate * m[k] / (1 - beta1**t) / (math.sqrt(v[k] / (1 - beta2**t)) + epsilon)
        return way

    d = Drawing(700, 330, "Gradient descent and Adam on an elongated bowl")
    axes = Axes(d, (50, 20, 620, 250), (-1.15, 0.35), (-0.6, 0.6))
    axes.frame([-1, -0.5, 0], [-0.5, 0, 0.5], number)
    for level in (0.05, 0.25, 0.75, 1.75, 4, 7):
        points = []
        for k in range(121):
            angle = 2 * math.pi * k / 120
            points.append((math.sqrt(level) * math.cos(angle), math.sqrt(level / 25) * math.sin(angle)))
        inside = [p for p in points if -1.15 <= p[0] <= 0.35 and -0.6 <= p[1] <= 0.6]
        for one, other in zip(points, points[1:] + points[:1]):
            if one in inside and other in inside:
                d.path([axes.at(*one), axes.at(*other)], LIGHT, 1)
    for way, color in ((descent(0.035), BLUE), (adam_way(0.05), RED)):
        d.path([axes.at(*p) for p in way], color, 1.4)
        for p in way:
            d.dot(*axes.at(*p), color, 2.2)
    d.dot(*axes.at(0, 0), INK, 3)
    d.text(350, 303, "gradient descent, rate 0.035: the steep direction sets the rate, the flat one waits", BLUE, 12)
    d.text(350, 321, "Adam, rate 0.05: both directions move by about the rate; m carries past the bottom, and turns back", RED, 12)
    return d


def single(x):
    """The nearest f32."""
    return struct.unpack("f", struct.pack("f", x))[0]


def sums():
    """Four numbers in f32, added in three orders."""
    numbers = [2.0**24, 1.0, 1.0, -(2.0**24)]
    add = lambda a, b: single(a + b)
    a, b, c, e = numbers
    orders = [
        ("((a + b) + c) + d", [add(a, b), add(add(a, b), c), add(add(add(a, b), c), e)]),
        ("(a + b) + (c + d)", [add(a, b), add(c, e), add(add(a, b), add(c, e))]),
        ("(a + (b + c)) + d", [add(b, c), add(a, add(b, c)), add(add(a, add(b, c)), e)]),
    ]
    d = Drawing(700, 190, "The same four numbers in f32, added in three orders")
    d.text(350, 28, "a = 2²⁴ = 16 777 216,  b = 1,  c = 1,  d = −16 777 216", bold=True)
    for row, (order, steps) in enumerate(orders):
        y = 66 + row * 36
        d.text(40, y, order, BLUE, anchor="start")
        shown = "   →   ".join(f"{step:,.0f}".replace(",", " ").replace("-", "−") for step in steps[:-1])
        d.text(200, y, shown, GREY, anchor="start")
        d.text(600, y, f"= {steps[-1]:.0f}", RED, 16, bold=True)
    d.text(350, 176, "Exactly it is 2. An f32 holds 24 bits: 2²⁴ + 1 is not one of them, and becomes 2²⁴.", GREY, 12)
    return d


def bf16(x):
    """The nearest bf16 of a number between 2⁻¹²⁶ and 2¹²⁷, ties to even, by exact fractions."""
    exact = Fraction(x)
    if exact == 0:
        return 0.0
    exponent = math.frexp(abs(x))[1] - 8
    unit = Fraction(2) ** exponent
    return float(round(exact / unit) * unit)  # Python rounds ties to even.


def rounding():
    """What bf16 makes of the numbers from 1 to 1 + 1/16, and from 2 to 2 + 1/16."""
    d = Drawing(700, 300, "Rounding to bf16 near 1 and near 2")
    for left, start in ((60, 1.0), (400, 2.0)):
        end = start + 1 / 16
        axes = Axes(d, (left, 20, 270, 220), (start, end), (start, end))
        unit = 2.0**-7 * start
        ticks = [start + k * unit for k in range(int(1 / 16 / unit) + 1)]
        axes.frame([start, end], ticks, lambda x: f"{x:.4f}")
        axes.curve(lambda x: x, GREY, dash="4 3", width=1)
        for tick in ticks:
            # What lies up to half a step away on either side.
            near = [min(max(tick + part * unit / 2, start), end) for part in (-1, 1)]
            assert all(bf16(tick + part * unit / 2.01) == tick for part in (-1, 1) if tick > start or part > 0)
            d.path([axes.at(x, tick) for x in near], RED, 2)
        for tie in [t + unit / 2 for t in ticks[:-1]]:
            d.dot(*axes.at(tie, bf16(tie)), BLUE, 3)
    d.text(350, 275, "red: the bf16 that a number becomes; blue: halfway between two, to the even one", INK, 12)
    d.text(350, 293, "from 1 to 2 the steps are 1/128 wide, from 2 to 4 twice that", GREY, 12)
    return d


def times(trace):
    """Seconds of each iteration of a run, from its trace."""
    entries = [json.loads(line) for line in open(trace, encoding="utf-8")]
    # The last line measures the result, without a gradient, and takes less.
    ms = [1000 * entry["seconds"] for entry in entries if "iteration" in entry and not entry.get("final")]
    middle, mean, least = statistics.median(ms), statistics.fmean(ms), min(ms)
    top = max(ms)
    d = Drawing(700, 300, "How long the iterations of one run took")
    axes = Axes(d, (60, 20, 610, 220), (0, len(ms)), (0, top * 1.05))
    unit = 10 ** math.floor(math.log10(top))
    axes.frame(range(0, len(ms) + 1, 20), [unit * k for k in range(int(top / unit) + 1)], number)
    for k, value in enumerate(ms):
        d.dot(*axes.at(k + 0.5, value), BLUE, 2.5)
    for value, color in ((middle, GREEN), (mean, RED)):
        d.line(*axes.at(0, value), *axes.at(len(ms), value), color, 1.5)
    quartiles = statistics.quantiles(ms, n=4)
    d.text(350, 278, f"{len(ms)} iterations, milliseconds each: the same work, on a machine that others use, too", INK, 12)
    d.text(
        350,
        295,
        f"least {least:.0f}, median {middle:.0f} (green), mean {mean:.0f} (red), most {top:.0f};"
        f" half of them from {quartiles[0]:.0f} to {quartiles[2]:.0f}",
        GREY,
        12,
    )
    return d


FIGURES = {f.__name__: f for f in (tape, im2col, winograd, adam, sums, rounding, times)}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in FIGURES:
        sys.exit(f"usage: tools/figures.py {'|'.join(FIGURES)} [TRACE]")
    sys.stdout.write(str(FIGURES[sys.argv[1]](*sys.argv[2:])))
