#!/usr/bin/env python3
"""Makes tests/data/pytorch/recipe.*: the numbers of the presets `fast`, `default` and `best`.

Why it exists: it is to `recipe.py` what `make_fixtures.py` is to `reference.py`. Losses,
gradients and pictures are computed in double precision from inputs that single precision
holds exactly, so that a test measures Impasto's error and not the sum of two.

recipe.json has every scalar, recipe.safetensors these tensors, all F32, pictures and
feature maps (H, W, C):

  CASE.content, CASE.style     the photograph and the style picture
  CASE.picture                 where losses are measured
  CASE.POOLING.content         gradient of the content loss at CASE.picture
  CASE.tv                      gradient of the total variation
  CASE.POOLING.STATISTIC       gradient of the style loss, all layers with their weights
  CASE.max.STATISTIC.LAYER     gradient of one layer's distance, not weighted
  wasserstein.NAME.x           features, as a map of H W pixels and C channels
  wasserstein.NAME.target      the style's features, another such map
  wasserstein.NAME.d_x         gradient as `recipe.py` writes it out
  wasserstein.NAME.d_x_by_autograd   the same by differentiating the eigenvalues; not where features are constant
  small.matched                the photograph in the style picture's colours
  small.pyramid.0, .1, ...     levels of the Laplacian pyramid of small.picture, finest first
  small.calmed                 small.picture with its two finest levels calmed after small.style
  small.finished               the same with its colours matched before
  small.enlarged               small.picture at the size of large.picture, with all the detail of that one
  small.painted                five iterations in one scale from small.matched, before finishing

CASE is small, large or plain (the style picture is of one colour); POOLING max, avg2 or l2;
STATISTIC wasserstein, gram-relative, covariance or mean-std; LAYER relu1_1 to relu5_1. In
`small` relu3_1 and deeper have fewer pixels than channels, in `large` relu4_1 and deeper.
`plain` shares small.content and small.picture, and the
gradients of content and tv with it. Gradients of avg2 and l2 are those of `small` alone.

Gradients at a case's picture, and the pictures small.matched to small.painted, are samples:
value k is element (k * 7919) mod (H W C) of the whole. recipe.json has the root mean square
of the whole under the same name in `rms`, and in `deviation_f32` how far PyTorch's own single
precision is from these numbers, relative: what tolerances can be argued from. Wasserstein gradients
are the least exact, up to 0.5 %: the transport divides by roots of eigenvalues that single precision
cannot tell from zero.

Under `trajectory` recipe.json has end-of-scale losses of whole runs of `recipe.py` in f32 on
two of the samples, raw and measured before the last update of a scale. The function that is
minimised has corners, where two features are equally large; nearly equal runs take different
sides and drift apart. How far is shown by runs whose input pictures were moved by 1e-6 (`nudged`,
for the short run). `resized_in_f32` is a run whose pictures were resized without rounding to 8 bits,
which is what Impasto does; Lanczos where a side shrinks.

Needs: torch, numpy, pillow, safetensors. The same PyTorch gives the same files but for
trajectories and deviations, which also depend on the processor. Trajectories take some minutes; `--keep-trajectories`
leaves the ones that recipe.json has.

  tools/make_recipe_fixtures.py [--seed 7] [--keep-trajectories] [--output tests/data/pytorch]
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

import recipe
from make_fixtures import OUTPUT, STRIDE, Random, chw, hwc, rounded
from recipe import FEATURE_EPSILON, STATISTICS, Objective, Recipe, Wasserstein, decompose, moments, rows, spectral
from reference import WEIGHTS, load_weights, test_picture

SAMPLES = 400
POOLINGS = ("max", "avg2", "l2")
# Sizes of the content and of the style picture.
CASES = {"small": ((48, 64), (40, 56)), "large": ((72, 88), (56, 64)), "plain": ((48, 64), (32, 40))}
PLAIN_COLOUR = (0.75, 0.5, 0.25)
STEPS = 5

PAIR = ("samples/astronaut.jpg", "samples/great-wave.jpg")
TRAJECTORIES = {"short": ((128, 30), (181, 20)), "long": ((128, 250), (181, 200))}


def picks(tensor):
    """The samples of a picture or gradient (1, C, H, W) that are stored."""
    flat = rows(tensor.detach()).flatten()
    return flat[torch.arange(min(SAMPLES, len(flat))) * STRIDE % len(flat)].float()


def rms(tensor):
    return tensor.detach().square().mean().sqrt().item()


def rough(number):
    """An error, of which two digits are enough."""
    return float(f"{number:.2g}")


def grainy(picture, random):
    """A formula's picture with grain, rounded to single precision, (1, 3, H, W) f64."""
    picture = hwc(picture)
    return chw((picture + 0.03 * random.normal(*picture.shape)).clamp(0, 1))


def pictures(random):
    """{case: (content, style, picture)}: smooth with grain; the picture is away from the content."""
    made = {}
    for case, (content_size, style_size) in CASES.items():
        content = grainy(test_picture(*content_size, "content"), random)
        style = grainy(test_picture(*style_size, "style"), random)
        wave = hwc(test_picture(*content_size, "style")) - 0.5
        start = (hwc(content) + 0.2 * wave + 0.05 * random.normal(*content_size, 3)).clamp(0, 1)
        made[case] = (content, style, chw(start))
    content, _, start = made["small"]
    colour = torch.tensor(PLAIN_COLOUR).expand(*CASES["plain"][1], 3)
    return made | {"plain": (content, chw(colour), start)}


# --- Losses of a picture ------------------------------------------------------------


def gradients(objective, picture):
    """{name: (value, gradient)} of each part of an objective, the style's layers included."""
    picture = picture.clone().requires_grad_()
    losses = objective(picture)
    parts = {"content": losses.content, "tv": losses.tv, "style": losses.style} | losses.layers
    return {
        name: (loss.item(), torch.autograd.grad(loss, picture, retain_graph=True)[0]) for name, loss in parts.items()
    }


def measure(case, made, weights, store):
    """The losses of one case as scalars; `store(name, gradient)` takes each gradient."""
    content, style, picture = made
    scalars = {}
    for pooling in POOLINGS:
        numbers = scalars[pooling] = {"style": {}}
        keep = case == "small" or pooling == "max"
        for statistic in STATISTICS:
            objective = Objective(content, style, weights, Recipe(statistic=statistic, pooling=pooling))
            found = gradients(objective, picture)
            layers = {name: found[name][0] for name in objective.distances}
            numbers["style"][statistic] = {"sum": found["style"][0], "layers": layers}
            if keep:
                store(f"{case}.{pooling}.{statistic}", found["style"][1])
            if pooling == "max":
                for layer in layers:
                    store(f"{case}.max.{statistic}.{layer}", found[layer][1])
        numbers["content"] = found["content"][0]
        if keep and case != "plain":
            store(f"{case}.{pooling}.content", found["content"][1])
        maps = objective.features(picture, {objective.recipe.content_layer, *objective.recipe.style_layers})
        numbers["features"] = {
            layer: {"shape": [*x.shape[2:], x.shape[1]], "mean": x.mean().item(), "rms": rms(x)}
            for layer, x in maps.items()
        }
    if case != "plain":
        store(f"{case}.tv", found["tv"][1])
    return scalars | {"tv": found["tv"][0]}


def relative_difference(number, exact):
    """Between scalars of the same form, the largest one."""
    if isinstance(exact, dict):
        return {key: relative_difference(number[key], exact[key]) for key in exact if key != "features"}
    return rough(abs(number - exact) / (abs(exact) or 1))


def cases(random):
    """Tensors, scalars and deviations of every case."""
    tensors, scalars, roots, deviations = {}, {}, {}, {"losses": {}, "gradients": {}}
    for case, made in pictures(random).items():
        exact, single = {}, {}
        scalars[case] = measure(case, made, load_weights(dtype=torch.float64), exact.__setitem__)
        rough_scalars = measure(case, [p.float() for p in made], load_weights(), single.__setitem__)
        deviations["losses"][case] = relative_difference(rough_scalars, scalars[case])
        for name, picture in zip(("content", "style", "picture"), made):
            if case != "plain" or name == "style":
                tensors[f"{case}.{name}"] = hwc(picture)
        for name, gradient in exact.items():
            tensors[name], roots[name] = picks(gradient), rms(gradient)
            deviations["gradients"][name] = rough(rms(single[name].double() - gradient) / rms(gradient))
    return tensors, scalars, roots, deviations


# --- The Wasserstein distance alone -------------------------------------------------


def distance_by_autograd(x, target_mean, target_covariance):
    """The same distance from its definition: eigenvalues of T^.5 S T^.5, differentiated by PyTorch.

    S is C x C also where there are fewer pixels than channels; it then goes without its eps, as in `recipe.py`.
    """
    pixels, channels = x.shape
    mean = x.mean(0)
    covariance = (x - mean).T @ (x - mean) / pixels
    if pixels >= channels:
        covariance = covariance + FEATURE_EPSILON * torch.eye(channels, dtype=x.dtype)
    root = spectral(target_covariance, torch.sqrt)
    values = torch.linalg.eigvalsh(root @ covariance @ root)
    roots = values[values > 1e-9 * values[-1]].sqrt()
    spread = target_covariance.trace() + covariance.trace() - 2 * roots.sum()
    return (mean - target_mean).square().mean() + spread / channels


def feature_matrices(random):
    """{name: (features, target)} as maps (H, W, C), F32."""
    mixed = lambda *shape: random.normal(*shape) @ (random.normal(shape[2], shape[2]) / shape[2] ** 0.5) + 0.5
    constant = lambda h, w, c: (torch.arange(c) % 5 * 0.25).expand(h, w, c)
    return {
        "more-pixels": (mixed(6, 8, 5), mixed(7, 5, 5)),
        "as-many": (mixed(4, 4, 16), mixed(5, 6, 16)),
        "fewer-pixels": (mixed(3, 4, 20), mixed(6, 7, 20)),
        "one-pixel": (mixed(1, 1, 4), mixed(3, 3, 4)),
        "deficient": (random.normal(7, 8, 3) @ random.normal(3, 12), mixed(6, 6, 12)),
        "deficient-target": (mixed(7, 8, 12), random.normal(3, 2, 2) @ random.normal(2, 12)),
        "constant": (constant(4, 8, 6), mixed(5, 5, 6)),
        "constant-fewer-pixels": (constant(2, 4, 12), mixed(5, 5, 12)),
        "constant-target": (mixed(6, 8, 5), constant(4, 4, 5)),
        "constant-target-fewer-pixels": (mixed(3, 4, 20), constant(4, 4, 20)),
    }


def wasserstein(random):
    """Tensors of the op's cases, and their values both ways."""
    tensors, scalars = {}, {}
    for name, (features, target) in feature_matrices(random).items():
        tensors[f"wasserstein.{name}.x"], tensors[f"wasserstein.{name}.target"] = features, target
        distance = Wasserstein(chw(target), refresh=1)
        x = features.double().flatten(0, 1)
        value, gradient = distance.value_and_gradient(x)
        tensors[f"wasserstein.{name}.d_x"] = gradient.view(*features.shape)
        numbers = scalars[name] = {"shape": list(features.shape), "value": value.item()}

        x = x.requires_grad_()
        mean, covariance = moments(chw(target))
        by_autograd = distance_by_autograd(x, mean, covariance)
        numbers["value_by_autograd"] = by_autograd.item()
        if not name.startswith("constant") or "target" in name:
            (d_x,) = torch.autograd.grad(by_autograd, x)
            tensors[f"wasserstein.{name}.d_x_by_autograd"] = d_x.view(*features.shape)
            numbers["gradients_differ"] = rough(rms(gradient - d_x) / rms(d_x))
    return {name: tensor.detach().float().contiguous() for name, tensor in tensors.items()}, scalars


# --- Everything around the losses ---------------------------------------------------


def painting(made):
    """Colours, pyramid, finish, change of scale and five iterations: samples, root mean squares, scalars."""
    content, style, picture = made["small"]
    settings = Recipe(scales=((64, STEPS),))
    matched = recipe.match_colours(content, style, settings.largest_gain)
    results = {
        "small.matched": matched,
        "small.calmed": recipe.calm(picture, style, settings.calm),
        "small.finished": recipe.finish(picture, style, settings),
        "small.enlarged": recipe.enlarge(picture, made["large"][2], 1.0),
    }
    results |= {f"small.pyramid.{i}": level for i, level in enumerate(decompose(picture, settings.levels))}

    lines = []
    objective = Objective(content, style, load_weights(dtype=torch.float64), settings)
    painted, _, _ = recipe.paint(
        objective, matched, STEPS, last_scale=True, each=lambda i, numbers: lines.append({"iteration": i} | numbers)
    )
    results["small.painted"] = painted
    shapes = {name: [*x.shape[2:], x.shape[1]] for name, x in results.items()}
    return {n: picks(x) for n, x in results.items()}, {n: rms(x) for n, x in results.items()}, shapes, lines


def trajectory(scales, nudge=0.0, seed=0, resize="8bit"):
    """End-of-scale losses of a run in f32, whose pictures may be moved by a hair."""
    generator = torch.Generator().manual_seed(seed)
    moved = lambda p: (p + nudge * torch.randn(p.shape, generator=generator)).clamp(0, 1)
    files = recipe.picture_files(*PAIR, resize=resize)
    at = lambda longest: [moved(picture) if nudge else picture for picture in files(longest)]
    started = time.perf_counter()
    _, summary = recipe.run(at, load_weights(memory_format=torch.channels_last), Recipe(scales=scales))
    kept = ("longest", "width", "height", "iterations", "content", "style", "tv", "total", "layers")
    lines = [{name: scale[name] for name in kept} for scale in summary]
    print(f"{scales}, {resize}, nudge {nudge:g}: {time.perf_counter() - started:.0f} s", flush=True)
    return [{name: rounded(v) if isinstance(v, (float, dict)) else v for name, v in line.items()} for line in lines]


def trajectories():
    found = {
        "pictures": PAIR,
        "settings": "recipe.py --preset default --scales …, f32, one thread",
        "resizing": "Pillow's Lanczos; 8 bits after each axis but for resized_in_f32",
    }
    for name, scales in TRAJECTORIES.items():
        found[name] = {
            "scales": ",".join(f"{longest}:{iterations}" for longest, iterations in scales),
            "end_of_scale": trajectory(scales),
        }
        if name == "short":
            found[name]["resized_in_f32"] = trajectory(scales, resize="f32")
            found[name]["nudged"] = [trajectory(scales, 1e-6, seed) for seed in (1, 2)]
        else:
            found[name]["resized_in_f32"] = trajectory(scales, resize="f32")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7, help="of every random number (%(default)s)")
    parser.add_argument("--keep-trajectories", action="store_true", help="do not compute them again")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIRECTORY")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    document_file, tensor_file = arguments.output / "recipe.json", arguments.output / "recipe.safetensors"
    kept = json.loads(document_file.read_text())["trajectory"] if arguments.keep_trajectories else None

    tensors, losses, roots, deviations = cases(Random(arguments.seed))
    operation, distances = wasserstein(Random(arguments.seed + 1))
    painted, painted_roots, shapes, lines = painting(pictures(Random(arguments.seed)))
    save_file(tensors | operation | painted, tensor_file, {"format": "pt"})

    settings = dataclasses.asdict(Recipe())
    document = {
        "made_by": f"tools/make_recipe_fixtures.py --seed {arguments.seed}",
        "torch": torch.__version__,
        "seed": arguments.seed,
        "precision": "float64",
        "weights": WEIGHTS.name,
        "sample_stride": STRIDE,
        "recipe": settings | {"scales": [list(scale) for scale in settings["scales"]]},
        "feature_epsilon": FEATURE_EPSILON,
        "losses": rounded_all(losses),
        "rms": rounded_all(roots | painted_roots),
        "wasserstein": rounded_all(distances),
        "shapes": shapes,
        "steps": rounded_all(lines),
        "deviation_f32": deviations,
        "trajectory": kept or trajectories(),
    }
    document_file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    for path in (document_file, tensor_file):
        print(f"{path.stat().st_size:8} {path}")


def rounded_all(value):
    """Ten digits of every float, however deep; whole numbers as they are."""
    if isinstance(value, dict):
        return {key: rounded_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded_all(item) for item in value]
    return rounded(value) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
