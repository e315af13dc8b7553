import numpy as np
import pytest

from medimg_gan.data.planes import BACKGROUND, frame_of, from_pictures, to_pictures


def smooth(shape):
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return (0.5 * np.cos(2 * i) * np.cos(j) * (1 + 0.3 * k)).astype(np.float32)


def test_front_is_up_and_the_patients_right_is_left():
    array = np.zeros((4, 4, 1), np.float32)
    array[3, 0, 0] = 1  # far right, far back
    picture = to_pictures(array, frame_of(array.shape, (1, 1, 1), 4))[0]
    assert picture[3, 0] == 1
    assert picture.sum() == 1


def test_proportions_are_kept_in_millimetres():
    frame = frame_of((100, 50, 3), (1.0, 1.0, 5.0), 64)
    assert (frame.width, frame.height, frame.left, frame.top) == (64, 32, 0, 16)
    assert frame_of((100, 50, 3), (0.5, 1.0, 5.0), 64).height == 64


def test_the_border_is_background():
    array = np.ones((100, 50, 2), np.float32)
    picture = to_pictures(array, frame_of(array.shape, (1, 1, 1), 64))[0]
    assert (picture[:16] == BACKGROUND).all()
    np.testing.assert_allclose(picture[16:48], 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(64, 64, 5), (40, 64, 3), (30, 20, 2)])
def test_equal_size_inverts_exactly(shape):
    array = smooth(shape)
    frame = frame_of(shape, (1, 1, 1), max(shape[:2]))
    assert np.array_equal(from_pictures(to_pictures(array, frame), frame), array)


def test_a_smooth_volume_survives_resizing_and_keeps_its_shape():
    array = smooth((90, 70, 4))
    frame = frame_of(array.shape, (1.2, 0.9, 5), 64)
    back = from_pictures(to_pictures(array, frame), frame)
    assert back.shape == array.shape
    assert np.abs(back - array).max() < 0.03
