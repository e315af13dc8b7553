"""The machine under a training: device, precision, processes, seeds, signals (Lightning Fabric).

The same script runs on one device, on several (Fabric starts it once more for each), or under
torchrun, which starts the processes itself.
"""

from __future__ import annotations

import inspect
import logging
import os
import signal
import threading
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any, Self

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import Precision
from lightning_fabric.strategies import DDPStrategy
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from medimg_gan.engine.settings import EngineConfig
from medimg_gan.errors import DeviceError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def make_fabric(config: EngineConfig) -> Fabric:
    """Choose device, precision and processes, and launch them.

    On a CPU, algorithms are deterministic: equal seeds and thread counts give equal bits. On a
    GPU, cuDNN picks the fastest algorithm, and repetitions agree to rounding only.

    Args:
        config: What the user asked for.

    Returns:
        A launched Fabric; with several devices, every process returns from here.

    Raises:
        DeviceError: If a GPU, several GPUs or bfloat16 is asked for and not there.
    """
    processes, nodes = _world(config.devices)
    accelerator = _accelerator(config.accelerator, processes)
    precision = _precision(config.precision, accelerator)
    if accelerator == "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Filling fresh memory only guards against reading it unset, and costs a pass each time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = True
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=accelerator,
        devices=processes,
        num_nodes=nodes,
        strategy=_data_parallel() if processes * nodes > 1 else "auto",
        plugins=[Bfloat16(accelerator)] if precision == "bf16-mixed" else [],
    )
    fabric.launch()
    return fabric


class Bfloat16(Precision):
    """Networks compute in bfloat16 inside :func:`autocast`, and give back float32.

    Fabric's own mixed precision turns autocast on inside each network. A penalty that needs
    float32 could then not turn it off, and gradients with respect to an image
    (``torch.autograd.grad``) are refused. Here the loop turns it on around a whole loss, so that
    ``torch.autocast(device_type, enabled=False)`` in a loss means what it says.
    """

    precision = "bf16-mixed"

    def __init__(self, device_type: str) -> None:
        super().__init__()
        self.device_type = device_type

    def context(self) -> torch.autocast:
        """What the loop enters around a loss."""
        return torch.autocast(self.device_type, dtype=torch.bfloat16)

    def forward_context(self) -> AbstractContextManager[Any]:
        """What a network's forward enters: keeps weights cast without gradient out of the cache.

        Autocast keeps the bfloat16 copy of a weight. A copy that was made under ``no_grad`` and
        used again with gradient would silently stop the weight from learning.
        """
        if torch.is_autocast_enabled(self.device_type) and not torch.is_grad_enabled():
            return torch.autocast(self.device_type, dtype=torch.bfloat16, cache_enabled=False)
        return nullcontext()

    def convert_output(self, data: Any) -> Any:
        """Losses see float32."""
        return apply_to_collection(data, Tensor, _as_float32)


def autocast(fabric: Fabric) -> AbstractContextManager[Any]:
    """The precision in which a loss is computed."""
    precision = fabric.strategy.precision
    return precision.context() if isinstance(precision, Bfloat16) else nullcontext()


def seed_step(seed: int, rank: int, step: int, device: torch.device) -> None:
    """Set torch's random state for one step of one process, whatever ran before.

    This is what makes a resumed training equal to an undisturbed one without saving any random
    state. ``SeedSequence`` mixes the three numbers the same way on every machine.

    Args:
        seed: Of the training.
        rank: Of the process.
        step: Steps done.
        device: Seeded together with the CPU.
    """
    state = int(np.random.SeedSequence((seed, rank, step)).generate_state(1, np.uint64)[0]) >> 1
    # Not torch.manual_seed: without a GPU it formats a stack trace each time (0.5 to 3 ms).
    torch.default_generator.manual_seed(state)
    if device.type == "cuda":
        torch.cuda.manual_seed(state)
    elif device.type == "mps":
        torch.mps.manual_seed(state)


class Interrupts:
    """Turns Ctrl-C and SIGTERM into a wish to stop; a second Ctrl-C stops at once.

    Attributes:
        wanted: Whether someone asked to stop.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python lets only the main thread of a process set handlers.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # Nothing is printed here: a signal may arrive in the middle of a print.
        if self.wanted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.wanted = True


def fast_bfloat16(accelerator: str) -> bool:
    """Whether bfloat16 was measured faster than float32 on this kind of hardware.

    On CPUs that is AVX512-BF16 and AMX (1.6 times faster on convolutional GANs); plain AVX512
    only emulates it. On CUDA it is compute capability 8.0 and later.
    """
    if accelerator == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if accelerator != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        has = torch.cpu.get_capabilities()
        return bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    # Older versions of torch know the same facts by private names.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)


def _data_parallel() -> DDPStrategy:
    """Several processes, each with its own buffers (batch-norm statistics).

    Writing another's into them in forward would break two forwards before one backward.
    """
    known = inspect.signature(DistributedDataParallel).parameters
    if "forward_sync_buffers" in known:  # its new name in torch 2.14, which warns of the old one
        return DDPStrategy(forward_sync_buffers=False)
    return DDPStrategy(broadcast_buffers=False)


def _as_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _world(devices: int) -> tuple[int, int]:
    """Processes on this machine, and machines: torchrun knows, else the user says."""
    if not torch.distributed.is_torchelastic_launched():
        return devices, 1
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return here, int(os.environ["WORLD_SIZE"]) // here


def _accelerator(asked: str, processes: int) -> str:
    """One of cpu, cuda, mps."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    if asked == "cpu" or (asked == "auto" and not gpus and not mps):
        return "cpu"
    if not gpus and not mps:
        raise DeviceError(
            "engine.accelerator gpu: no GPU can be used",
            observed=f"torch {torch.__version__} finds 0 GPUs, expected {processes}",
            cause="no GPU, no driver, or a torch build without CUDA (nvidia-smi tells)",
            fix="install the driver or a CUDA build of torch, or pass --engine.accelerator cpu",
        )
    if processes > max(gpus, int(mps)):
        raise DeviceError(
            f"engine.devices {processes}: not that many GPUs",
            observed=f"torch finds {max(gpus, int(mps))}",
            cause="fewer GPUs in this machine, or CUDA_VISIBLE_DEVICES hides some",
            fix=f"pass --engine.devices {max(gpus, int(mps))}, or --engine.accelerator cpu",
        )
    return "cuda" if gpus else "mps"


def _precision(asked: str, accelerator: str) -> str:
    """One of 32-true, bf16-mixed."""
    if asked == "auto":
        return "bf16-mixed" if fast_bfloat16(accelerator) else "32-true"
    if asked == "bf16-mixed" and accelerator == "cuda" and not fast_bfloat16(accelerator):
        raise DeviceError(
            "engine.precision bf16-mixed: this GPU has no bfloat16",
            observed=f"{torch.cuda.get_device_name()}, expected compute capability 8.0 or later",
            fix="pass --engine.precision 32-true",
        )
    return asked
