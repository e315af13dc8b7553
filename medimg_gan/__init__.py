"""GANs for medical images: train, synthesise, translate, and say honestly whether it helped."""

__version__ = "0.1.0"
