"""Trained runs as plain functions: slices from noise, volumes from volumes."""

from __future__ import annotations

from medimg_gan.synthesis.critic import Critic, load_critic
from medimg_gan.synthesis.generator import CHUNK, Generator
from medimg_gan.synthesis.load import build_recipe, load_run, weights_file
from medimg_gan.synthesis.translator import Translator

__all__ = [
    "CHUNK",
    "Critic",
    "Generator",
    "Translator",
    "build_recipe",
    "load_critic",
    "load_run",
    "weights_file",
]
