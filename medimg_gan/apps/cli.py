"""From words on a command line to one verb; every mistake of a user ends here, with status 2."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from pathlib import Path

from medimg_gan import __version__, config
from medimg_gan.console import is_main_process
from medimg_gan.errors import MedimgError

VERBS = {
    "index": "what is in a folder, and what is wrong with it",
    "make-phantom": "write the embedded head data set",
    "train-gan": "train a GAN that makes slices from noise",
    "train-cyclegan": "train an unpaired translator between two modalities",
    "evaluate": "measure a GAN's images, or a translator's volumes beside the truth",
    "synthesize": "write synthetic slices of a trained GAN",
    "explore": "look around in the latent space of a trained GAN",
    "translate": "translate whole volumes, geometry kept",
    "export": "write a trained network for other programs: TorchScript, ONNX, safetensors",
    "augment": "say whether synthetic slices help a classifier on these data",
    "report": "hold studies of augment beside each other, or write one down as a page",
    "benchmark": "measure reading, loading and training speed",
    "benchmark-gans": "train GANs for equal times and say which is better",
    "benchmark-translation": "train translators for equal times and say which is better",
}
USER_ERROR, INTERRUPTED, READER_GONE = 2, 130, 141
USERS_OS_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR,
    errno.EISDIR, errno.ENAMETOOLONG, errno.EIO,
}  # fmt: skip
"""Faults of a disk or a path; any other OSError is a bug and shows its traceback."""


def main() -> None:
    """The console command ``medimg-gan VERB ...``."""
    words = sys.argv[1:]
    if words[:1] in (["--version"], ["-V"]):
        print(f"medimg-gan {__version__}")
        return
    if words[:1] in ([], ["-h"], ["--help"]):
        print(overview())
        return
    if words[0] not in VERBS:
        print(f"medimg-gan: no verb {words[0]!r}\n\n{overview()}", file=sys.stderr)
        sys.exit(USER_ERROR)
    run(words[0], words[1:], prog=f"medimg-gan {words[0]}")


def overview() -> str:
    """The verbs, a line each."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:{width}}  {what}" for verb, what in VERBS.items()]
    return "\n".join(["usage: medimg-gan VERB [--help] ...", "", *lines])


def run(verb: str, words: list[str] | None = None, prog: str | None = None) -> None:
    """Run one verb; exits with 2 on a mistake of the user and 130 when interrupted.

    Args:
        verb: A key of ``VERBS``.
        words: The command line after the program's name; default: this process's.
        prog: Program's name for ``--help``; default: the script's.
    """
    # The table above is the whole list: a verb's module has its name.
    app = importlib.import_module(f"medimg_gan.apps.{verb.replace('-', '_')}")
    words = sys.argv[1:] if words is None else words
    prog = prog or f"python scripts/{Path(sys.argv[0]).name}"
    try:
        app.main(config.load(app.Config, words, prog=prog, default_yaml=f"{verb}.yaml"))
    except MedimgError as error:
        _stop(str(error), USER_ERROR)
    except KeyboardInterrupt:
        _stop("interrupted; the same command goes on from here", INTERRUPTED)
    except BrokenPipeError:
        # The reader ('| head') has seen enough; nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(READER_GONE)
    except OSError as error:
        if error.errno not in USERS_OS_ERRORS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _stop(f"{where}{error.strerror}\n  fix: free space or permissions, then repeat", USER_ERROR)


def _stop(message: str, status: int) -> None:
    if is_main_process():
        print(f"\n{message}", file=sys.stderr, flush=True)
    sys.exit(status)
