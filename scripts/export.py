"""Write a trained network for other programs: python scripts/export.py --run RUN --out FILE"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("export")
