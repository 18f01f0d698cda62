"""What the peers in Python share: options, input, timing and the line of JSON."""

import argparse
import json
import os
import statistics
import time


def parser(description, lengths):
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--length", type=numbers, default=lengths, metavar="L,...", help="default: %(default)s")
    result.add_argument("--heads", type=int, default=8, metavar="H", help="default: %(default)s")
    result.add_argument("--width", type=int, default=64, metavar="E", help="default: %(default)s")
    result.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N", help="default: all, %(default)s here")
    result.add_argument("--repetitions", type=int, default=9, metavar="N", help="default: %(default)s")
    result.add_argument("--warm-up", type=int, default=2, metavar="N", help="calls before; default: %(default)s")
    return result


def numbers(text):
    return [int(part) for part in text.split(",")]


def normal_input(torch, length, heads, width):
    """Queries, keys and values, each (1, heads, length, width), standard normal from a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(1, heads, length, width, generator=generator) for _ in range(3))


def time_calls(call, options):
    for _ in range(options.warm_up):
        call()
    seconds = []
    for _ in range(options.repetitions):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def print_line(peer, version, length, options, seconds, exact, configuration, **more):
    median = statistics.median(seconds)
    line = {
        "peer": peer,
        "version": version,
        "length": length,
        "heads": options.heads,
        "width": options.width,
        "threads": options.threads,
        "seconds_median": median,
        "seconds": seconds,
    }
    if exact:
        line["gflops"] = 4 * options.heads * length**2 * options.width / median / 1e9
    print(json.dumps({**line, **more, "configuration": configuration}), flush=True)
