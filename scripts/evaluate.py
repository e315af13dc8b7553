"""Measure a GAN's images beside real ones: python scripts/evaluate.py --run runs/NAME"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("evaluate")
