#!/usr/bin/env python3
"""Makes tests/data/pytorch/canvas.safetensors: PyTorch's numbers for what pictures are made of and finished with.

Why it exists: resampling, the pyramid, matched colours, calm and detail decide every
pixel of a result, and a test of each against itself would not notice another
convention: where a pixel's middle is, which samples the border repeats, which
quantile a rank is. PyTorch has all of them; this file holds its answers, in double
precision from inputs that single precision holds exactly.

  resample.KIND.CASE.x, .y, .d_y, .d_x   interpolation, and its answer to an upstream gradient d_y
  pyramid.CASE.x, .theta                 a picture, and its levels one after the other, finest first
  gradient.d_x, .d_theta                 a picture's gradient, and the coefficients' of its pyramid
  picture.NAME                           what the following are made of
  matched.PICTURE.STYLE                  colours by the Monge map, gains at most 5
  calm.PICTURE.STYLE                     the two finest levels calmed
  detail                                 the change of scale from `early` to `photograph`, amount 1

All tensors are F32. Pictures and maps are (H, W, C), theta is flat; CASE is a size or
a name. The file's metadata name the command, the seed and PyTorch's version.

Needs: torch, numpy, safetensors. The same PyTorch gives the same file.

  tools/make_canvas_fixtures.py [--seed 7] [--output tests/data/pytorch/canvas.safetensors]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

OUTPUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "pytorch" / "canvas.safetensors"
MODES = {
    "bilinear": {"mode": "bilinear"},
    "antialiased": {"mode": "bilinear", "antialias": True},
    "bicubic": {"mode": "bicubic"},
}
# From (H, W) to (H, W): up, down by odd factors, single pixels, one axis up and the other down.
SIZES = (
    ((9, 11), (18, 23)),
    ((21, 25), (10, 12)),
    ((23, 16), (7, 5)),
    ((1, 4), (3, 7)),
    ((5, 1), (2, 3)),
    ((12, 7), (9, 13)),
    ((6, 8), (6, 8)),
)
PYRAMIDS = ((37, 45), (48, 64))
GRADIENT = (13, 18)
LEVELS, SMALLEST = 8, 4
LARGEST_GAIN, LEAST_VARIANCE = 5.0, 1e-5
QUANTILES, SIGMA, RADIUS = 512, 2.0, 7


def planes(array):
    """A stored (H, W, C) as PyTorch's (1, C, H, W), f64."""
    return array.double().permute(2, 0, 1)[None].contiguous()


def stored(tensor):
    """(1, C, H, W) as the (H, W, C), F32, of the file."""
    return tensor.detach()[0].permute(1, 2, 0).float().contiguous()


def resampled(x, size, kind):
    return F.interpolate(x, size=size, align_corners=False, **MODES[kind])


class Random:
    """Seeded single-precision arrays."""

    def __init__(self, seed):
        self.generator = np.random.default_rng(seed)

    def normal(self, *shape):
        return torch.from_numpy(self.generator.standard_normal(shape, dtype=np.float32))

    def picture(self, height, width, phase, grain):
        """(H, W, 3) in [0, 1]: waves, an edge and grain, which is weaker in the upper half."""
        y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        waves = [0.5 + 0.3 * np.sin(0.21 * y + phase + c) * np.cos(0.13 * (c + 1) * x - phase) for c in range(3)]
        picture = np.stack(waves, axis=-1) + 0.25 * (x > 0.6 * width + 0.3 * y)[..., None] - 0.1
        strength = grain * np.where(y < height / 2, 0.2, 1.0)[..., None]
        noise = self.generator.standard_normal(picture.shape)
        return torch.from_numpy((picture + strength * noise).clip(0, 1).astype(np.float32))


def decomposed(x, most=LEVELS):
    """The Laplacian pyramid of (1, C, H, W): differences, the finest first, and the small picture that is left."""
    levels = []
    while len(levels) + 1 < most and min(x.shape[-2:]) >= SMALLEST:
        half = resampled(x, (x.shape[-2] // 2, x.shape[-1] // 2), "antialiased")
        levels.append(x - resampled(half, x.shape[-2:], "bilinear"))
        x = half
    return [*levels, x]


def composed(levels):
    *differences, picture = levels
    for difference in reversed(differences):
        picture = difference + resampled(picture, difference.shape[-2:], "bilinear")
    return picture


def spectral(matrix, function):
    """A symmetric matrix with a function applied to its eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(function(values)) @ vectors.T


def colours(picture):
    """Mean (3, 1) and covariance (3, 3) of a picture's colours, the latter with a little noise."""
    values = picture[0].flatten(1)
    return values.mean(1, keepdim=True), torch.cov(values, correction=0) + LEAST_VARIANCE * torch.eye(3).double()


def matched(picture, style):
    (mean, covariance), (wanted_mean, wanted) = colours(picture), colours(style)
    root, inverse = spectral(covariance, torch.sqrt), spectral(covariance, torch.rsqrt)
    monge = inverse @ spectral(root @ wanted @ root, torch.sqrt) @ inverse
    limited = spectral(monge, lambda values: values.clamp(max=LARGEST_GAIN))
    return (limited @ (picture[0].flatten(1) - mean) + wanted_mean).view_as(picture).clamp(0, 1)


def amplitude(level):
    """(H, W): the root of the squares, added over colours and averaged by a Gaussian."""
    offsets = torch.arange(-RADIUS, RADIUS + 1).double()
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
    padded = F.pad(level.square().sum(1, keepdim=True), (RADIUS,) * 4, mode="replicate")
    return F.conv2d(padded, kernel[None, None])[0, 0].sqrt()


def calmed(picture, style, levels=2):
    own, wanted = decomposed(picture, levels + 1), decomposed(style, levels + 1)
    ranks = torch.linspace(0, 1, QUANTILES).double()
    for i in range(len(own) - 1 if len(own) == len(wanted) else 0):
        here, there = amplitude(own[i]), amplitude(wanted[i])
        found, model = torch.quantile(here.flatten(), ranks), torch.quantile(there.flatten(), ranks)
        above = torch.searchsorted(found, here).clamp(1, QUANTILES - 1)
        part = ((here - found[above - 1]) / (found[above] - found[above - 1] + 1e-9)).clamp(0, 1)
        target = torch.lerp(model[above - 1], model[above], part)
        own[i] = own[i] * (target / here.clamp(min=1e-6)).clamp(max=1)
    return composed(own).clamp(0, 1)


def enlarged(x, photograph):
    old, new = x.shape[-2:], photograph.shape[-2:]
    soft = resampled(resampled(photograph, old, "antialiased"), new, "bicubic")
    return (resampled(x, new, "bicubic") + photograph - soft).clamp(0, 1)


def resampling(random):
    tensors = {}
    for kind in MODES:
        for size, new in SIZES:
            x, d_y = random.normal(*size, 3), random.normal(*new, 3)
            leaf = planes(x).requires_grad_()
            y = resampled(leaf, new, kind)
            (d_x,) = torch.autograd.grad(y, leaf, planes(d_y))
            case = f"resample.{kind}.{'x'.join(map(str, size))}-{'x'.join(map(str, new))}"
            tensors |= {f"{case}.x": x, f"{case}.y": stored(y), f"{case}.d_y": d_y, f"{case}.d_x": stored(d_x)}
    return tensors


def pyramids(random):
    flat = lambda levels: torch.cat([stored(level).flatten() for level in levels])
    tensors = {}
    for height, width in PYRAMIDS:
        x, case = random.picture(height, width, 1.0, 0.1), f"pyramid.{height}x{width}"
        tensors |= {f"{case}.x": x, f"{case}.theta": flat(decomposed(planes(x)))}
    d_x = random.normal(*GRADIENT, 3)
    levels = [level.requires_grad_() for level in decomposed(planes(d_x))]
    gradients = torch.autograd.grad(composed(levels), levels, planes(d_x))
    return tensors | {"gradient.d_x": d_x, "gradient.d_theta": flat(gradients)}


def finishing(random):
    photograph, painting = random.picture(37, 45, 0.3, 0.08), random.picture(25, 40, 2.0, 0.03)
    small = photograph[10:26, 5:24].contiguous()
    pictures = {
        "photograph": photograph,
        "painting": painting,
        "small": small,
        "grey": small.mean(-1, keepdim=True).expand(-1, -1, 3).contiguous(),
        "dull": 0.5 + 0.1 * (small - 0.5),
        "flat": torch.full((9, 11, 3), 0.25),
        "strip": random.picture(7, 40, 1.0, 0.1),
        "early": random.picture(26, 32, 1.5, 0.05),
    }
    inputs = {name: planes(picture) for name, picture in pictures.items()}
    tensors = {f"picture.{name}": picture for name, picture in pictures.items()}
    for picture in ("small", "grey", "dull", "flat"):
        tensors[f"matched.{picture}.painting"] = stored(matched(inputs[picture], inputs["painting"]))
    for picture, style in (("photograph", "painting"), ("painting", "small"), ("strip", "flat"), ("flat", "strip")):
        tensors[f"calm.{picture}.{style}"] = stored(calmed(inputs[picture], inputs[style]))
    return tensors | {"detail": stored(enlarged(inputs["early"], inputs["photograph"]))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7, help="of every random number (%(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    random = Random(arguments.seed)
    tensors = resampling(random) | pyramids(random) | finishing(random)
    made_by = f"tools/make_canvas_fixtures.py --seed {arguments.seed}"
    save_file(tensors, arguments.output, {"made_by": made_by, "torch": torch.__version__})
    print(f"{arguments.output.stat().st_size:8} {arguments.output}")


if __name__ == "__main__":
    main()
