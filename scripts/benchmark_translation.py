"""Measure the translators beside each other: python scripts/benchmark_translation.py"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("benchmark-translation")
