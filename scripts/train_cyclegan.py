"""Train an unpaired translator: python scripts/train_cyclegan.py --src mri --tgt ct"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("train-cyclegan")
