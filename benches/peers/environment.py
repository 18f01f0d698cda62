"""Installs packages into a virtual environment outside the repository and continues there."""

import importlib.metadata
import os
import subprocess
import sys
import venv
from pathlib import Path

# What the figures in docs/performance.md were taken with.
TORCH = "torch==2.15.0"
NUMPY = "numpy==2.4.6"
ONNXRUNTIME = "onnxruntime==1.32.0"
ONNX = "onnx==1.23.2"
FAST_TRANSFORMERS = "pytorch-fast-transformers==0.4.0"


def folder():
    """Where peers are installed: CLUSTERED_ATTENTION_PEERS, or a folder in the user's cache."""
    chosen = os.environ.get("CLUSTERED_ATTENTION_PEERS")
    if chosen:
        return Path(chosen).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "clustered-attention-peers"


def enter(*requirements, threads=None):
    """Runs the calling script again with the environment's Python, after installing what is missing.

    The second time it returns at once. The number of threads must be known to OpenMP before it is loaded.
    """
    home = folder() / "python"
    if Path(sys.prefix).resolve() == home.resolve():
        return
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    for requirement in ("setuptools", "wheel", *requirements):
        if not is_installed(python, requirement):
            install(python, requirement)
    environment = dict(os.environ)
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    os.execve(python, [str(python), *sys.argv], environment)


def is_installed(python, requirement):
    name, _, version = requirement.partition("==")
    query = f"import importlib.metadata as metadata; print(metadata.version({name!r}))"
    answer = subprocess.run([python, "-c", query], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and version in ("", answer.stdout.strip())


def install(python, requirement):
    print(f"installing {requirement} into {folder()}", file=sys.stderr)
    # Without isolation a package that compiles against PyTorch finds the one installed before it.
    command = [python, "-m", "pip", "install", "--quiet", "--no-build-isolation", requirement]
    subprocess.run(command, stdout=sys.stderr, check=True)


def version(package):
    return importlib.metadata.version(package)
