#!/usr/bin/env python3
"""Times PyTorch's scaled_dot_product_attention on the CPU and prints one line of JSON for each length."""

import environment
import measure

options = measure.parser(__doc__, [512, 2048, 4096, 8192]).parse_args()
environment.enter(environment.TORCH, environment.NUMPY, threads=options.threads)

import torch  # noqa: E402

torch.set_num_threads(options.threads)
attention = torch.nn.functional.scaled_dot_product_attention
configuration = {
    "device": "cpu",
    "instructions": torch.backends.cpu.get_cpu_capability(),
    "kernel": "PyTorch's choice",
}

with torch.no_grad():
    for length in options.length:
        query, key, value = measure.normal_input(torch, length, options.heads, options.width)
        seconds = measure.time_calls(lambda: attention(query, key, value), options)
        measure.print_line("pytorch sdpa", torch.__version__, length, options, seconds, True, configuration)
