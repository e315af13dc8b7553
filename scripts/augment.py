"""Do synthetic slices help? python scripts/augment.py --minority-class tumor"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("augment")
