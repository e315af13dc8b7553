from types import SimpleNamespace

import pytest
import torch
from toy_gan import FABRIC

from medimg_gan.engine.batches import Batches
from medimg_gan.engine.runtime import make_fabric


def stream(position):
    return {"position": torch.tensor([position])}


@pytest.mark.parametrize("ahead", [0, 2])
def test_positions_come_in_order_and_from_anywhere(ahead):
    batches = Batches(stream, make_fabric(FABRIC), ahead)
    assert [batches.take()["position"].item() for _ in range(4)] == [0, 1, 2, 3]
    assert batches.position == 4  # handed out, not prepared
    batches.start_at(20)
    assert batches.take()["position"].item() == 20
    assert batches.last["position"].item() == 20
    batches.close()


def test_processes_share_the_positions():
    def fabric(rank):
        device = SimpleNamespace(type="cpu")
        return SimpleNamespace(
            global_rank=rank, world_size=3, device=device, to_device=lambda batch: batch
        )

    seen = [[Batches(stream, fabric(rank), 0) for rank in range(3)]]
    taken = [[b.take()["position"].item() for b in seen[0]] for _ in range(2)]
    assert taken == [[0, 1, 2], [3, 4, 5]]


def test_what_fails_in_the_thread_is_heard():
    def broken(position):
        raise ValueError("no such slice")

    batches = Batches(broken, make_fabric(FABRIC), 2)
    with pytest.raises(ValueError, match="no such slice"):
        batches.take()
    batches.close()
