"""Stands in for train-gan and evaluate: python fake_gan_verbs.py CALLS VERB ..."""

import json
import struct
import sys
import zlib
from itertools import pairwise
from pathlib import Path

FRECHET = {"cgan": 10.0, "dcgan": 40.0, "wgan-gp": 50.0}
METRICS = ("frechet", "kid", "precision", "recall", "density", "coverage", "spectrum", "similarity")


def black_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" * (width + 1)) * height)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def main(calls: str, verb: str, *words: str) -> None:
    with Path(calls).open("a") as file:
        file.write(json.dumps([verb, *words]) + "\n")
    flags = dict(pairwise(words))
    run = Path(flags["--run"])
    if verb == "train-gan":
        if Path(f"fail-{flags['--recipe']}").exists():
            sys.exit(2)
        (run / "samples").mkdir(parents=True)
        (run / "samples/step_000060.png").write_bytes(black_png(8 * 34 + 2, 8 * 34 + 2))
        config = {"steps": int(flags["--steps"]), "seed": int(flags["--seed"])}
        manifest = {
            "finished": True, "config": config, "recipe": flags["--recipe"], "alarms": [],
            "spec": {"classes": []}, "environment": {"git_commit": "abc"},
        }  # fmt: skip
        (run / "manifest.json").write_text(json.dumps(manifest))
        return
    recipe = json.loads((run / "manifest.json").read_text())["recipe"]
    rows = [
        {"group": "all", "metric": metric, "images_per_set": 30, "synthetic": FRECHET[recipe],
         "train_vs_held_out": 1.5, "halves_mean": 1.25}
        for metric in METRICS
    ]  # fmt: skip
    (run / "evaluation").mkdir()
    evaluation = {"figures": rows, "class_consistency": None, "duplicates": {"duplicates": 0}}
    (run / "evaluation/evaluation.json").write_text(json.dumps(evaluation))
    done = {"finished": True, "config": {"copies": int(flags["--copies"])}}
    (run / "evaluation/manifest.json").write_text(json.dumps(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
