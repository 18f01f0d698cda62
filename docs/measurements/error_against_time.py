#!/usr/bin/env python3
"""Error against time of stitched attention on the CPU, over clusters, key groups, top-k and window: runs the example `headless` of a
release build on one input and writes a picture beside the figures.

Usage, from the root of the repository (nothing else should run meanwhile):
  cargo build --release --example headless
  docs/measurements/error_against_time.py examples/data/speech_layer1.safetensors docs/error-against-time
"""

import itertools
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

HEADLESS = "target/release/examples/headless"
SEEDS = range(3)
REPETITIONS = 9
CLUSTERS, GROUPS, TOP_K, WINDOW = (10, 16, 25, 50), (0, 8, 16, 32, 48), (16, 32, 64), (8, 16, 32)
COLOURS = {0: "#8c8c8c", 8: "#b58900", 16: "#d1495b", 32: "#2e6fbb", 48: "#2a9d5c"}
DEFAULT = {"clusters": 25, "key_groups": 16, "top_k": 64, "window": 16}


def measure(source, arguments):
    """Mean error and median time over the seeds, in milliseconds."""
    errors, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        for seed in SEEDS:
            command = [HEADLESS, "--input", source, "--backend", "cpu", "--repeat", str(REPETITIONS), "--seed", str(seed)]
            subprocess.run([*command, "--json", path, *arguments], check=True, stdout=subprocess.DEVNULL)
            run = json.loads(path.read_text())["runs"][0]
            errors.append(run["relative_error"])
            seconds.append(run["seconds_median"])
    return {"error": sum(errors) / len(errors), "milliseconds": 1e3 * sorted(seconds)[len(seconds) // 2]}


def sweep(source):
    points = []
    for clusters, groups, top_k, window in itertools.product(CLUSTERS, GROUPS, TOP_K, WINDOW):
        options = {"clusters": clusters, "key_groups": groups, "top_k": top_k, "window": window}
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        points.append({**options, **measure(source, ["--method", "stitched", *arguments])})
    return points


def fastest(points):
    """Those that no other point beats in both, by time."""
    front = []
    for point in sorted(points, key=lambda point: (point["milliseconds"], point["error"])):
        if not front or point["error"] < front[-1]["error"]:
            front.append(point)
    return front


def picture(results):
    """An SVG: a dot a setting, coloured by its key groups; the best line; the default and what it replaced."""
    points = results["stitched"]
    everything = points + [results["exact"], results["hamming"]]
    times = [point["milliseconds"] for point in everything]
    errors = [point["error"] for point in points + [results["hamming"]]]
    width, height, left, top, right, bottom = 820, 500, 64, 56, 20, 52

    def scale(values):
        low, high = math.log(0.93 * min(values)), math.log(1.07 * max(values))
        return lambda value: (math.log(value) - low) / (high - low)

    across, up = scale(times), scale(errors)
    x = lambda value: left + across(value) * (width - left - right)
    y = lambda value: height - bottom - up(value) * (height - top - bottom)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{left}" y="22" font-size="15" font-weight="600">Stitched attention on the CPU: error against time</text>',
    ]
    ticks = [value for power in (-3, -2, -1, 0, 1, 2) for value in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)]
    for value in ticks:
        if min(times) * 0.93 <= value <= max(times) * 1.07:
            out.append(f'<path d="M{x(value):.1f} {top}V{height - bottom}" stroke="#e6e6e6"/>')
            out.append(f'<text x="{x(value):.1f}" y="{height - bottom + 18}" text-anchor="middle">{value:g}</text>')
        if min(errors) * 0.93 <= value <= max(errors) * 1.07:
            out.append(f'<path d="M{left} {y(value):.1f}H{width - right}" stroke="#e6e6e6"/>')
            out.append(f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 12}" text-anchor="middle">milliseconds a call</text>')
    out.append(f'<text transform="translate(16 {(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">relative error</text>')
    for point in points:
        colour = COLOURS[point["key_groups"]]
        out.append(f'<circle cx="{x(point["milliseconds"]):.1f}" cy="{y(point["error"]):.1f}" r="3" fill="{colour}" fill-opacity=".75"/>')
    line = " ".join(f'{x(point["milliseconds"]):.1f},{y(point["error"]):.1f}' for point in fastest(points))
    out.append(f'<polyline points="{line}" fill="none" stroke="#222" stroke-width="1.2"/>')
    default = next(point for point in points if all(point[name] == value for name, value in DEFAULT.items()))
    exact = x(results["exact"]["milliseconds"])
    out.append(f'<path d="M{exact:.1f} {top}V{height - bottom}" stroke="#222" stroke-dasharray="5 4"/>')
    out.append(f'<text x="{exact - 6:.1f}" y="{top + 14}" text-anchor="end">exact</text>')
    for point, name in ((default, "default"), (results["hamming"], "without key groups, by hash codes")):
        px, py = x(point["milliseconds"]), y(point["error"])
        out.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="6.5" fill="none" stroke="#111" stroke-width="1.8"/>')
        out.append(f'<text x="{px + 11:.1f}" y="{py - 7:.1f}" font-weight="600" stroke="#fff" stroke-width="3" paint-order="stroke">{name}</text>')
    for place, (groups, colour) in enumerate(COLOURS.items()):
        px = left + 108 * place
        label = f"{groups} key groups" if groups else "no key groups"
        out.append(f'<circle cx="{px + 5}" cy="{top - 15}" r="4.5" fill="{colour}"/><text x="{px + 14}" y="{top - 11}" font-size="12">{label}</text>')
    return "\n".join([*out, "</svg>", ""])


def main():
    source, output = sys.argv[1:]
    results = {
        "input": Path(source).name,
        "seeds": len(SEEDS),
        "stitched": sweep(source),
        "hamming": measure(source, ["--method", "stitched", "--space", "hamming", "--key-groups", "0", "--top-k", "32"]),
        "exact": measure(source, ["--method", "exact"]),
    }
    Path(output + ".json").write_text(json.dumps(results, indent=1) + "\n")
    Path(output + ".svg").write_text(picture(results))
    for point in fastest(results["stitched"]):
        print(point)


if __name__ == "__main__":
    main()
