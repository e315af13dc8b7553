import math

import torch

from medimg_gan.nets.conditions import as_condition, condition_length

NO_NUMBERS = torch.empty(2, 0)


def test_a_class_is_one_hot_and_no_class_is_a_constant():
    label = torch.tensor([2, 0])
    assert as_condition(label, NO_NUMBERS, 3).tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert as_condition(None, NO_NUMBERS, 0).tolist() == [[1.0], [1.0]]
    assert as_condition(torch.zeros(2).long(), NO_NUMBERS, 1).tolist() == [[1.0], [1.0]]


def test_a_number_by_hand():
    u, half = 0.5, math.sqrt(0.5)
    (found,) = as_condition(torch.tensor([1]), torch.tensor([[u]]), 2)
    waves = [half, 1.0, 0.0, half, 0.0, -1.0]  # sin, then cos, of 45, 90 and 180 degrees
    expected = torch.tensor([0.0, 2.0, u, *waves]) / 2
    torch.testing.assert_close(found, expected)


def test_each_number_has_its_own_columns():
    numbers = torch.tensor([[0.3, -0.7]])
    both = as_condition(None, numbers, 0)
    assert both.shape == (1, condition_length(0, 2)) == (1, 15)
    torch.testing.assert_close(both[:, 1:8], as_condition(None, numbers[:, :1], 0)[:, 1:])
    torch.testing.assert_close(both[:, 8:], as_condition(None, numbers[:, 1:], 0)[:, 1:])


def test_a_number_weighs_about_as_much_as_a_class():
    columns = as_condition(None, torch.linspace(-1, 1, 101)[:, None], 0)[:, 1:]
    assert 0.7 < columns.square().sum(dim=1).mean() < 1.3


def test_a_linear_layer_can_tell_the_middle_from_both_ends():
    """What a straight line of u cannot do."""
    u = torch.linspace(-1, 1, 101)
    columns = as_condition(None, u[:, None], 0)
    wanted = (u.abs() < 0.25).float()
    fitted = columns @ torch.linalg.lstsq(columns, wanted[:, None]).solution
    assert torch.corrcoef(torch.stack([fitted[:, 0], wanted]))[0, 1] > 0.8
