"""Measure the default GAN beside the textbook ones: python scripts/benchmark_gans.py"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("benchmark-gans")
