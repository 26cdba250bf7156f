"""What is run: sizes, steps, the plasticity rule and the experiment grid, in full and in a few seconds."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Shape

STRATEGIES = {
    "entropy": "highest entropy of attention first (the score is minus the entropy)",
    "gradient": "smallest gradient norm first",
    "importance": "smallest importance first",
    "magnitude": "smallest weight norm first",
    "random": "in an order drawn from the seed",
}
LEVELS = (0.1, 0.3, 0.5)
SEEDS = (0, 1, 2)
STAGES = ("baseline", "pruned", "fine_tuned")

# Two with a control character that a chart must not draw raw; one repeats itself, which asks for an induction head.
SNIPPETS = {
    "method": "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = y\n",
    "docstring": '"""Return the sum of the values, or None if there are no values."""',
    "repeat": "alpha beta gamma delta, alpha beta gamma delta.",
    "loop": 'for key, value in sorted(items):\n\tprint(f"{key}: {value}")\n',
}


@dataclass(frozen=True)
class Plasticity:
    """When heads are pruned and revived, and how many."""

    first: int  # step of the first round
    last: int  # step of the last round
    every: int  # steps between rounds
    ramp: int  # rounds until the full number of heads is pruned
    share: float  # of all heads that are pruned then
    revive: int  # heads revived in a round, at most
    grace: int  # steps during which a revived head is not pruned again

    def is_round(self, step: int) -> bool:
        return self.first <= step <= self.last and (step - self.first) % self.every == 0

    def target(self, step: int, heads: int) -> int:
        """How many of `heads` are to be pruned after the round at `step`."""
        done = (step - self.first) // self.every + 1
        return round(heads * self.share * min(1.0, done / self.ramp))

    def rule(self) -> str:
        return (
            f"Rounds every {self.every} steps from step {self.first} to {self.last}. In each, after the update of that "
            f"step: (1) importance of every head on the calibration batch; (2) of the heads pruned in earlier rounds, "
            f"the {self.revive} with the largest importance are revived: gate 1, weights as they then are; (3) of the "
            f"active heads, those with the smallest importance are pruned (gate 0) until the target is reached, "
            f"leaving out heads revived less than {self.grace} steps ago. The target grows evenly over the first "
            f"{self.ramp} rounds to {self.share:.1%} of all heads, rounded. Ties go to the lower layer, then head."
        )


@dataclass(frozen=True)
class Training:
    """One model and how it is trained."""

    name: str
    shape: Shape
    steps: int
    plasticity: Plasticity | None
    seed: int = 0
    batch: int = 16
    peak_rate: float = 3e-3
    final_rate: float = 2e-4
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    eval_every: int = 40
    heads_every: int = 20
    checkpoints: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The whole recording: the first training is the one whose heads are recorded over the steps."""

    trainings: tuple[Training, ...]
    calibration_windows: int = 16
    eval_windows: int = 64
    tune_steps: int = 24
    tune_rate: float = 2e-4
    tune_warmup: int = 6
    threads: int = 2
    previous_token_threshold: float = 0.5


FULL = Plan(
    trainings=(
        Training(
            name="stdlib-bytes/6x8-plastic",
            shape=Shape(layers=6, heads=8, width=128, context=96),
            steps=2000,
            plasticity=Plasticity(first=400, last=1600, every=80, ramp=8, share=0.375, revive=2, grace=120),
            checkpoints=(0, 350, 2000),
        ),
        Training(
            name="stdlib-bytes/4x4-dense",
            shape=Shape(layers=4, heads=4, width=96, context=96),
            steps=1000,
            plasticity=None,
            seed=1,
        ),
    ),
)

QUICK = Plan(
    trainings=(
        Training(
            name="stdlib-bytes/2x4-quick",
            shape=Shape(layers=2, heads=4, width=32, context=96),
            steps=24,
            plasticity=Plasticity(first=4, last=16, every=4, ramp=2, share=0.5, revive=1, grace=4),
            batch=4,
            warmup=4,
            eval_every=8,
            heads_every=4,
            checkpoints=(0, 3, 24),
        ),
    ),
    calibration_windows=4,
    eval_windows=4,
    tune_steps=1,
    tune_warmup=1,
)
