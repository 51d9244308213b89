"""Training in several processes that average their weights now and then.

Threads of one process wait for each other at every operation, which is slow on cores shared with other
programs; processes that meet every few steps are not. Started by `python -m torch.distributed.run
--nproc-per-node N -m container.embedded.train ...`; without it there is one worker.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn

MEET_EVERY = 8
"""Steps between two averagings."""


class Workers:
    """The processes training one model together, and which of them this is."""

    def __init__(self) -> None:
        if dist.is_torchelastic_launched() and not dist.is_initialized():
            dist.init_process_group("gloo")
        self.count = dist.get_world_size() if dist.is_initialized() else 1
        self.rank = dist.get_rank() if dist.is_initialized() else 0

    def meet_after(self, step: int) -> bool:
        """Whether the workers wait for each other after `step`."""
        return (step + 1) % MEET_EVERY == 0

    def agree(self, value: float) -> float:
        """The first worker's value, for all of them; call it only where they meet."""
        shared = torch.tensor([value], dtype=torch.float64)
        if self.count > 1:
            dist.broadcast(shared, src=0)
        return shared.item()

    @torch.no_grad()
    def average(self, model: nn.Module, *, step: int) -> None:
        """Give every worker the mean of all workers' weights, when it is time to meet."""
        if self.count == 1 or not self.meet_after(step):
            return
        weights = list(model.parameters())
        flat = torch.cat([weight.flatten() for weight in weights])
        dist.all_reduce(flat)
        flat /= self.count
        for weight, mean in zip(weights, flat.split([w.numel() for w in weights]), strict=True):
            weight.copy_(mean.view_as(weight))
