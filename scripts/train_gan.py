"""Train a GAN from noise: python scripts/train_gan.py --recipe cgan --data DIR"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("train-gan")
