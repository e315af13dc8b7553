"""Look around in a GAN's latent space: python scripts/explore.py --run runs/NAME --out DIR"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("explore")
