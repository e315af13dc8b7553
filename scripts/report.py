"""Compare studies: python scripts/report.py --runs runs/A runs/B"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("report")
