"""Translate volumes: python scripts/translate.py --run runs/NAME --data DIR --out DIR"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("translate")
