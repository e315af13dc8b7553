"""One process speaks for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from lightning_fabric import Fabric

from medimg_gan.errors import MedimgError

ResultT = TypeVar("ResultT")


def told_by_first(fabric: Fabric, work: Callable[[], ResultT]) -> ResultT:
    """The result of ``work``, which only the first process does; its error stops them all."""
    result, error = None, None
    if fabric.is_global_zero:
        try:
            result = work()
        except MedimgError as caught:
            error = caught
    result, error = fabric.broadcast((result, error))
    if error is not None:
        raise error
    return cast(ResultT, result)
