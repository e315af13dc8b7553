"""Is a slice the copy of another? Exact copies by hash, altered ones by what survives alteration.

The lowest 16 x 16 frequencies of a slice's cosine transform, without the mean and at unit length,
do not change with brightness and contrast, and little with compression. Their signs
are the perceptual hash (pHash, Zauner 2010, with 255 bits where the original has 64: at 64 bits
heads of different patients are as near as recompressed copies).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.fft import dctn

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

ROWS_AT_ONCE = 256
FREQUENCIES = 16
BLANK = 0.01
"""Standard deviation, as a share of half the value range, below which a slice shows nothing."""
LOWER_TAIL, SHARE = 0.1, 0.5
"""A pair nearer than this share of this quantile of different patients' distances is a copy."""


def content_hashes(pictures: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A hash (N,) of each picture's values, whatever their type; equal pictures, equal hashes."""
    return np.array(
        [
            hashlib.blake2b(np.ascontiguousarray(one).tobytes(), digest_size=16).hexdigest()
            for one in pictures
        ],
        dtype="U32",
    )


def shows_something(images: FloatArray) -> np.ndarray[Any, Any]:
    """Whether each image (N, C, H, W) in [-1, 1] is more than one grey level; (N,)."""
    chunks = range(0, len(images), ROWS_AT_ONCE)
    parts = [images[at : at + ROWS_AT_ONCE].std(axis=(1, 2, 3)) for at in chunks]
    return np.concatenate([np.zeros(0), *parts]) > BLANK


def outlines(images: FloatArray) -> FloatArray:
    """The lowest frequencies of images (N, 1, H, W): (N, d) float32 of unit length, d up to 255."""
    parts = []
    for begin in range(0, max(1, len(images)), ROWS_AT_ONCE):
        some = np.asarray(images[begin : begin + ROWS_AT_ONCE, 0], np.float32)
        waves = np.asarray(dctn(some, axes=(1, 2), norm="ortho"))
        low = waves[:, :FREQUENCIES, :FREQUENCIES]
        flat = low.reshape(len(low), low.shape[1] * low.shape[2])[:, 1:]
        parts.append(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12))
    return np.concatenate(parts).astype(np.float32)


def mirrored(outline: FloatArray, width: int) -> FloatArray:
    """The outlines (N, d) of images (so many columns wide) flipped left to right."""
    columns = min(FREQUENCIES, width)
    place = np.arange(1, outline.shape[1] + 1) % columns
    return outline * np.where(place % 2, -1, 1).astype(np.float32)


def perceptual_hashes(outline: FloatArray) -> FloatArray:
    """-1 or 1 by which side of their median the frequencies lie: (N, d).

    Half the Euclidean distance of two, squared, is the number of bits in which they differ.
    """
    signs = outline > np.median(outline, axis=1, keepdims=True)
    return np.where(signs, 1, -1).astype(np.float32)


def nearest_apart(
    queries: FloatArray,
    references: FloatArray,
    query_groups: np.ndarray[Any, Any] | None = None,
    reference_groups: np.ndarray[Any, Any] | None = None,
) -> tuple[FloatArray, IntArray]:
    """The nearest reference of each query, of another group where groups are given.

    Never holds more than ``ROWS_AT_ONCE`` rows of the matrix of distances.

    Args:
        queries: (N, d).
        references: (M, d).
        query_groups: (N,) such as patients.
        reference_groups: (M,).

    Returns:
        Euclidean distance (N,), inf where no reference of another group is there, and index (N,).
    """
    if not len(references):
        return np.full(len(queries), np.inf), np.zeros(len(queries), dtype=np.int64)
    squares = (references**2).sum(axis=1)
    distances, indices = np.empty(len(queries)), np.empty(len(queries), dtype=np.int64)
    for begin in range(0, len(queries), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        some = queries[rows]
        found = (some**2).sum(axis=1)[:, None] + squares - 2 * some @ references.T
        if query_groups is not None and reference_groups is not None:
            found[query_groups[rows, None] == reference_groups] = np.inf
        indices[rows] = found.argmin(axis=1)
        distances[rows] = np.sqrt(np.maximum(found.min(axis=1), 0))
    return distances, indices


def limit_of_copies(control: FloatArray) -> float:
    """The distance below which a pair is too close for two patients.

    ``control`` are distances of training slices to the nearest slice of another training patient:
    what a new patient's slice would show. The limit is half of what a tenth of them fall below. A
    quantile is no smallest value, which a single copy among the training slices would spoil; and
    half of it lies in the gap that heads leave: at 64 pixels recompressed and darkened copies
    differ in up to 12 bits of the hash, slices of different patients in 34 or more.

    Args:
        control: (N,); values that are not finite are left out.

    Returns:
        The limit; 0, below which nothing lies, where there is no control.
    """
    control = control[np.isfinite(control)]
    return float(SHARE * np.quantile(control, LOWER_TAIL)) if len(control) else 0.0
