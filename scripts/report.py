"""Compare studies: report.py --runs runs/A runs/B; or --runs runs/A --page docs/study-A.md"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("report")
