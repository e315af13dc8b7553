"""A history of fakes for the critic (Shrivastava 2017, sec. 2.3; 50 images in Zhu 2017)."""

from __future__ import annotations

import torch
from torch import Tensor


def replayed(fakes: Tensor, pool: Tensor, count: Tensor) -> Tensor:
    """Half of the time an older fake from the pool, whose place the new one takes.

    Until the pool is full, each fake is stored and returned as it is. Only tensor operations, so
    nothing waits for the device; random numbers come from torch's global state.

    Args:
        fakes: Images (N, C, H, W), without gradient.
        pool: Stored images (P, C, H, W), changed in place.
        count: How many of the pool are filled, int64 scalar, changed in place.

    Returns:
        Images (N, C, H, W).
    """
    size, device = len(pool), fakes.device
    chosen = []
    for fake in fakes:
        full = count >= size
        use_old = full & (torch.rand((), device=device) < 0.5)
        slot = torch.where(full, torch.randint(size, (), device=device), count).view(1)
        slot = slot.clamp(max=size - 1)
        old = pool.index_select(0, slot)[0]
        chosen.append(torch.where(use_old, old, fake))
        stored = torch.where(use_old | ~full, fake, old)
        pool.index_copy_(0, slot, stored[None].to(pool.dtype))
        count += (~full).long()
    return torch.stack(chosen)
