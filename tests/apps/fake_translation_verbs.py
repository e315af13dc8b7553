"""Stands in for three verbs: python fake_translation_verbs.py CALLS VERB ..."""

import json
import sys
from pathlib import Path

from fake_gan_verbs import black_png

ERROR = {"cyclegan": 100.0, "cyclegan-structure": 60.0, "regression": 58.0}


def main(calls: str, verb: str, *words: str) -> None:
    with Path(calls).open("a") as file:
        file.write(json.dumps([verb, *words]) + "\n")
    flags = {one: words[place + 1] for place, one in enumerate(words[:-1]) if one[:2] == "--"}
    if verb == "make-phantom":
        return
    run = Path(flags["--run"])
    if verb == "train-cyclegan":
        if Path(f"fail-{flags['--recipe']}").exists():
            sys.exit(2)
        run.mkdir(parents=True)
        config = {"steps": int(flags["--steps"]), "seed": int(flags["--seed"])}
        config["source"] = {"data": flags["--data"]}
        manifest = {
            "finished": True, "config": config, "recipe": flags["--recipe"],
            "environment": {"git_commit": "abc"},
        }  # fmt: skip
        (run / "manifest.json").write_text(json.dumps(manifest))
        return
    error = ERROR[json.loads((run / "manifest.json").read_text())["recipe"]]
    patients = {f"p{n}": {"mae": error + n, "psnr": None} for n in range(6)}
    figures = {"mae": {"title": "MAE in the body", "unit": "HU", "better": "lower", "mean": error}}
    lesions = {"visible": 20, "kept": 19, "scans_without": 10, "scans_with_invented": 1}
    found = {"figures": figures, "patients": patients, "lesions": lesions}
    (run / "evaluation/pictures").mkdir(parents=True)
    (run / "evaluation/evaluation.json").write_text(json.dumps(found))
    (run / "evaluation/pictures/p0.png").write_bytes(black_png(12, 8))
    (run / "evaluation/manifest.json").write_text(json.dumps({"finished": True, "config": {}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
