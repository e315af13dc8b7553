"""Choosing few images out of many so that they stand for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray


def k_centre(features: FloatArray, count: int) -> IntArray:
    """Greedy k-centre selection: each choice is the image farthest from all chosen so far.

    The largest distance of an image to its nearest chosen one is at most twice the smallest
    possible (Gonzalez 1985; as a core set of training images: Sener & Savarese 2018, Algorithm 1).
    It begins with the image nearest to the mean; equal features give equal choices.

    Args:
        features: (N, d).
        count: How many to choose, at most N.

    Returns:
        (count,) indices in the order of choice.

    Raises:
        ValueError: If there are fewer images than ``count``.
    """
    if count > len(features):
        raise ValueError(f"cannot choose {count} of {len(features)} images")
    points = np.asarray(features, np.float64)
    distance = np.full(len(points), np.inf)
    chosen = np.empty(count, dtype=np.int64)
    following = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin()) if count else 0
    for place in range(count):
        chosen[place] = following
        distance = np.minimum(distance, ((points - points[following]) ** 2).sum(axis=1))
        distance[following] = -1.0  # twins of a chosen image may be chosen, itself may not
        following = int(distance.argmax())
    return chosen
