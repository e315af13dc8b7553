"""The body in CT and MR of one phantom head."""

import numpy as np
import pytest

from medimg_gan.imaging.phantom import phantom_patient
from medimg_gan.metrics.surfaces import dice
from medimg_gan.modalities.body import body_mask


@pytest.fixture(scope="module")
def head():
    return phantom_patient(0, 3, (48, 60, 13), tumour=False)


def test_both_modalities_see_one_body(head):
    in_ct = body_mask(head.ct.array, "ct", "HU")
    in_mr = body_mask(head.mri.array, "mri", "signal")
    assert dice(in_ct, in_mr) > 0.95
    assert in_ct[head.ct.array > 0].mean() > 0.999  # the skull, dark in MR, too
    assert in_mr[head.ct.array > 300].mean() > 0.98


def test_sinuses_count_and_a_head_rest_does_not(head):
    values = head.ct.array.copy()
    values[22:26, 28:32, 4:8] = -1000  # air inside
    values[:, 1] = 300  # a table, apart from the head
    body = body_mask(values, "ct", "HU")
    assert body[22:26, 28:32, 4:8].all()
    assert not body[:, 1].any()


def test_without_any_foreground_everything_counts():
    assert body_mask(np.full((4, 4, 2), -1000.0), "ct", "HU").all()
