"""What all processes of a training agree on before it begins."""

import pytest

from medimg_gan.apps import cli, training, training_translator
from medimg_gan.apps.common import Budget


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (training, ["train-gan", "--recipe", "dcgan", "--set", "width=4"]),
        (
            training_translator,
            ["train-cyclegan", "--src", "mri", "--tgt", "ct", "--set", "width=4"],
        ),
    ],
)
def test_every_process_ends_when_the_first_says(module, words, tmp_path, monkeypatch):
    """Each has counted its minutes from its own start: one would wait for the others for ever."""
    firsts = Budget(None, 7.5)

    def told(fabric, work):
        own = work()
        return firsts if isinstance(own, Budget) else own

    begun = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "told_by_first", told)
    monkeypatch.setattr(module, "fit", lambda *given: begun.append(given))
    cli.run(words[0], [*words[1:], "--size", "32", "--minutes", "9", "--run", "run"])
    assert firsts in begun[0]
    assert not any(isinstance(one, Budget) and one != firsts for one in begun[0])
