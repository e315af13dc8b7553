"""On real slices: another class, and a blur, are farther than other slices of the same class."""

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from medimg_gan.metrics.features import build_extractor
from medimg_gan.metrics.images import compare, image_set

COUNT = 20


@pytest.fixture(scope="module")
def slices(real_data):
    """Glioma (two disjoint sets, far apart in the order of patients) and pituitary slices."""

    def of_class(name: str) -> np.ndarray:
        paths = sorted((real_data / "tumor_type_axial" / name).glob("*.png"))
        chosen = [paths[place] for place in np.linspace(0, len(paths) - 1, 2 * COUNT).astype(int)]
        pictures = [Image.open(path).convert("L").resize((64, 64)) for path in chosen]
        return np.stack([np.asarray(one, np.float32) / 127.5 - 1 for one in pictures])[:, None]

    glioma = of_class("glioma")
    return glioma[::2], glioma[1::2], of_class("pituitary")[::2]


@pytest.mark.parametrize("features", ["random", "efficientnet-lite0"])
def test_features_tell_a_class_and_a_blur_from_more_of_the_same(slices, features):
    one, other, pituitary = slices
    blurred = gaussian_filter(other, (0, 0, 1.5, 1.5))
    extractors = {features: build_extractor(features, one)}
    reference = image_set(one, extractors)
    found = {
        kind: {score.metric: score for score in compare(reference, image_set(some, extractors))}
        for kind, some in {"same": other, "class": pituitary, "blur": blurred}.items()
    }
    same = found["same"]
    for kind in ("class", "blur"):
        for metric in ("kid", "frechet", "radiomics"):
            assert found[kind][metric].value > 1.2 * same[metric].value
    assert found["class"]["kid"].value > same["kid"].value + 2 * same["kid"].standard_error
    assert found["blur"]["spectrum"].value > 5 * same["spectrum"].value
    assert found["blur"]["histogram"].value > same["histogram"].value
