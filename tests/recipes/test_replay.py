import torch

from medimg_gan.recipes.replay import replayed


def fakes(first, count=5):
    """Images that carry their number."""
    return (
        torch.arange(first, first + count, dtype=torch.float32)
        .view(-1, 1, 1, 1)
        .expand(-1, 1, 2, 2)
    )


def empty(size=10):
    return torch.zeros(size, 1, 2, 2), torch.zeros((), dtype=torch.int64)


def test_until_it_is_full_the_pool_gives_back_what_it_gets():
    pool, count = empty(10)
    for first in (1, 6):
        assert torch.equal(replayed(fakes(first), pool, count), fakes(first))
    assert count.item() == 10
    assert pool[:, 0, 0, 0].tolist() == list(range(1, 11))


def test_a_full_pool_gives_old_fakes_half_of_the_time():
    torch.manual_seed(0)
    pool, count = empty(50)
    replayed(fakes(0, 50), pool, count)
    old = 0
    for first in range(1000, 3000, 4):
        given = replayed(fakes(first, 4), pool, count)[:, 0, 0, 0]
        old += int((given < first).sum())
    assert count.item() == 50
    assert 0.45 < old / 2000 < 0.55


def test_an_old_fake_leaves_and_the_new_one_takes_its_place():
    torch.manual_seed(1)
    pool, count = empty(10)
    replayed(fakes(0, 10), pool, count)
    for number in range(100, 140):
        before = set(pool[:, 0, 0, 0].tolist())
        given = replayed(fakes(number, 1), pool, count).mean().item()
        after = set(pool[:, 0, 0, 0].tolist())
        expected = before if given == number else before - {given} | {float(number)}
        assert after == expected


def test_equal_random_state_gives_equal_history():
    histories = []
    for _ in range(2):
        torch.manual_seed(5)
        pool, count = empty(4)
        histories.append(torch.cat([replayed(fakes(n, 3), pool, count) for n in range(0, 60, 3)]))
    assert torch.equal(*histories)
