"""Compare batch normalisation over two processes with torch's own over the whole batch; run as a program by a test."""

import json
import sys
from pathlib import Path

import torch
from torch import distributed, nn

from earmark.training.devices import Hardware, agree, gather, make_fabric, predict_shared, share_batch_norm

CASES = {"images": ((5, 3, 4, 2), True), "rows": ((5, 3), True), "without_weights": ((5, 3, 4, 2), False)}


def pass_through(module: nn.Module, inputs: torch.Tensor, weights: torch.Tensor) -> dict[str, torch.Tensor]:
    inputs = inputs.clone().requires_grad_(True)
    outputs = module(inputs)
    (outputs.square() * weights).sum().backward()
    return {
        "outputs": outputs,
        "inputs": inputs.grad,
        "running_mean": module.running_mean,
        "running_var": module.running_var,
        **{name: parameter.grad for name, parameter in module.named_parameters()},
    }


def farthest(shape: tuple[int, ...], affine: bool, rank: int) -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    inputs, weights = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    make = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    whole, shared = (make(shape[1], affine=affine, dtype=torch.float64) for _ in range(2))
    for module in (whole, shared):
        for name, parameter in module.named_parameters():
            nn.init.constant_(parameter, {"weight": 1.5, "bias": 0.5}[name])
    share_batch_norm(shared, torch.device("cpu"))
    wanted = pass_through(whole, inputs, weights)
    found = pass_through(shared, inputs[rank::2], weights[rank::2])  # three rows here, two there
    for name, _ in shared.named_parameters():
        distributed.all_reduce(found[name])
    for name in ("outputs", "inputs"):
        wanted[name] = wanted[name][rank::2]
    shared.eval()
    whole.eval()
    found["evaluation"], wanted["evaluation"] = shared(inputs), whole(inputs)
    return {name: float((found[name] - value).abs().max()) for name, value in wanted.items()}


if __name__ == "__main__":
    fabric = make_fabric(Hardware("cpu", 2, threads=2))
    rank = fabric.global_rank
    results = {
        "world": fabric.world_size,
        "threads": torch.get_num_threads(),
        **{name: farthest(*case, rank) for name, case in CASES.items()},
        "agreed": agree(0.25 + rank, 15 if rank else None, rank == 1, fabric.device),
        "gathered": gather(f"process {rank}"),
        "predicted": predict_shared(lambda rows: rows[:, None] * 2.0, [5, 3, 8, 1, 9]).tolist(),
        "alone": predict_shared(lambda rows: rows[:, None] * 2.0, [7]).tolist(),
    }
    if rank == 0:
        Path(sys.argv[1]).write_text(json.dumps(results))
    fabric.barrier()
