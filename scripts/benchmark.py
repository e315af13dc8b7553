"""Measure reading, loading and training speed: python scripts/benchmark.py"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("benchmark")
