"""The game between a generator and a critic: its loss, penalties and remedies, each by name.

=======================  ==========================================================
setting                  paper
=======================  ==========================================================
``loss``                 ``losses.GAMES``
``gamma``                R1 + R2 (Mescheder 2018, eq. 9, 10; R3GAN, Huang 2024, eq. 4), lazy
``gamma_end``            R3GAN's schedule of gamma
``spectral_norm``        Miyato 2018
``lecam``                Tseng 2021
``consistency_real``     CR-GAN (Zhang 2020); with ``consistency_fake`` bCR (Zhao 2020)
``feature_matching``     Salimans 2016, sec. 3.1; there in place of the game, here beside it
``minibatch``            deviation: Karras 2018, sec. 3; discrimination: Salimans 2016, sec. 3.2
``pack``                 PacGAN (Lin 2018)
=======================  ==========================================================

Packs are of one class where the batch allows, and the critic is told the condition of each image
in it: a generator that makes one image per class then makes packs of equal images, which no real
pack is.

Departs from CR-GAN and bCR: a consistency term compares T(x) with x as the critic judged it in the
game, which ``augment`` may already have moved; the papers' x is as it came.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from medimg_gan import losses
from medimg_gan.augmentations import DiffAugment
from medimg_gan.errors import ConfigError
from medimg_gan.nets.heads import Judgement
from medimg_gan.nets.spectral import spectrally_normalised
from medimg_gan.recipes.adaptive import AugmentConfig, AugmentedRecipe
from medimg_gan.recipes.base import Phase, Spec, require_at_least
from medimg_gan.recipes.conditional import ConditionalRecipe

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs

LossName = Literal["relativistic", "non-saturating", "least-squares", "hinge", "wasserstein"]
"""A key of ``losses.GAMES``."""

Comparison = Literal["none", "deviation", "discrimination"]
"""See ``nets.heads``."""

LECAM_DECAY = 0.99
"""Of the moving averages of the scores (Tseng 2021)."""


@dataclass(frozen=True)
class GameConfig(AugmentConfig):
    """Settings of :class:`GameRecipe`; a weight of 0 turns its term off."""

    loss: LossName = "relativistic"
    """The adversarial loss; wasserstein needs a penalty or the spectral norm."""
    gamma: float = 0.5
    """Weight of R1 and R2 at 64 pixels; grows with the number of pixels. 0 turns them off."""
    gamma_end: float = 1.0
    """Part of gamma that is left at the end of the training, by a cosine (R3GAN: 0.1)."""
    penalty_every: int = 4
    """Steps between penalties; the weight is scaled up by it."""
    spectral_norm: bool = False
    """Whether every layer of the critic is divided by its largest singular value."""
    lecam: float = 0.0
    """Weight of LeCam, which keeps real and fake scores near each other (paper: .01 to .3)."""
    consistency_real: float = 0.0
    """Weight of equal scores for a real image and the same image moved (papers: 10)."""
    consistency_fake: float = 0.0
    """The same for fakes (bCR: 10)."""
    feature_matching: float = 0.0
    """Weight of equal mean features of real and fake images, for the generator."""
    minibatch: Comparison = "none"
    """How the critic compares the images of a batch, which shows it a generator that collapses."""
    pack: int = 1
    """Images that the critic judges together; must divide the batch size."""

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigError: If a weight is negative, a count below 1, or nothing bounds the slope of a
                Wasserstein critic.
        """
        super().__post_init__()
        weights = (
            "gamma",
            "gamma_end",
            "lecam",
            "consistency_real",
            "consistency_fake",
            "feature_matching",
        )
        require_at_least(self, **dict.fromkeys(weights, 0), pack=1, penalty_every=1)
        # Without a penalty: the tensor of the discrimination is no layer that the norm divides.
        normed = self.spectral_norm and self.minibatch != "discrimination"
        if self.loss == "wasserstein" and not (self.gamma or normed):
            raise ConfigError(
                "--set loss=wasserstein: nothing bounds the slope of the critic",
                observed=f"gamma=0, spectral_norm={self.spectral_norm}, minibatch={self.minibatch}",
                fix="--set gamma=0.5, or spectral_norm=True minibatch=none, or --recipe wgan-gp",
            )

    def refuse_batches_of(self, count: int) -> None:
        """Refuse batches of ``count`` images that are no whole packs.

        Raises:
            ConfigError: If ``pack`` does not divide the batch size.
        """
        if count % self.pack:
            raise ConfigError(
                f"--set pack={self.pack}: does not divide the batch size",
                observed=f"found a batch of {count} images",
                fix=f"--batch-size {max(self.pack, count // self.pack * self.pack)}, "
                "or another pack",
            )


class GameRecipe(AugmentedRecipe, ConditionalRecipe):
    """A conditional GAN whose critic gives a :class:`Judgement`; the default game is R3GAN's.

    Subclasses have ``critic(packs, conditions)``, built for ``_pack_shape`` and ``minibatch`` and
    passed through ``_regular``, and a ``GameConfig`` with a ``learning_rate``.
    """

    agreed = (*AugmentedRecipe.agreed, "score_averages")
    critic: nn.Module

    def __init__(self, config: GameConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.game = losses.GAMES[config.loss]
        self.another_view = DiffAugment(1.0, spec.mirror)
        # Of real and of fake images, for LeCam; a critic begins with scores near 0.
        self.register_buffer("score_averages", torch.zeros(2))
        self.score_averages: Tensor
        self.gamma = config.gamma

    def begin_step(self, progress: float) -> None:
        """Let gamma fall from its first value to its last."""
        super().begin_step(progress)
        left = (1 + math.cos(math.pi * progress)) / 2
        end = self.config.gamma_end
        self.gamma = self.config.gamma * (end + (1 - end) * left)

    def phases(self) -> list[Phase]:
        """Critic, its lazy penalty, generator."""
        settings = self.config
        penalty = Phase("penalty", ("critic",), self.penalty_loss, every=settings.penalty_every)
        return [
            Phase("critic", ("critic",), self.critic_loss),
            *([penalty] if settings.gamma else []),
            Phase("generator", ("generator",), self.generator_loss),
        ]

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """The critic's side of the game, LeCam, consistency."""
        real, fake, claim = self._pairs(batch)
        seen, seen_fake = self._seen(torch.cat([real, fake])).chunk(2)
        of_real, of_fake = self._judgements(seen, seen_fake, claim)
        terms = {"critic/loss": (1.0, self.game.critic(of_real.scores, of_fake.scores))}
        if self.config.lecam:
            terms["critic/lecam"] = (self.config.lecam, self._lecam(of_real.scores, of_fake.scores))
        for kind, images, judged in (("real", real, of_real), ("fake", fake, of_fake)):
            weight = getattr(self.config, f"consistency_{kind}")
            if weight:
                moved = self._judgement(self._packed(self.another_view(images)), claim)
                change = losses.consistency(judged.scores, moved.scores)
                terms[f"critic/consistency_{kind}"] = (weight, change)
        loss, logs = losses.weighted(terms | self._own_terms(seen, of_real))
        # Margins, for ADA, in every game alike: scores have no fixed zero in two of the five.
        return loss, {**logs, **self.judged(of_real.scores - of_fake.scores)}

    def penalty_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """R1 + R2, times the steps that they are skipped on."""
        real, fake, claim = self._pairs(batch)

        def scores(images: Tensor) -> Tensor:
            seen_real, seen_fake = images.chunk(2)
            return torch.cat([one.scores for one in self._judgements(seen_real, seen_fake, claim)])

        # The mean over real and fake together is half of R1 + R2.
        half = losses.zero_centred_penalty(scores, self._seen(torch.cat([real, fake])))
        gamma = self.gamma * (self.spec.size / 64) ** 2
        return self.config.penalty_every * gamma * half, {"critic/r1_r2": 2 * half.detach()}

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """The generator's side of the game, feature matching."""
        batch = self._in_packs(batch)
        claim = self._packed(self._condition(batch))
        of_fake = self._judgement(self._seen(self._fake(batch)), claim)
        of_real = of_fake  # a stand-in that neither term below looks at
        if self.game.paired or self.config.feature_matching:
            with torch.no_grad():
                of_real = self._judgement(self._seen(self._real(batch)), claim)
        terms = {"generator/loss": (1.0, self.game.generator(of_fake.scores, of_real.scores))}
        if self.config.feature_matching:
            distance = losses.feature_distance(of_fake.features, of_real.features)
            terms["generator/feature_distance"] = (self.config.feature_matching, distance)
        return losses.weighted(terms)

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """Mean scores of real and fake, and the share of pairs ranked right."""
        count, pack = len(batch["image"]), self.config.pack
        # Whole packs; of fewer images than one pack holds, some twice.
        rows = torch.arange(max(1, count // pack) * pack, device=batch["image"].device) % count
        real, fake, claim = self._pairs({name: value[rows] for name, value in batch.items()})
        of_real, of_fake = self._judgements(self._seen(real), self._seen(fake), claim)
        return losses.summary(of_real.scores, of_fake.scores)

    @torch.no_grad()
    def scores_of(self, batch: Batch) -> Tensor:
        """Scores (N,) of the batch's images, unaugmented, for their conditions; packs of 1 only."""
        return self._judgement(self._real(batch), self._condition(batch)).scores.flatten()

    @property
    def _pack_shape(self) -> tuple[int, int, int]:
        """Length of the conditions of a pack, channels of its images, their size."""
        settings, spec = self.config, self.spec
        return settings.pack * self._condition_length, settings.pack * spec.channels, spec.size

    def _regular(self, critic: nn.Module) -> nn.Module:
        """A fresh critic, with the spectral norm if it is asked for."""
        return spectrally_normalised(critic) if self.config.spectral_norm else critic

    def _own_terms(self, seen: Tensor, of_real: Any) -> losses.Terms:
        """What a subclass adds to the critic's loss, from real images and what it says of them."""
        return {}

    def _real(self, batch: Batch) -> Tensor:
        """The real images as a generator could make them."""
        return batch["image"]

    def _judgement(self, seen: Tensor, claim: Tensor) -> Judgement:
        """What the critic says of packs of images."""
        return self.critic(seen, claim)

    def _judgements(self, real: Tensor, fake: Tensor, claim: Tensor) -> tuple[Judgement, Judgement]:
        """Real and fake images, in one pass unless the critic would compare them."""
        if self.config.minibatch != "none":
            return self._judgement(real, claim), self._judgement(fake, claim)
        both = self._judgement(torch.cat([real, fake]), claim.repeat(2, 1))
        of_real, of_fake = zip(*(part.chunk(2) for part in both), strict=True)
        return type(both)(*of_real), type(both)(*of_fake)

    def _pairs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Real images, fakes of their conditions without gradient, and packs of conditions."""
        batch = self._in_packs(batch)
        with torch.no_grad():
            return self._real(batch), self._fake(batch), self._packed(self._condition(batch))

    def _seen(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) as the critic is to see them, (N / pack, pack C, H, W)."""
        return self._packed(self.augment(images))

    def _packed(self, values: Tensor) -> Tensor:
        """(N, C, ...) -> (N / pack, pack C, ...), neighbours together."""
        return values.unflatten(0, (-1, self.config.pack)).flatten(1, 2)

    def _in_packs(self, batch: Batch) -> Batch:
        """The batch with images of one class side by side; few packs then hold two classes.

        Raises:
            ConfigError: If ``pack`` does not divide the batch size.
        """
        pack = self.config.pack
        self.config.refuse_batches_of(len(batch["image"]))
        if pack == 1 or not self.spec.classes:
            return batch
        order = batch["label"].argsort(stable=True)
        return {name: value[order] for name, value in batch.items()}

    def _lecam(self, real: Tensor, fake: Tensor) -> Tensor:
        """LeCam against the averages so far, which then move on."""
        real_average, fake_average = self.score_averages.clone()
        found = losses.lecam(real, fake, real_average, fake_average)
        means = torch.stack([real.detach().mean(), fake.detach().mean()])
        self.score_averages.lerp_(means, 1 - LECAM_DECAY)
        return found
