"""Which device computes, in which deterministic way, and the fingerprint within which bits repeat."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from dataclasses import dataclass

import torch

from understudy_worker.packed import ATTENTION
from understudy_worker.wire import Fingerprint

# Raised by hand whenever this code changes the bits of training. 0 is 0.1.0, whose digest does not name it.
ENGINE = 0


@dataclass(frozen=True)
class Backend:
    """The device that this process computes on."""

    device: torch.device
    threads: int

    def memory_bytes(self) -> int:
        """Memory of the device in bytes."""
        if self.device.type == "cuda":
            return int(torch.cuda.get_device_properties(self.device).total_memory)
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def pin_threads(self) -> None:
        """Fix the thread count of the calling thread: OpenMP keeps it for each thread by itself."""
        torch.set_num_threads(self.threads)


def configure(threads: int | None = None) -> Backend:
    """Set up torch once a process: CUDA when there is one, deterministic kernels, full fp32, fixed threads."""
    # cuBLAS repeats its bits only with a fixed workspace; it is read when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Filling every new tensor is a debugging aid that costs time; nothing here reads uninitialised memory.
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010 - typed nowhere
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.benchmark = False
    _keep_memory()
    device = (
        torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if torch.cuda.is_available()
        else torch.device("cpu")
    )
    backend = Backend(device=device, threads=threads or torch.get_num_threads())
    backend.pin_threads()
    return backend


# mallopt(3) parameters of glibc.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def _keep_memory() -> None:
    """Have the C library keep freed memory for the next tensor. As it comes, every large tensor is mapped anew and the
    kernel clears its pages at first touch: a third of a training step on a CPU (measured)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc only
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_ARENA_MAX, 1)):
            mallopt(parameter, value)


def _math(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda {torch.version.cuda}, cudnn {torch.backends.cudnn.version()}"
    lines = torch.__config__.show().splitlines()
    return "; ".join(line.strip(" -") for line in lines if "oneAPI" in line or "MKL-DNN" in line) or "unknown"


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        models = []
    return models[0] if models else "cpu"


def fingerprint(backend: Backend, *, world: int = 1) -> Fingerprint:
    """All that bit-exactness holds within; two workers with the same digest repeat each other's bits."""
    parts = {
        "torch": torch.__version__,
        "device": _device_name(backend.device),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "math": _math(backend.device),
        "threads": backend.threads,
        "world_size": world,
        "attention": ATTENTION,
        "compile": "eager",
    }
    engine = {"engine": ENGINE} if ENGINE > 0 else {}
    digest = hashlib.sha256(json.dumps({**parts, **engine}, sort_keys=True).encode()).hexdigest()
    return Fingerprint.model_validate_json(json.dumps({**parts, "engine": ENGINE, "digest": digest}))
