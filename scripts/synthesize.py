"""Write synthetic slices: python scripts/synthesize.py --run runs/NAME --out DIR"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("synthesize")
