"""Spectral normalisation (Miyato 2018): every layer stretches no direction by more than 1."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

NetT = TypeVar("NetT", bound=nn.Module)

FIRST_ITERATIONS = 15
"""Rounds of power iteration on fresh weights; one with every look at weights in training."""


def spectrally_normalised(network: NetT) -> NetT:
    """Divide the weight of every convolution and linear layer by its largest singular value.

    Args:
        network: Changed in place, and returned. Its transposed convolutions stay as they are.
    """
    for part in list(network.modules()):
        if isinstance(part, nn.Conv2d | nn.Linear):
            parametrize.register_parametrization(part, "weight", SpectralNorm(part.weight))
    return network


class SpectralNorm(nn.Module):
    """``W / sigma(W)``, sigma by power iteration (Miyato 2018, eq. 8 and appendix A).

    Unlike torch's own it iterates only while the weight itself is trained, so that a phase that
    trains another network leaves no trace in this one, and always in float32. Processes
    that begin with equal vectors and hold equal weights keep equal vectors.

    Args:
        weight: (out, in, ...), as it is before training.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("left", F.normalize(torch.randn(len(matrix)), dim=0))
        self.register_buffer("right", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        self.left: Tensor
        self.right: Tensor
        for _ in range(FIRST_ITERATIONS):
            self._iterate(matrix)

    def forward(self, weight: Tensor) -> Tensor:
        """(out, in, ...) -> same shape."""
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            if self.training and weight.requires_grad:
                self._iterate(matrix.detach())
            # Copies: a second look before the backward pass of the first must not change it.
            sigma = self.left.clone() @ matrix @ self.right.clone()
            return weight / sigma

    def _iterate(self, matrix: Tensor) -> None:
        with torch.no_grad():
            self.left.copy_(F.normalize(matrix @ self.right, dim=0))
            self.right.copy_(F.normalize(matrix.T @ self.left, dim=0))
