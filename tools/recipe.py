#!/usr/bin/env python3
"""The presets `fast`, `default` and `best` in PyTorch: an independent second opinion on whole pictures.

Why it exists: `reference.py` checks the numbers of one scale with the formulas of a
paper. What makes a good picture is everything around them: where the picture starts,
which variables move, how scales follow each other, how the result is finished. This
program shares no line with Impasto and does all of that, so that losses can be
compared scale by scale, pictures side by side, and times on the same work.
`make_recipe_fixtures.py` and `judge.py` are built on it.

  x is the picture; X (N pixels x C channels) are its features at a layer, with mean m and
  covariance S = Xc'Xc / N + eps I; mt and T are the same of the style picture

  content  mean (X - P)^2 at relu4_2, P the photograph's features
  style    sum_l w_l d_l at relu1_1, relu2_1, ... relu5_1; w is 256:64:16:4:1, divided by their sum
           wasserstein    d = mean (m - mt)^2 + tr(S + T - 2 (T^.5 S T^.5)^.5) / C
           gram-relative  d = sum D^2 / sum|D| with D = X'X / N - its target, sum|D| taken as constant
           covariance     d = mean (m - mt)^2 + sum D^2 / sum|D| with D = S - T
           mean-std       d = mean (m - mt)^2 + mean (s - st)^2, s and st the roots of the diagonals of S and T
  tv       squared differences between neighbours, also diagonal ones, see `total_variation`
  total    a content + style + g tv

minimised by Adam from small to large scales:

  start    the photograph, its colours moved to the style picture's mean and covariance
  canvas   what Adam moves: the pixels, or the levels of a Laplacian pyramid
  course   the learning rate falls along a cosine within each scale
  result   a running average of a scale's iterates
  detail   at each new scale, what it can show for the first time comes from the recoloured photograph
  calm     last: colours matched once more, and fine grain lowered to the amount the style picture has

Needs: torch, numpy, pillow, safetensors.

  tools/recipe.py content.jpg style.jpg -o out.png --preset default --bf16
  tools/recipe.py content.jpg style.jpg -o out.png --scales 128:30,181:20 --trace trace.jsonl

Losses in the trace and in the summary, a JSON object on standard output, are raw: not
multiplied by a and g. They are measured before their iteration's update.
"""

import argparse
import dataclasses
import json
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from bench_pytorch import peak_rss_mb
from reference import POOLINGS, WEIGHTS, Losses, features, load_weights, write_picture

STYLE_LAYERS = {"relu1_1": 256 / 341, "relu2_1": 64 / 341, "relu3_1": 16 / 341, "relu4_1": 4 / 341, "relu5_1": 1 / 341}

# Added to the diagonal of every covariance of features, and of colours.
FEATURE_EPSILON, COLOUR_EPSILON = 1e-4, 1e-5


@dataclass(frozen=True)
class Recipe:
    """Every number of a run. The values here are those of the preset `default`."""

    scales: tuple = ((128, 250), (181, 200), (256, 150), (362, 80), (512, 50))  # (longest side, iterations)
    statistic: str = "wasserstein"
    content_layer: str = "relu4_2"
    style_layers: dict = field(default_factory=lambda: dict(STYLE_LAYERS))
    content_weight: float = 0.02
    tv_weight: float = 2.0
    pooling: str = "max"
    border: str = "replicate"
    canvas: str = "pyramid"
    levels: int = 8  # of the pyramid, the coarsest one included
    init: str = "matched"
    learning_rate: float = 0.01
    betas: tuple = (0.9, 0.99)
    epsilon: float = 1e-8
    rate_end: float = 0.3  # the part of the learning rate left at a scale's end,
    rate_end_last: float = 0.05  # and at the last scale's
    carry_moments: bool = False  # Adam's, from scale to scale
    averaging: float = 0.95
    refresh: int = 2  # steps between new transport matrices (wasserstein)
    detail: float = 1.0
    calm: int = 2  # pyramid levels, from the finest; 0 leaves out the last matching of colours as well
    largest_gain: float = 5.0  # of the colour matching: grey photographs would ask for 20 and more
    seed: int = 0


PRESETS = {
    "fast": Recipe(
        scales=((128, 110), (181, 40), (256, 28), (362, 10), (512, 6)), content_weight=0.015, learning_rate=0.03,
        rate_end=0.5, rate_end_last=0.2, carry_moments=True, averaging=0.7,
    ),
    "default": Recipe(),
    "best": Recipe(scales=((128, 500), (181, 500), (256, 500), (362, 400), (512, 380))),
}


# --- Statistics of features --------------------------------------------------------


def spectral(matrix, function):
    """A symmetric matrix with nonnegative eigenvalues, each of them replaced by a function of itself.

    The decomposition is in double precision; the result has the matrix's own.
    """
    values, vectors = torch.linalg.eigh(matrix.double())
    return ((vectors * function(values.clamp(min=0))) @ vectors.T).to(matrix.dtype)


def rows(feature_map):
    """A map (1, C, H, W) as a matrix: a row for each pixel, a column for each channel."""
    return feature_map.permute(0, 2, 3, 1).reshape(-1, feature_map.shape[1])


def moments(feature_map):
    """Mean and covariance of a map's features."""
    x = rows(feature_map)
    mean = x.mean(0)
    centred = x - mean
    return mean, centred.T @ centred / len(x) + FEATURE_EPSILON * torch.eye(x.shape[1], dtype=x.dtype)


def relative(difference):
    """sum d^2 / sum|d|, the divisor taken as constant: a squared error that grows like an absolute one."""
    return difference.square().sum() / (difference.abs().sum().detach() + 1e-8)


class GramRelative:
    """Relative error of X'X / N, means included."""

    def __init__(self, style_map, refresh):
        self.target = self.gram(style_map)

    def __call__(self, feature_map):
        return relative(self.gram(feature_map) - self.target)

    @staticmethod
    def gram(feature_map):
        x = rows(feature_map)
        return x.T @ x / len(x)


class Covariance:
    """Squared error of the mean, relative error of the covariance."""

    def __init__(self, style_map, refresh):
        self.mean, self.covariance = moments(style_map)

    def __call__(self, feature_map):
        mean, covariance = moments(feature_map)
        return (mean - self.mean).square().mean() + relative(covariance - self.covariance)


class MeanStd:
    """Squared errors of means and of standard deviations: the Wasserstein distance of independent channels."""

    def __init__(self, style_map, refresh):
        self.mean, self.deviation = self.describe(style_map)

    def __call__(self, feature_map):
        mean, deviation = self.describe(feature_map)
        return (mean - self.mean).square().mean() + (deviation - self.deviation).square().mean()

    @staticmethod
    def describe(feature_map):
        x = rows(feature_map)
        return x.mean(0), (x.var(0, unbiased=False) + FEATURE_EPSILON).sqrt()


class Wasserstein:
    """Squared Wasserstein-2 distance between two normal distributions, divided by the number of channels.

    The gradient is written out, because it is cheap: moving the features by A, the matrix of
    the optimal transport from S to T, costs what the backward pass of a Gram matrix does.

      d d / dX = 2 / (C N) (Xc - Xc A + m - mt)     A = T^.5 (T^.5 S T^.5)^-.5 T^.5

    A changes slowly, so it is kept for `refresh` steps, and tr (T^.5 S T^.5)^.5 with it. With
    fewer pixels than channels the same comes from the smaller K = Xc T Xc' / N (N x N), as
    Xc A = K^-.5 Xc T and tr K^.5 = tr (T^.5 S T^.5)^.5; S then goes without its eps, which K cannot hold.
    """

    def __init__(self, style_map, refresh):
        self.mean, self.covariance = moments(style_map)
        self.root = spectral(self.covariance, torch.sqrt)
        self.refresh, self.calls = refresh, 0
        self.transport = self.trace_of_root = None

    def __call__(self, feature_map):
        return WrittenOut.apply(feature_map, self)

    def value_and_gradient(self, x):
        """The distance of features X (N x C), and its derivative with respect to them."""
        pixels, channels = x.shape
        mean = x.mean(0)
        measure = self.from_pixels if pixels < channels else self.from_channels
        trace, trace_of_root, direction = measure(x, mean)
        value = (mean - self.mean).square().mean()
        value = value + (self.covariance.trace() + trace - 2 * trace_of_root) / channels
        return value, direction * (2 / (channels * pixels))

    def from_channels(self, x, mean):
        """tr S, tr (T^.5 S T^.5)^.5, Xc - Xc A + m - mt."""
        covariance = x.T @ x / len(x) - torch.outer(mean, mean) + FEATURE_EPSILON * torch.eye(len(mean), dtype=x.dtype)
        if self.calls % self.refresh == 0:
            between = self.root @ covariance @ self.root
            values, vectors = torch.linalg.eigh((between + between.T) / 2)
            roots = values.clamp(min=1e-7 * values[-1].item()).sqrt()
            self.transport = self.root @ ((vectors / roots) @ vectors.T) @ self.root
            self.trace_of_root = roots.sum()
        self.calls += 1
        direction = torch.addmm(x + (mean @ self.transport - self.mean), x, self.transport, alpha=-1)
        return covariance.trace(), self.trace_of_root, direction

    def from_pixels(self, x, mean):
        """The same by way of K. Directions in which the features do not vary have no transport."""
        centred = x - mean
        moved = centred @ self.covariance
        values, vectors = torch.linalg.eigh(moved @ centred.T / len(x))
        varies, roots = values > 1e-6 * values[-1], values.clamp(min=0).sqrt()
        inverse_root = (vectors * (varies / roots.clamp(min=1e-9))) @ vectors.T
        direction = centred - inverse_root @ moved + (mean - self.mean)
        return centred.square().sum() / len(x), roots.sum(), direction


class WrittenOut(torch.autograd.Function):
    """A distance that brings its own derivative."""

    @staticmethod
    def forward(context, feature_map, distance):
        value, gradient = distance.value_and_gradient(rows(feature_map))
        _, channels, height, width = feature_map.shape
        context.save_for_backward(gradient.view(1, height, width, channels).permute(0, 3, 1, 2))
        return value

    @staticmethod
    def backward(context, upstream):
        return context.saved_tensors[0] * upstream, None


STATISTICS = {
    "wasserstein": Wasserstein,
    "gram-relative": GramRelative,
    "covariance": Covariance,
    "mean-std": MeanStd,
}


# --- What is minimised --------------------------------------------------------------


def total_variation(picture):
    """Mean squared differences over nine points: 2/3 for each axis, 1/6 for each diagonal; edges are repeated.

    Both diagonals of a pixel end at its right-hand or lower neighbours: \\ goes from the pixel
    itself, / between the two of them.
    """
    padded = F.pad(picture, (1, 1, 1, 1), "replicate")
    here, right = padded[..., 1:-1, 1:-1], padded[..., 1:-1, 2:]
    below, below_right = padded[..., 2:, 1:-1], padded[..., 2:, 2:]
    mean_square = lambda a, b: (a - b).square().mean()
    axes = mean_square(right, here) + mean_square(below, here)
    diagonals = mean_square(below_right, here) + mean_square(below, right)
    return axes * (2 / 3) + diagonals / 6


class Objective:
    """What is minimised at one scale: remembers the content's features and the style's statistics."""

    def __init__(self, content, style, weights, recipe=Recipe()):
        self.recipe, self.weights = recipe, weights
        with torch.no_grad():
            self.target = self.features(content, [recipe.content_layer])[recipe.content_layer]
            maps = self.features(style, recipe.style_layers)
            statistic = STATISTICS[recipe.statistic]
            self.distances = {name: statistic(maps[name], recipe.refresh) for name in recipe.style_layers}

    def features(self, picture, wanted):
        """The network's maps, in the picture's precision whatever the network's."""
        maps = features(picture, self.weights, wanted, self.recipe.pooling, self.recipe.border)
        return {name: x.to(picture.dtype) for name, x in maps.items()}

    def __call__(self, picture):
        recipe = self.recipe
        maps = self.features(picture, {recipe.content_layer, *recipe.style_layers})
        content = (maps[recipe.content_layer] - self.target).square().mean()
        layers = {name: distance(maps[name]) for name, distance in self.distances.items()}
        style = sum(weight * layers[name] for name, weight in recipe.style_layers.items())
        tv = total_variation(picture)
        return Losses(content, style, tv, layers, recipe.content_weight * content + style + recipe.tv_weight * tv)


# --- Colours, sizes, pyramids -------------------------------------------------------


def match_colours(picture, model, largest_gain):
    """A picture with the mean and covariance of another's colours, by the linear map that moves colours least.

    In double precision: the inverse root of a grey picture's covariance loses digits.
    """

    def describe(colours):
        mean = colours.mean(0)
        spread = (colours - mean).T @ (colours - mean) / len(colours)
        return mean, spread + COLOUR_EPSILON * torch.eye(3, dtype=colours.dtype)

    x, y = rows(picture).double(), rows(model).double()
    (mean, own), (wanted_mean, wanted) = describe(x), describe(y)
    root, inverse = spectral(own, torch.sqrt), spectral(own, lambda values: values.clamp(min=1e-12).rsqrt())
    transport = inverse @ spectral(root @ wanted @ root, torch.sqrt) @ inverse
    transport = spectral(transport, lambda gains: gains.clamp(max=largest_gain))
    matched = ((x - mean) @ transport + wanted_mean).clamp(0, 1).to(picture.dtype)
    return matched.view(*picture.shape[2:], 3).permute(2, 0, 1)[None].contiguous()


def bilinear(picture, size):
    return F.interpolate(picture, size=tuple(size), mode="bilinear", align_corners=False)


def shrink(picture, size):
    """Bilinear, over as many pixels as a new one covers."""
    return F.interpolate(picture, size=tuple(size), mode="bilinear", align_corners=False, antialias=True)


def bicubic(picture, size):
    """Interpolation by cubics, in PyTorch's kind: a is -3/4, where Catmull-Rom has -1/2."""
    return F.interpolate(picture, size=tuple(size), mode="bicubic", align_corners=False)


def decompose(picture, levels):
    """The Laplacian pyramid, finest level first: what halving loses each time, and at last the smallest picture."""
    pyramid = []
    while len(pyramid) + 1 < levels and min(picture.shape[2:]) >= 4:
        small = shrink(picture, (side // 2 for side in picture.shape[2:]))
        pyramid.append(picture - bilinear(small, picture.shape[2:]))
        picture = small
    return [*pyramid, picture]


def compose(pyramid):
    """The picture of a pyramid: the inverse of `decompose`."""
    picture = pyramid[-1]
    for level in reversed(pyramid[:-1]):
        picture = bilinear(picture, level.shape[2:]) + level
    return picture


def enlarge(picture, matched, detail):
    """A finished scale's picture at the next one's size, with the detail that `matched` has only there."""
    old, new = picture.shape[2:], matched.shape[2:]
    return (bicubic(picture, new) + detail * (matched - bicubic(shrink(matched, old), new))).clamp(0, 1)


def blur(x, deviation=2.0, radius=7):
    """A Gaussian mean of a map (1, 1, H, W); edges are repeated."""
    distance = torch.arange(-radius, radius + 1, dtype=x.dtype)
    kernel = torch.exp(-distance.square() / (2 * deviation**2))
    kernel = kernel / kernel.sum()
    x = F.pad(x, (radius, radius, radius, radius), "replicate")
    return F.conv2d(F.conv2d(x, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def calm(picture, model, levels, ranks=512, samples=200_000):
    """Lowers the grain of flat places to the model's.

    In each of the finest levels the local amplitude, the root of the Gaussian mean of squared
    coefficients, is mapped rank by rank to the model's at that level, and never raised: what is
    quiet in the picture becomes as quiet as what is quiet in the model. Edges stay.
    """
    pyramid, models = decompose(picture, levels + 1), decompose(model, levels + 1)
    if len(pyramid) != len(models):
        return picture.clamp(0, 1)  # one of the two is too small for such a pyramid
    rank = torch.linspace(0, 1, ranks, dtype=picture.dtype)
    quantiles = lambda x: torch.quantile(x.flatten()[:: max(1, x.numel() // samples)], rank)
    for i in range(len(pyramid) - 1):
        own, other = (blur(level.square().sum(1, keepdim=True)).sqrt() for level in (pyramid[i], models[i]))
        from_, to = quantiles(own), quantiles(other)
        above = torch.searchsorted(from_, own.flatten()).clamp(1, ranks - 1).view_as(own)
        part = ((own - from_[above - 1]) / (from_[above] - from_[above - 1] + 1e-9)).clamp(0, 1)
        wanted = to[above - 1] + part * (to[above] - to[above - 1])
        pyramid[i] = pyramid[i] * (wanted / own.clamp(min=1e-6)).clamp(max=1)
    return compose(pyramid).clamp(0, 1)


def finish(picture, style, recipe):
    """The last touches: colours matched once more, flats calmed."""
    if not recipe.calm:
        return picture
    return calm(match_colours(picture, style, recipe.largest_gain), style, recipe.calm)


# --- The run ------------------------------------------------------------------------


def learning_rate(recipe, iteration, iterations, last_scale):
    """Along half a cosine from the whole rate to a part of it. Iterations count from 0."""
    end = recipe.rate_end_last if last_scale else recipe.rate_end
    return recipe.learning_rate * (end + (1 - end) * (1 + math.cos(math.pi * iteration / iterations)) / 2)


def paint(objective, start, iterations, last_scale, carried=None, each=lambda iteration, losses: None):
    """One scale: (average of the iterates, Adam's moments for the next scale, the last iteration's losses)."""
    recipe = objective.recipe
    levels = recipe.levels if recipe.canvas == "pyramid" else 1
    canvas = [level.clone().requires_grad_() for level in decompose(start, levels)]
    adam = torch.optim.Adam(canvas, lr=recipe.learning_rate, betas=recipe.betas, eps=recipe.epsilon)
    for level, state in zip(canvas, carried or ()):
        resized = {name: bilinear(state[name], level.shape[2:]) for name in ("exp_avg", "exp_avg_sq")}
        adam.state[level] = {"step": state["step"].clone()} | resized

    average, weight = torch.zeros_like(start), 0.0
    for iteration in range(iterations):
        adam.param_groups[0]["lr"] = learning_rate(recipe, iteration, iterations, last_scale)
        adam.zero_grad()
        losses = objective(compose(canvas))
        losses.total.backward()
        adam.step()
        with torch.no_grad():
            # What left [0, 1] is taken back from the finest level, so that the pixels are exactly in range.
            picture = compose(canvas)
            canvas[0] -= picture - picture.clamp(0, 1)
            average = recipe.averaging * average + (1 - recipe.averaging) * picture.clamp(0, 1)
            weight = recipe.averaging * weight + (1 - recipe.averaging)
        numbers = losses.numbers()
        if not math.isfinite(numbers["total"]):
            raise FloatingPointError(f"iteration {iteration + 1}: the losses are not finite")
        each(iteration + 1, numbers)
    state = [adam.state[level] for level in canvas] if recipe.carry_moments else None
    return average / weight, state, numbers


def run(pictures, weights, recipe, trace=lambda line: None):
    """(the finished picture, a summary of each scale). `pictures(longest)` gives content and style at a scale."""
    torch.manual_seed(recipe.seed)
    picture, carried, summary = None, None, []
    for number, (longest, iterations) in enumerate(recipe.scales, 1):
        content, style = pictures(longest)
        objective = Objective(content, style, weights, recipe)
        with torch.no_grad():
            matched = match_colours(content, style, recipe.largest_gain)
            if picture is not None:
                picture = enlarge(picture, matched, recipe.detail)
            elif recipe.init == "noise":
                picture = torch.rand_like(content)
            else:
                picture = {"matched": matched, "content": content}[recipe.init]
        started = time.perf_counter()
        picture, carried, losses = paint(
            objective, picture, iterations, number == len(recipe.scales), carried,
            lambda iteration, losses: trace({"scale": number, "iteration": iteration} | losses),
        )
        step = (time.perf_counter() - started) / iterations
        size = {"longest": longest, "width": content.shape[3], "height": content.shape[2], "iterations": iterations}
        summary.append(size | {"seconds_per_step": step} | losses)
    with torch.no_grad():
        return finish(picture, style, recipe), summary


def equivalents(summary):
    """The run's cost in steps at 512 x 512."""
    return sum(scale["iterations"] * scale["width"] * scale["height"] for scale in summary) / 512**2


# --- Files and command line ---------------------------------------------------------


def read_resized(path, longest, enlarged=True, resize="8bit"):
    """A picture file as (1, 3, H, W) f32 in [0, 1], its longest side brought to a length.

    Lanczos where it shrinks, Catmull-Rom bicubic where it grows. "8bit" rounds to 8 bits after
    each axis, as Pillow does with ordinary pictures; "f32" does not round, like Impasto.
    """
    image = Image.open(path).convert("RGB")
    own = max(image.size)
    longest = longest if enlarged else min(longest, own)
    width, height = (max(1, (2 * side * longest + own) // (2 * own)) for side in image.size)
    filter = Image.Resampling.LANCZOS if longest < own else Image.Resampling.BICUBIC
    if resize == "8bit":
        pixels = np.asarray(image.resize((width, height), filter), dtype=np.float32)
    else:
        planes = [Image.fromarray(np.asarray(plane, dtype=np.float32)) for plane in image.split()]
        pixels = np.stack([np.asarray(plane.resize((width, height), filter)) for plane in planes], axis=2)
    return torch.from_numpy(pixels / 255).clamp(0, 1).permute(2, 0, 1)[None].contiguous()


def picture_files(content, style, resize="8bit"):
    """What `run` asks for, from two files. The style picture is never enlarged."""

    def at(longest):
        photograph = read_resized(content, longest, resize=resize)
        return photograph, read_resized(style, longest, enlarged=False, resize=resize)

    return at


def parse_scales(text):
    """128:250,181:200 as ((128, 250), (181, 200))."""
    try:
        scales = tuple(tuple(int(number) for number in scale.split(":")) for scale in text.split(","))
        if all(longest >= 16 and iterations >= 1 for longest, iterations in scales):
            return scales
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not LONGEST:ITERATIONS,… with at least 16 pixels and 1 iteration")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the picture here")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="every iteration's losses as JSON Lines")
    parser.add_argument("--preset", choices=PRESETS, default="default", help="what follows replaces its values")
    parser.add_argument("--scales", type=parse_scales, metavar="N:I,…", help="longest side : iterations of each scale")
    parser.add_argument("--statistic", choices=STATISTICS)
    parser.add_argument("--canvas", choices=("pixels", "pyramid"))
    parser.add_argument("--pooling", choices=POOLINGS)
    parser.add_argument("--init", choices=("content", "matched", "noise"))
    parser.add_argument("--content-weight", type=float)
    parser.add_argument("--tv-weight", type=float)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--detail", type=float, metavar="X", help="how much of the photograph's detail is added")
    parser.add_argument("--calm", type=int, metavar="LEVELS", help="finest pyramid levels that are calmed at the end")
    parser.add_argument("--refresh", type=int, metavar="STEPS", help="between new transport matrices")
    parser.add_argument("--seed", type=int, help="of a start from noise")
    parser.add_argument("--resize", choices=("8bit", "f32"), default="8bit", help="see read_resized (%(default)s)")
    parser.add_argument("--bf16", action="store_true", help="the network in bf16")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE")
    parser.add_argument("--threads", type=int, metavar="N", help="default: as many as PyTorch takes")
    arguments = parser.parse_args()

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    names = {setting.name for setting in dataclasses.fields(Recipe)}
    given = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    recipe = dataclasses.replace(PRESETS[arguments.preset], **given)

    started = time.perf_counter()
    dtype = torch.bfloat16 if arguments.bf16 else torch.float32
    weights = load_weights(arguments.weights, dtype, torch.channels_last)
    pictures = picture_files(arguments.content, arguments.style, arguments.resize)
    trace = open(arguments.trace, "w") if arguments.trace else None
    try:
        picture, scales = run(
            pictures, weights, recipe, lambda line: trace and print(json.dumps(line), file=trace, flush=True)
        )
    except FloatingPointError as error:
        sys.exit(str(error))
    finally:
        if trace:
            trace.close()
    if arguments.output:
        write_picture(arguments.output, picture)
    summary = {
        "output": str(arguments.output) if arguments.output else None,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "precision": "bf16" if arguments.bf16 else "f32",
        "seconds": round(time.perf_counter() - started, 2),
        "peak_rss_mb": round(peak_rss_mb()),
        "equivalents": round(equivalents(scales), 1),
        "recipe": dataclasses.asdict(recipe),
        "scales": [scale | {"seconds_per_step": round(scale["seconds_per_step"], 4)} for scale in scales],
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
