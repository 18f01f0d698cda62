#!/usr/bin/env python3
"""Times improved-clustered attention of fast-transformers on the CPU and prints one line of JSON for each length."""

import environment
import measure

parser = measure.parser(__doc__, [2048, 8192])
parser.add_argument("--clusters", type=int, default=100, metavar="C", help="default: %(default)s")
parser.add_argument("--top-k", type=int, default=32, metavar="K", help="default: %(default)s")
parser.add_argument("--bits", type=int, default=63, metavar="B", help="default: %(default)s")
parser.add_argument("--iterations", type=int, default=10, metavar="N", help="default: %(default)s")
options = parser.parse_args()
environment.enter(environment.TORCH, environment.NUMPY, environment.FAST_TRANSFORMERS, threads=options.threads)

import torch  # noqa: E402
from fast_transformers.attention import ImprovedClusteredAttention  # noqa: E402
from fast_transformers.masking import FullMask, LengthMask  # noqa: E402

torch.set_num_threads(options.threads)
torch.manual_seed(0)  # of the hyperplanes, which are drawn in every call
attention = ImprovedClusteredAttention(
    clusters=options.clusters, iterations=options.iterations, bits=options.bits, topk=options.top_k
).eval()
configuration = {
    "clusters": options.clusters,
    "top_k": options.top_k,
    "bits": options.bits,
    "iterations": options.iterations,
    "pytorch": torch.__version__,
}

with torch.no_grad():
    for length in options.length:
        heads_first = measure.normal_input(torch, length, options.heads, options.width)
        # The module takes (sequence, position, head, width).
        query, key, value = (tensor.transpose(1, 2).contiguous() for tensor in heads_first)
        everything, lengths = FullMask(length), LengthMask(torch.tensor([length]))

        def call():
            return attention(query, key, value, everything, lengths, lengths)

        seconds = measure.time_calls(call, options)
        exact = torch.nn.functional.scaled_dot_product_attention(*heads_first).transpose(1, 2)
        error = torch.linalg.vector_norm(call() - exact) / torch.linalg.vector_norm(exact)
        version = environment.version("pytorch-fast-transformers")
        measure.print_line(
            "fast-transformers improved-clustered", version, length, options, seconds, False, configuration,
            relative_error=error.item(),
        )
