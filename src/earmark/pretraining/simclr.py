"""The loss of SimCLR pre-training (Chen et al. 2020), over the clips of all processes."""

import torch
from torch.nn.functional import cross_entropy, normalize

from earmark.training.devices import gather_rows


def nt_xent(first: torch.Tensor, second: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the mean NT-Xent loss of this process's clips, in float32 or finer.

    `first`, `second`: projections of two views of the same clips, [clips, dim] of this process. Each of the 2N views of
    all N clips of all processes is told from the 2N - 1 others by cosines over the temperature. So the means of all
    processes, weighed by their clips, are the loss of the whole batch in one process, and so are their gradients.
    """
    kind = torch.promote_types(first.dtype, torch.float32)
    own = [normalize(view.to(kind), dim=-1) for view in (first, second)]
    (all_first, begin), (all_second, _) = map(gather_rows, own)
    others = torch.cat([all_first, all_second])  # [2N, dim]
    clips = torch.arange(begin, begin + len(first), device=first.device)
    anchors = torch.cat([clips, clips + len(all_first)])  # rows of `others`
    partners = torch.cat([clips + len(all_first), clips])
    logits = torch.cat(own) @ others.T / temperature
    logits = logits.scatter(1, anchors[:, None], -torch.inf)  # no view is told from itself
    return cross_entropy(logits, partners)
