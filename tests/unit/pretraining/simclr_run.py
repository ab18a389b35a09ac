"""Compare NT-Xent over two processes with that of the whole batch in one; run as a program by a test."""

import json
import sys
from pathlib import Path

import torch
from torch import distributed

from earmark.pretraining.simclr import nt_xent
from earmark.training.devices import Hardware, make_fabric

CLIPS, DIM, TEMPERATURE = 7, 5, 0.1


def draw_views() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.randn(CLIPS, DIM, generator=generator, dtype=torch.float64) for _ in range(2))
    return [view.requires_grad_(True) for view in drawn]


if __name__ == "__main__":
    whole = draw_views()
    wanted = nt_xent(*whole, TEMPERATURE)  # before there are processes
    wanted.backward()
    rank = make_fabric(Hardware("cpu", 2, threads=2)).global_rank
    views = draw_views()
    own = [view[rank::2] for view in views]  # four clips here, three there
    loss = nt_xent(*own, TEMPERATURE) * len(own[0]) / CLIPS
    loss.backward()
    total = loss.detach().clone()
    distributed.all_reduce(total)
    gradients = [(view.grad[rank::2] - one.grad[rank::2]).abs().max() for view, one in zip(views, whole, strict=True)]
    found = {"rank": rank, "loss": float(total - wanted), "gradients": [float(gradient) for gradient in gradients]}
    Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(found))
    distributed.barrier()
