#!/usr/bin/env python3
"""The preset `paper` in PyTorch: an independent second opinion on Impasto's numbers.

Why it exists: an engine that computes its own gradients can be wrong and still
make pictures. This program shares no line with it, only the formulas and the
half-precision weight file, and lets PyTorch do the differentiation. Whatever both
print must agree. The other PyTorch programs here are built on it.

  x is the picture; F, P, S are the feature maps (N channels, M pixels) of picture,
  content and style; G = F F^T and A = S S^T are Gram matrices

  content = 1/2 sum (F - P)^2                                        at relu3_3
  style   = sum_l w_l / (4 N^2) sum (G / M_x - A / M_s)^2            w_l = 1/4
  tv      = sum (x[y+1] - x[y])^2 + sum (x[:, x+1] - x[:, x])^2
  total   = alpha content + beta style + gamma tv, minimised by Adam, x clamped to [0, 1]

Needs: torch, numpy, safetensors; pillow to read pictures.

  tools/reference.py content.png style.png -o out.png --iterations 8 --trace trace.jsonl

The pictures keep their own sizes and no tone is applied afterwards. A trace line is
measured before its iteration's update; the last one after the last update.
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "vgg16-imagenet.safetensors"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")

# Convolutions in each of the five blocks; a pooling stands before every block but the first.
VGG16, VGG19 = (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)


def layer_names(blocks):
    """relu1_1, relu1_2, ... in the network's order."""
    return tuple(f"relu{b}_{i}" for b, count in enumerate(blocks, 1) for i in range(1, count + 1))


LAYERS = layer_names(VGG16)


@dataclass(frozen=True)
class Paper:
    """The numbers of the preset; the three weights are the ones the fixtures use."""

    content_layer: str = "relu3_3"
    style_layers: dict = field(default_factory=lambda: dict.fromkeys(STYLE_LAYERS, 0.25))
    content_weight: float = 2e-7
    style_weight: float = 1.5
    tv_weight: float = 3e-6
    learning_rate: float = 0.02
    betas: tuple = (0.9, 0.999)
    epsilon: float = 1e-8
    pooling: str = "max"


def load_weights(path=WEIGHTS, dtype=torch.float32, memory_format=torch.contiguous_format):
    """[(weight (out, in, 3, 3), bias (out)), ...] in the network's order."""
    tensors = load_file(path)
    numbers = sorted(int(name.split(".")[1]) for name in tensors if name.endswith(".weight"))
    return [
        (
            tensors[f"features.{n}.weight"].to(dtype).contiguous(memory_format=memory_format),
            tensors[f"features.{n}.bias"].to(dtype),
        )
        for n in numbers[: len(LAYERS)]
    ]


# How a block's maps are halved. An average is smaller than a maximum; "avg2" and "l2" make up for it with a factor,
# so that deeper layers see features about as large as those they were trained on.
POOLINGS = {
    "max": lambda x: F.max_pool2d(x, 2),
    "avg": lambda x: F.avg_pool2d(x, 2),
    "avg2": lambda x: 2 * F.avg_pool2d(x, 2),
    "l2": lambda x: 0.78 * (4 * F.avg_pool2d(x * x, 2) + 1e-6).sqrt(),
}


def features(picture, weights, wanted, pooling="max", border="zero"):
    """{layer name: feature map (1, N, H, W)} of a picture (1, 3, H, W), no deeper than needed.

    The network runs in the weights' precision, whatever the picture's; that of sixteen convolutions is VGG19.
    `border` is what the first convolution sees beyond the edge: "zero", or "replicate" for the nearest pixel
    once more.
    """
    pool = POOLINGS[pooling]
    channel = lambda values: torch.tensor(values, dtype=picture.dtype).view(1, 3, 1, 1)
    x = ((picture - channel(MEAN)) / channel(STD)).to(weights[0][0].dtype)
    names = layer_names(VGG19 if len(weights) == sum(VGG19) else VGG16)
    maps, deepest = {}, max(names.index(name) for name in wanted)
    for name, (weight, bias) in zip(names[: deepest + 1], weights):
        padding = 1
        if name == "relu1_1" and border == "replicate":
            x, padding = F.pad(x, (1, 1, 1, 1), "replicate"), 0
        elif name.endswith("_1") and name != "relu1_1":
            x = pool(x)
        x = F.relu(F.conv2d(x, weight, bias, padding=padding))
        if name in wanted:
            maps[name] = x
    return maps


def gram(feature_map):
    """G (N, N), the unscaled Gram matrix of a map (1, N, H, W)."""
    flat = feature_map[0].flatten(1)
    return flat @ flat.T


def gram_per_pixel(feature_map, dtype):
    """G / M in the given precision: the form in which pictures of different sizes compare."""
    return gram(feature_map).to(dtype) / (feature_map.shape[2] * feature_map.shape[3])


def total_variation(picture):
    """Sum of squared differences between vertical and between horizontal neighbours."""
    down = picture[:, :, 1:, :] - picture[:, :, :-1, :]
    right = picture[:, :, :, 1:] - picture[:, :, :, :-1]
    return down.square().sum() + right.square().sum()


@dataclass
class Losses:
    """Raw losses of one picture, as scalars that can be differentiated."""

    content: torch.Tensor
    style: torch.Tensor
    tv: torch.Tensor
    layers: dict
    total: torch.Tensor

    def numbers(self):
        """The same as plain numbers, with the names a trace uses."""
        line = {name: getattr(self, name).item() for name in ("content", "style", "tv", "total")}
        return line | {"layers": {name: loss.item() for name, loss in self.layers.items()}}


class Objective:
    """What is minimised: remembers the content's features and the style's Gram matrices."""

    def __init__(self, content, style, weights, paper=Paper()):
        self.paper, self.weights = paper, weights
        with torch.no_grad():
            self.target = features(content, weights, [paper.content_layer], paper.pooling)[paper.content_layer]
            maps = features(style, weights, paper.style_layers, paper.pooling)
            self.grams = {name: gram_per_pixel(maps[name], style.dtype) for name in paper.style_layers}

    def __call__(self, picture):
        paper = self.paper
        maps = features(picture, self.weights, {paper.content_layer, *paper.style_layers}, paper.pooling)
        content = (maps[paper.content_layer] - self.target).to(picture.dtype).square().sum() / 2
        layers = {}
        for name in paper.style_layers:
            difference = gram_per_pixel(maps[name], picture.dtype) - self.grams[name]
            layers[name] = difference.square().sum() / (4 * maps[name].shape[1] ** 2)
        style = sum(weight * layers[name] for name, weight in paper.style_layers.items())
        tv = total_variation(picture)
        total = paper.content_weight * content + paper.style_weight * style + paper.tv_weight * tv
        return Losses(content, style, tv, layers, total)


class Optimisation:
    """Adam on the pixels of a picture, one `step` at a time."""

    def __init__(self, objective, start):
        paper = objective.paper
        self.objective = objective
        self.picture = start.clone(memory_format=torch.preserve_format).requires_grad_()
        self.adam = torch.optim.Adam([self.picture], lr=paper.learning_rate, betas=paper.betas, eps=paper.epsilon)

    def step(self):
        """One update; the losses are those before it."""
        self.adam.zero_grad()
        losses = self.objective(self.picture)
        losses.total.backward()
        self.adam.step()
        with torch.no_grad():
            self.picture.clamp_(0, 1)
        return losses


def test_picture(height, width, kind):
    """A smooth synthetic picture (1, 3, H, W), f64, that any program can make again.

    x[y, x, c] = 1/2 + 1/4 sin(a x (c + 1) + b y) + 1/4 sin(b y (c + 2) - a x), where
    (a, b) = (0.05, 0.07) for kind "content" and (0.31, 0.23) for kind "style".
    """
    a, b = {"content": (0.05, 0.07), "style": (0.31, 0.23)}[kind]
    c, y, x = (torch.arange(n, dtype=torch.float64) for n in (3, height, width))
    c, y, x = c.view(3, 1, 1), y.view(1, height, 1), x.view(1, 1, width)
    return (0.5 + 0.25 * torch.sin(a * x * (c + 1) + b * y) + 0.25 * torch.sin(b * y * (c + 2) - a * x))[None]


def read_picture(path, dtype):
    """A picture file as (1, 3, H, W) in [0, 1]."""
    from PIL import Image

    pixels = np.asarray(Image.open(path).convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].to(dtype) / 255


def write_picture(path, picture):
    """(1, 3, H, W) in [0, 1] to a picture file of 8 bits per channel."""
    from PIL import Image

    pixels = (picture.detach()[0].permute(1, 2, 0) * 255).round().to(torch.uint8)
    Image.fromarray(pixels.numpy()).save(path)


def main():
    paper = Paper()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the picture here")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="JSON lines (default: standard output)")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--content-weight", type=float, default=paper.content_weight)
    parser.add_argument("--style-weight", type=float, default=paper.style_weight)
    parser.add_argument("--tv-weight", type=float, default=paper.tv_weight)
    parser.add_argument("--learning-rate", type=float, default=paper.learning_rate)
    parser.add_argument("--pooling", choices=POOLINGS, default=paper.pooling)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE")
    parser.add_argument("--dtype", choices=("f32", "f64"), default="f32")
    parser.add_argument("--threads", type=int, metavar="N")
    arguments = parser.parse_args()

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    dtype = {"f32": torch.float32, "f64": torch.float64}[arguments.dtype]
    chosen = ("content_weight", "style_weight", "tv_weight", "learning_rate", "pooling")
    paper = Paper(**{name: getattr(arguments, name) for name in chosen})
    content, style = (read_picture(path, dtype) for path in (arguments.content, arguments.style))
    run = Optimisation(Objective(content, style, load_weights(arguments.weights, dtype), paper), content)

    with open(arguments.trace, "w") if arguments.trace else sys.stdout as trace:
        for iteration in range(1, arguments.iterations + 2):
            last = iteration > arguments.iterations
            with torch.no_grad() if last else torch.enable_grad():
                line = (run.objective(run.picture) if last else run.step()).numbers()
            if not math.isfinite(line["total"]):
                sys.exit(f"iteration {iteration}: the losses are not finite")
            print(json.dumps({"iteration": iteration} | line), file=trace, flush=True)
    if arguments.output:
        write_picture(arguments.output, run.picture)


if __name__ == "__main__":
    main()
