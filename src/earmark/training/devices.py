"""One training in several processes, one for each device, so that it is the same training as in one process.

A batch is made whole in every process from the same seed, and each process trains on its rows of it. Batch
normalisation takes its statistics, and the loss its mean, over the rows of all processes. What draws inside the network
(dropout) differs in each process. The processes are started by Lightning Fabric, by torchrun or by srun; on several
nodes by an srun that the first process starts.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from earmark.errors import ConfigError, ProtocolError, TrainingError
from earmark.training.batches import Batch

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # what torchrun, Lightning Fabric and srun set in each process


@dataclass(frozen=True)
class Hardware:
    """Where to compute: words of Lightning Fabric, and the number of CPU threads (None: as it is) of all processes.

    `devices`: on each node; `accumulate`: parts that a batch is cut into when memory is short. The gradient is that of
    the whole batch's loss; batch normalisation takes its statistics over one part.
    """

    accelerator: str = "auto"
    devices: int = 1
    precision: str = "32-true"
    threads: int | None = None
    accumulate: int = 1


@dataclass(frozen=True)
class Position:
    """Which of how many processes this one is, and in how many parts each takes a batch."""

    rank: int = 0
    world: int = 1
    accumulate: int = 1

    def parts(self, batch: Batch) -> Iterator[tuple[Batch, float]]:
        """Yield the parts of a batch that this process trains on, with their shares of the batch's clips.

        A batch too small for parts of two clips and of one in each process is cut into fewer parts. Raises
        ProtocolError for fewer clips than processes, and for clips of unequal length, whose rows cannot be told apart.
        """
        n_clips = len(batch.inputs)
        if self.world == self.accumulate == 1:
            yield batch, 1.0
            return
        if batch.lengths:
            raise ProtocolError("clips of unequal length cannot be parted; set devices and accumulate to 1")
        if n_clips < self.world:
            raise ProtocolError(
                f"the batch of step {batch.step} has {n_clips} clips, fewer than the {self.world} processes; set"
                f" devices in config.yaml to {n_clips} or less"
            )
        n_parts = max(1, min(self.accumulate, n_clips // max(2, self.world)))
        for number in range(n_parts):
            rows = slice(number + n_parts * self.rank, None, n_parts * self.world)
            part = replace(batch, inputs=batch.inputs[rows], targets=batch.targets[rows], clip_ids=batch.clip_ids[rows])
            yield part, len(part.inputs) / n_clips


def check_nodes(nodes: int) -> None:
    """Raise ConfigError for several nodes outside of a SLURM job, or without srun to start processes on them."""
    if nodes > 1 and not ("SLURM_JOB_ID" in os.environ and shutil.which("srun")):
        raise ConfigError(
            f"nodes: {nodes} needs a job of SLURM, and here is none, or no srun on the path. Start with --profile"
            " slurm, or set nodes: 1 in config.yaml; several GPUs of one machine are set by devices."
        )


def start_on_nodes(nodes: int, devices: int, threads: int) -> None:
    """On several nodes, run this program by srun in a process for each of their devices, and end with its exit code.

    `threads`: CPUs of a node, shared by its processes. Returns in these processes, and where there is one node.
    SIGTERM, SIGUSR1 and SIGINT reach them as SIGUSR1, since srun answers SIGTERM by killing its tasks before they can
    write a checkpoint. When one fails the others are ended; so after a signal srun may give the code of one that was
    slow to stop, and this program gives that of the signal. Raises ConfigError, see `check_nodes`.

    The program may itself be the one task of an srun: `--overlap` lets its own srun have what that one holds, instead
    of waiting for it for ever, and the binding to CPUs of that one's node is not passed on.
    """
    if nodes == 1 or _is_started_outside(devices):
        return
    check_nodes(nodes)
    shape = [f"--nodes={nodes}", f"--ntasks={nodes * devices}", f"--ntasks-per-node={devices}"]
    shape.append(f"--cpus-per-task={max(1, threads // devices)}")
    command = ["srun", *shape, "--overlap", "--kill-on-bad-exit=1", sys.executable, *sys.argv]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_CPU_BIND")}
    is_stopped = False
    with subprocess.Popen(command, start_new_session=True, env=environment) as srun:

        def stop(*_) -> None:
            nonlocal is_stopped
            is_stopped = True
            srun.send_signal(signal.SIGUSR1)

        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, stop)
        code = srun.wait()
    if code and is_stopped:
        code = -signal.SIGUSR1
    sys.exit(code if code >= 0 else 128 - code)


def make_fabric(hardware: Hardware):
    """Start Lightning Fabric for a training; with several devices this starts their processes or joins them.

    Fabric starts the program once more for each further device. Under torchrun, and under srun with a task for each
    device of each node, the processes are there already. Raises ConfigError for more devices than there are GPUs, and
    TrainingError where the processes run different versions of torch.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
    from lightning_fabric.strategies import DDPStrategy

    nodes = count_nodes(hardware.devices)
    on_gpu = hardware.accelerator != "cpu" and torch.cuda.is_available()
    if on_gpu and torch.cuda.device_count() < hardware.devices:
        raise ConfigError(
            f"found {torch.cuda.device_count()} GPUs and devices: {hardware.devices}; set devices in config.yaml to at"
            " most the number of GPUs that a job sees"
        )
    options: dict[str, Any] = {}
    if hardware.devices * nodes > 1:
        options["strategy"] = DDPStrategy(forward_sync_buffers=False)  # equal in all processes already
    if not _is_started_by_torchrun():  # said in words: Fabric takes any job of SLURM for one that srun has started
        options["plugins"] = [SLURMEnvironment() if _is_started_by_srun(hardware.devices) else LightningEnvironment()]
    fabric = Fabric(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        num_nodes=nodes,
        precision=hardware.precision,
        **options,
    )
    if hardware.devices * nodes > 1:
        fabric.launch()
        _check_same_torch()
    if hardware.threads:
        torch.set_num_threads(max(1, hardware.threads // hardware.devices))
    return fabric


def count_nodes(devices: int) -> int:
    """Count the nodes on which torchrun or srun has started `devices` processes each; 1 where neither has."""
    if _is_started_by_torchrun():
        return max(1, int(os.environ.get("WORLD_SIZE") or 1) // devices)
    return int(os.environ["SLURM_STEP_NUM_NODES"]) if _is_started_by_srun(devices) else 1


def log_of_process(path: str | Path) -> Path:
    """Name the log of this process: `path` itself for the first one, `<name>.rank1.log` and so on for the others."""
    rank = max(int(os.environ.get(name) or 0) for name in RANKS)
    path = Path(path)
    return path.with_suffix(f".rank{rank}{path.suffix}") if rank else path


def describe_share(fabric, hardware: Hardware, batch_size: int) -> dict[str, Any]:
    """Give what a card says of a training's devices: their number, nodes, parts of a batch, scope of batch norm."""
    return {
        "devices": fabric.world_size,
        "nodes": count_nodes(hardware.devices),
        "accumulate": hardware.accumulate,
        "batch_norm_over": f"{batch_size // hardware.accumulate} clips",
    }


def share_batch_norm(model: nn.Module, device: torch.device) -> None:
    """Let every batch normalisation of a model take its statistics over all processes; names of weights stay.

    On GPUs by torch's SyncBatchNorm, which knows no CPU.
    """
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.forward = partial(batch_norm_of_all, module)


def batch_norm_of_all(module: _BatchNorm, inputs: torch.Tensor) -> torch.Tensor:
    """Normalise `inputs` [batch, channels, ...] as `module` would with the rows of all processes in one batch.

    Mean and variance of the processes are weighed by their numbers of values; the running variance is the unbiased one.
    Gradients flow through the statistics of all processes. Out of training it is the module's own forward.
    """
    if not module.training:
        return type(module).forward(module, inputs)
    values = inputs.to(torch.promote_types(inputs.dtype, torch.float32))  # half precision is too coarse for sums
    outputs, mean, variance, n = _BatchNormOfAll.apply(values, module.weight, module.bias, module.eps)
    if module.track_running_stats:
        with torch.no_grad():
            module.num_batches_tracked += 1
            momentum = 1 / module.num_batches_tracked if module.momentum is None else module.momentum
            module.running_mean.lerp_(mean, momentum)
            module.running_var.lerp_(variance * (n / (n - 1)), momentum)
    return outputs.to(inputs.dtype)


class _BatchNormOfAll(torch.autograd.Function):
    """Batch normalisation over all processes from torch's kernels for one; the gradient as in Ioffe and Szegedy 2015.

    Returns the outputs and, without gradients, mean [channels] and variance [channels] over all processes, and the
    number of values they are of [1]. The gradients of weight and bias are this process's share.
    """

    @staticmethod
    def forward(ctx, values: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, eps: float):
        own_mean, own_variance = torch.batch_norm_update_stats(values, None, None, 0.0)  # [channels]; no running values
        own_n = torch.full_like(own_mean[:1], values.numel() / values.shape[1])
        own = torch.cat([own_mean, own_variance, own_n])
        found = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(found, own)
        means, variances, counts = torch.stack(found).split([len(own_mean), len(own_variance), 1], dim=1)
        n = counts.sum(0)
        mean = (means * counts).sum(0) / n
        variance = ((variances + (means - mean).square()) * counts).sum(0) / n
        ctx.save_for_backward(values, weight, mean, variance, n)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, n)
        return torch.native_batch_norm(values, weight, bias, mean, variance, False, 0.0, eps)[0], mean, variance, n

    @staticmethod
    def backward(ctx, gradient: torch.Tensor, *_):
        values, weight, mean, variance, n = ctx.saved_tensors
        _, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, values, weight, mean, variance, None, None, False, ctx.eps, [False, True, True]
        )
        total = torch.cat([by_weight, by_bias])
        distributed.all_reduce(total)
        of_weight, of_bias = total.chunk(2)
        deviation = (variance + ctx.eps).rsqrt()
        scale = deviation if weight is None else deviation * weight
        slope = -scale * deviation * of_weight / n
        shape = [1, -1, *[1] * (values.ndim - 2)]
        by_values = torch.addcmul((-scale * of_bias / n - slope * mean).view(shape), values, slope.view(shape))
        by_values.addcmul_(gradient, scale.view(shape))
        return by_values, *(None if weight is None else found for found in (by_weight, by_bias)), None


class _RowsOfAll(torch.autograd.Function):
    """Put the rows of all processes below one another; a row's gradient is summed over the losses of all processes."""

    @staticmethod
    def forward(ctx, values: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        padded = values.new_zeros(max(lengths), *values.shape[1:])
        padded[: len(values)] = values
        found = [torch.empty_like(padded) for _ in lengths]
        distributed.all_gather(found, padded)
        ctx.lengths = lengths
        return torch.cat([rows[:length] for rows, length in zip(found, lengths, strict=True)])

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total.split(ctx.lengths)[distributed.get_rank()], None


def gather_rows(values: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return the rows [n, ...] of all processes in their order, and the place of this process's first one.

    Gradients flow to the process that a row is from. Processes may have different numbers of rows.
    """
    if not _has_others():
        return values, 0
    lengths = gather(len(values))
    return _RowsOfAll.apply(values, lengths), sum(lengths[: distributed.get_rank()])


def agree(value: float, signal_number: int | None, is_due: bool, device: torch.device) -> tuple[float, int, bool]:
    """Agree on a step in one message: the sum of the loss's parts, the highest signal, whether the first says due."""
    if not _has_others():
        return value, signal_number or 0, is_due
    own = torch.tensor([value, signal_number or 0, is_due], dtype=torch.float64, device=device)
    found = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(found, own)
    rows = torch.stack(found).cpu()
    return float(rows[:, 0].sum()), int(rows[:, 1].max()), bool(rows[0, 2])


def gather(value: Any) -> list[Any]:
    """Collect a value of each process, in their order, for all of them."""
    if not _has_others():
        return [value]
    found = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, value)
    return found


def check_same_step(step: int, work: Path) -> None:
    """Raise TrainingError when the processes of a training would go on from different checkpoints."""
    steps = gather(step)
    if len(set(steps)) > 1:
        raise TrainingError(
            f"the processes of one training found checkpoints of steps {steps} in {work}, and must go on from the same"
            " one. This folder has to be on a file system that all nodes see; start again when it is."
        )


def _check_same_torch() -> None:
    """Raise TrainingError when the processes of a training run different versions of torch."""
    found = gather((socket.gethostname(), str(torch.__version__)))
    if len({version for _, version in found}) > 1:
        told = ", ".join(f"node {node} has torch {version}" for node, version in dict.fromkeys(found))
        raise TrainingError(
            f"the processes of one training run different software: {told}. Install one version on all nodes, or one"
            " environment on a file system that all of them see, and start again."
        )


def predict_shared(predict, rows: Sequence[int]) -> np.ndarray:
    """Predict `rows` with each process taking its share; `predict(rows)` returns an array of as many rows.

    All processes get the whole, in the order of `rows`.
    """
    if not _has_others():
        return predict(rows)
    world, rank = distributed.get_world_size(), distributed.get_rank()
    own = np.asarray(rows)[rank::world]
    shares = gather(predict(own) if len(own) else None)
    first = next(share for share in shares if share is not None)
    whole = np.empty((len(rows), *first.shape[1:]), dtype=first.dtype)
    for number, share in enumerate(shares):
        if share is not None:
            whole[number::world] = share
    return whole


def _has_others() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _is_started_outside(devices: int) -> bool:
    """Say whether torchrun, or srun with a task for each device, has started the processes."""
    return _is_started_by_torchrun() or _is_started_by_srun(devices)


def _is_started_by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def _is_started_by_srun(devices: int) -> bool:
    """Say whether srun has started a task for each device. Only srun sets these; sbatch and salloc set SLURM_NTASKS."""
    tasks, nodes = (int(os.environ.get(name) or 0) for name in ("SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES"))
    return tasks > 1 and tasks == devices * nodes
