import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small_study import marked, split

from medimg_gan.study import StudyData


@pytest.fixture
def data() -> StudyData:
    return StudyData(
        train=split("a", 3, 10, 6),
        val=split("b", 8, 12, 6),
        test=split("c", 12, 20, 8),
        classes=("glioma", "meningioma", "pituitary"),
        minority=1,
        synthesise=marked,
    )
