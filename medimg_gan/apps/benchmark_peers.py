"""Ways to get batches of slices: our warm cache, and the loaders that it is measured beside.

All draw the same axial slices of the same phantom volumes in random order. Peers that keep slices
get them cut already, and each is used the fastest way that its documentation shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from medimg_gan.data.cache import SliceCache, build_cache
from medimg_gan.data.dataset import SliceDataset, Stream
from medimg_gan.data.index import Index, build_index
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.transforms import STORED_MAX
from medimg_gan.imaging.phantom import make_phantom

Epochs = Callable[[], Iterable[Any]]
"""Gives one pass over the slices, in batches."""
SLICES_OF_A_VOLUME = 8
"""Random slices that MONAI draws from a volume at a time."""


def phantom_index(folder: Path, patients: int | None) -> Index:
    """The phantom's scans; it is made first, if a number of patients is given."""
    place = folder / "phantom"
    if patients is not None:
        make_phantom(place, patients=patients, mri_fraction=1.0, format="nifti")
    return build_index(DataConfig(data=place / "data", cache=folder / "cache"))


def warm_cache(folder: Path, size: int, patients: int | None = None) -> SliceCache:
    """Our cache of the phantom; decoded on first use."""
    return build_cache(phantom_index(folder, patients), size, folder / "cache")


def _pictures(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    cache = warm_cache(folder, size)
    return cache.pictures, cache.rows["picture"].to_numpy()


def ours_stream(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """What training draws from: float32 in [-1, 1] with labels and positions."""
    cache = warm_cache(folder, size)
    stream = Stream(SliceDataset(cache, np.arange(len(cache.rows))), batch, seed=0)
    positions = count()
    return lambda: (stream(next(positions))["image"] for _ in range(len(cache.rows) // batch))


def ours_monai(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """The same slices through MONAI's loader."""
    cache = warm_cache(folder, size)
    dataset = SliceDataset(cache, np.arange(len(cache.rows)))
    return _monai_loader(dataset, batch, workers, collate_fn=SliceDataset.collate)


def numpy_gather(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """The yardstick: numpy picks whole batches from the memory map, int16 as stored."""
    pictures, places = _pictures(folder, size)
    return lambda: (pictures[places[some]] for some in _shuffled(len(places), batch))


def numpy_float(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """The same, and the conversion that a network needs."""
    pictures, places = _pictures(folder, size)
    return lambda: (
        pictures[places[some]].astype(np.float32) / np.float32(STORED_MAX)
        for some in _shuffled(len(places), batch)
    )


def monai_cache(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """CacheDataset as it comes: every slice in memory, with its metadata, copied on use."""
    from monai.data.dataset import CacheDataset
    from monai.transforms.io.dictionary import LoadImaged

    items, _ = _monai_items(folder, size)
    load = LoadImaged(["image"], reader="NumpyReader", image_only=True)
    return _monai_loader(CacheDataset(items, load, progress=False), batch, workers)


def monai_bare_cache(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """CacheDataset at its fastest: bare tensors that are not copied on use."""
    from monai.data.dataset import CacheDataset

    items, transform = _monai_items(folder, size)
    dataset = CacheDataset(items, transform, progress=False, copy_cache=False)
    return _monai_loader(dataset, batch, workers)


def monai_volume_cache(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """CacheDataset of whole volumes: several random slices of each, as for 3D training."""
    from monai.data.dataset import CacheDataset
    from monai.data.utils import list_data_collate
    from monai.transforms.compose import Compose
    from monai.transforms.croppad.dictionary import RandSpatialCropSamplesd
    from monai.transforms.io.dictionary import LoadImaged
    from monai.transforms.utility.dictionary import SqueezeDimd

    items = [{"image": str(path)} for path in sorted((folder / f"nii-{size}").glob("*.nii"))]
    several = min(batch, SLICES_OF_A_VOLUME)
    steps = [
        LoadImaged(["image"], ensure_channel_first=True, image_only=True),
        RandSpatialCropSamplesd(["image"], (-1, -1, 1), several, random_size=False),
        SqueezeDimd(["image"], dim=-1),
    ]
    dataset = CacheDataset(items, Compose(steps), progress=False)
    return _monai_loader(dataset, batch // several, workers, collate_fn=list_data_collate)


def monai_persistent(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """PersistentDataset: every slice a file of its own, written beforehand."""
    from monai.data.dataset import PersistentDataset

    items, transform = _monai_items(folder, size)
    dataset = PersistentDataset(items, transform, folder / f"persistent-{size}")
    for number in range(len(dataset)):
        dataset[number]
    return _monai_loader(dataset, batch, workers)


def monai_uncached(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """Dataset: a volume is read for each random slice."""
    from monai.data.dataset import Dataset
    from monai.transforms.compose import Compose
    from monai.transforms.croppad.dictionary import RandSpatialCropd
    from monai.transforms.intensity.dictionary import ScaleIntensityRangePercentilesd
    from monai.transforms.io.dictionary import LoadImaged
    from monai.transforms.spatial.dictionary import Resized
    from monai.transforms.utility.dictionary import SqueezeDimd

    key = ["image"]
    transform = Compose(
        [
            LoadImaged(key, ensure_channel_first=True, image_only=True),
            ScaleIntensityRangePercentilesd(key, 0.5, 99.5, -1, 1, clip=True),
            RandSpatialCropd(key, (-1, -1, 1), random_size=False),
            SqueezeDimd(key, dim=-1),
            Resized(key, (size, size)),
        ]
    )
    paths = sorted((folder / "phantom" / "data" / "mri").glob("*.nii*"))
    return _monai_loader(Dataset([{"image": path} for path in paths], transform), batch, workers)


def torchio_queue(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """Queue: volumes in memory by turns, random slices drawn from them."""
    import torchio  # pyright: ignore[reportMissingImports]  (an extra)
    from torch.utils.data import DataLoader

    paths = sorted((folder / f"nii-{size}").glob("*.nii"))
    subjects = [torchio.Subject(image=torchio.ScalarImage(path)) for path in paths]
    dataset = torchio.SubjectsDataset(subjects)
    sampler = torchio.data.UniformSampler((size, size, 1))
    queue = torchio.Queue(
        dataset, max_length=512, samples_per_volume=64, sampler=sampler, num_workers=workers
    )
    loader_type = getattr(torchio, "SubjectsLoader", DataLoader)
    loader = loader_type(queue, batch_size=batch, num_workers=0)
    return lambda: (found["image"]["data"] for found in loader)


def png_torchvision(folder: Path, size: int, batch: int, workers: int) -> Epochs:
    """A folder of 8-bit PNGs."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    steps = [transforms.Grayscale(), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]
    dataset = datasets.ImageFolder(str(folder / f"png-{size}"), transforms.Compose(steps))
    loader = DataLoader(
        dataset, batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda: (images for images, _ in loader)


def _monai_items(folder: Path, size: int) -> tuple[list[dict[str, str]], Any]:
    from monai.transforms.compose import Compose
    from monai.transforms.io.dictionary import LoadImaged
    from monai.transforms.utility.dictionary import EnsureTyped

    items = [{"image": str(path)} for path in sorted((folder / f"npy-{size}").glob("*.npy"))]
    load = LoadImaged(["image"], reader="NumpyReader", image_only=True)
    return items, Compose([load, EnsureTyped(["image"], track_meta=False)])


def _monai_loader(dataset: Any, batch: int, workers: int, **more: Any) -> Epochs:
    from monai.data.dataloader import DataLoader

    loader = DataLoader(
        dataset, batch_size=batch, shuffle=True, num_workers=workers,
        persistent_workers=workers > 0, **more,
    )  # fmt: skip
    return lambda: (found["image"] for found in loader)


def _shuffled(length: int, batch: int) -> Iterator[np.ndarray]:
    order = np.random.default_rng().permutation(length)
    return (order[first : first + batch] for first in range(0, length, batch))


@dataclass(frozen=True)
class Contender:
    """One way to get batches.

    Attributes:
        what: Its name for people.
        epochs: (folder, size, batch size, workers) -> passes over the slices.
        needs: Library without which it cannot be tried.
        workers: Numbers of worker processes to try; the better counts.
    """

    what: str
    epochs: Callable[[Path, int, int, int], Epochs]
    needs: str = "monai"
    workers: tuple[int, ...] = (0, 2)


CONTENDERS = {
    "numpy": Contender("numpy gather from one memory map, int16", numpy_gather, workers=(0,)),
    "numpy-float": Contender("numpy gather and conversion, float32", numpy_float, workers=(0,)),
    "stream": Contender("our warm cache, Stream, float32", ours_stream, workers=(0,)),
    "loader": Contender("our warm cache in MONAI's DataLoader, float32", ours_monai),
    "volume-cache": Contender("MONAI CacheDataset of volumes, random slices", monai_volume_cache),
    "cache": Contender("MONAI CacheDataset of slices, defaults", monai_cache),
    "bare-cache": Contender("MONAI CacheDataset of slices, bare, no copies", monai_bare_cache),
    "persistent": Contender("MONAI PersistentDataset of slices", monai_persistent),
    "torchio": Contender("TorchIO Queue", torchio_queue, "torchio"),
    "png": Contender("folder of PNGs read by torchvision", png_torchvision, "torchvision"),
    "uncached": Contender("MONAI Dataset without a cache", monai_uncached),
}
