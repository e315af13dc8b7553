"""Write the embedded head data set: python scripts/make_phantom.py --out DIR"""

from medimg_gan.apps import cli

if __name__ == "__main__":
    cli.run("make-phantom")
