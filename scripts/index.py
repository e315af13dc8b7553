"""What is in this folder, and what is wrong with it: python scripts/index.py --data DIR"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("index")
