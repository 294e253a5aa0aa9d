"""Tasks in which arms turn: ``Spin`` and ``Binding``, temporal aliasing made exact.

Arms turn by k / tau of a whole turn each raw frame, so that there are only tau different
pictures. They are painted once and picked by ``(k * t) % tau``, in integers: whatever
looks the same *is* the same, bit for bit.
"""

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import ClassVar

import numpy as np

from slowfast_edu.checks import check_count
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.figures.draw import Capsule, paint
from slowfast_edu.data.figures.tasks import (
    HUES,
    LUMAS,
    SHADE,
    Scene,
    Task,
    add_grain,
    equal_luma,
)


def _check_clip(task: "Spin | Binding", clip: ClipConfig) -> None:
    """Refuse a clip under which Slow would see more than one picture."""
    if clip.frame_rule != "stride":
        raise ValueError(
            f"frame_rule={clip.frame_rule!r} lets Slow see {type(task).__name__}'s arms "
            "turn; the task needs 'stride'"
        )
    if clip.tau != task.tau:
        raise ValueError(
            f"the clip has tau={clip.tau} and the task tau={task.tau}, must be equal; try "
            f"dataclasses.replace(task, tau={clip.tau})"
        )


def _check_start(task: "Spin | Binding", times: np.ndarray) -> None:
    if times[0] % task.tau:
        raise ValueError(
            f"the clip starts at raw frame {times[0]}, must start at a multiple of "
            f"tau={task.tau}, where all classes look the same"
        )


def _arms(
    center: np.ndarray, length: float, turns: np.ndarray, colors: list[np.ndarray]
) -> list[Capsule]:
    """Arms around ``center``, one for each colour, turned by ``turns`` (T,) of a turn."""
    middle = np.broadcast_to(center, (len(turns), 2))
    found = []
    for number, color in enumerate(colors):
        angle = 2 * np.pi * (turns + number / len(colors))
        tip = middle + length * np.stack([np.sin(angle), -np.cos(angle)], axis=-1)
        found.append(Capsule(middle, tip, 0.16 * length, color))
    return [*found, Capsule(middle, middle, 0.24 * length, 0.5 * colors[0])]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spin(Task):
    """How fast, and which way, do the arms turn? Only motion tells, and only to Fast.

    Class k turns by k / tau of a turn each raw frame. Slow sees one frame in tau: always
    the same picture, bit for bit, whatever the class. Fast sees alpha of them. It holds
    for rendered frames; an encoder's rounding would tell the classes apart.

    Controlled: clips of all classes with one generator start with the same picture.
    Drawn without regard to the class: place (3 pixels of 64 each way), length, first
    angle, colours.

    Attributes:
        k: turns in tau raw frames, one number a class; negative is anticlockwise.
        tau: raw frames between two of Slow's.
        arms: how many, evenly spread.
        marked: the first arm has another colour. Unmarked arms look the same after
            1 / arms of a turn.
    """

    k: tuple[int, ...] = (0, 1, -1, 2)
    tau: int = 16
    arms: int = 2
    marked: bool = True

    def __post_init__(self):
        check_count("tau", self.tau, least=2)
        check_count("arms", self.arms, least=1)
        if not isinstance(self.k, tuple):
            raise ValueError(f"k={self.k!r} must be a tuple, such as (0, 1, -1, 2)")
        for k in self.k:
            check_count("k", k, least=-self.tau)
        if len(self.k) < 2 or len({k % self.tau for k in self.k}) < len(self.k):
            raise ValueError(
                f"k={self.k} must be two or more turns that differ modulo tau={self.tau}"
            )

    @property
    def symmetry(self) -> int:
        """s: the figure looks the same after 1/s of a turn."""
        return 1 if self.marked else self.arms

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(f"k={k}" for k in self.k)

    @property
    def flipped_labels(self) -> tuple[int, ...]:
        return tuple(self.k.index(-k) if -k in self.k else -1 for k in self.k)

    def aliases(self, alpha: int) -> list[tuple[int, int]]:
        """Pairs of k that ``alpha`` frames in tau cannot tell apart.

        From one frame to the next a class turns by k / alpha; two look the same if they
        differ by a multiple of 1 / s: if alpha divides (k1 - k2) * s.

        >>> Spin().aliases(8), Spin().aliases(2)
        ([], [(0, 2), (1, -1)])
        """
        pairs = combinations(self.k, 2)
        return [(a, b) for a, b in pairs if (a - b) * self.symmetry % alpha == 0]

    def ceiling(self, alpha: int) -> float:
        """The best accuracy possible at ``alpha`` frames in tau, classes balanced.

        One right guess for each group of classes that look the same.

        >>> [Spin().ceiling(alpha) for alpha in (1, 2, 4, 8)]
        [0.25, 0.5, 1.0, 1.0]
        """
        return len({k * self.symmetry % alpha for k in self.k}) / len(self.k)

    def check(self, clip: ClipConfig) -> None:
        """Refuse a clip with which the task is not what it says.

        A Slow-only model is given the same clip, and takes its own frames out of it.

        Raises:
            ValueError: Slow would see motion, or Fast could not tell two classes apart.
        """
        _check_clip(self, clip)
        pairs = self.aliases(clip.alpha)
        if pairs:
            told = ", ".join(f"{a} and {b}" for a, b in pairs)
            divisors = [a for a in range(1, self.tau + 1) if self.tau % a == 0]
            better = [a for a in divisors if not self.aliases(a)]
            fix = f"alpha={better[0]} tells all apart" if better else "choose other k"
            ceiling = self.ceiling(clip.alpha)
            raise ValueError(
                f"k = {told} look the same to Fast at alpha={clip.alpha} with symmetry "
                f"s={self.symmetry}: at most {ceiling:.0%} of clips could be told; {fix}"
            )

    def _draw(
        self, case: int, rng: np.random.Generator, times: np.ndarray, size: int
    ) -> Scene:
        _check_start(self, times)
        center = size * (0.5 + rng.uniform(-3 / 64, 3 / 64, size=2))
        length = size * rng.uniform(0.30, 0.38)
        first, wall = rng.uniform(), rng.uniform(20, 90, size=3)
        shirt, bright, mark = rng.uniform((30, 190, 60), (110, 255, 150), size=(3, 3)).T
        pictures = np.empty((self.tau, size, size, 3), dtype=np.uint8)
        pictures[:] = np.round(wall)
        neck, hip = (center + np.array([0, down * size]) for down in (-0.1, 0.6))
        still = np.ones((self.tau, 1))
        body = Capsule(still * neck, still * hip, 0.13 * size, shirt)
        head = still * (neck - np.array([0, 0.2 * size]))
        face = Capsule(head, head, 0.1 * size, shirt + 40)
        colors = [mark if self.marked else bright] + [bright] * (self.arms - 1)
        turns = first + np.arange(self.tau) / self.tau
        paint(pictures, [body, face, *_arms(center, length, turns, colors)])
        return Scene(pictures[(self.k[case] * times) % self.tau], case)


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding(Task):
    """Which hue spins? Colour and motion must be joined at the place where they meet.

    Two wheels of different hue and equal luma; one turns by k / tau each raw frame. Slow
    sees which hue is on which side, Fast, if grey, which side turns; the label is the
    exclusive or. Scores that add a Slow part S and a Fast part F cannot be right in all
    four cases: that needs S(0) + F(0) > 0, S(1) + F(1) > 0, S(0) + F(1) < 0 and
    S(1) + F(0) < 0, and the first two add up to what the last two deny.

    Controlled: every ordered pair of hues is equally often with either side turning.
    Drawn without regard to the case: places, sizes, first angles, brightness.

    Attributes:
        hues: two or more keys of ``HUES``.
        k: turns in tau raw frames of the wheel that turns.
        tau: raw frames between two of Slow's, which always sees the same picture.
    """

    hues: tuple[str, ...] = ("blue", "yellow")
    k: int = 1
    tau: int = 16
    sides: ClassVar[tuple[str, str]] = ("left", "right")

    def __post_init__(self):
        check_count("tau", self.tau, least=2)
        check_count("k", self.k, least=1)
        if len(set(self.hues)) < max(2, len(self.hues)) or not set(self.hues) <= set(HUES):
            raise ValueError(
                f"hues={self.hues} must be two or more different ones of {', '.join(HUES)}"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        return self.hues

    @property
    def case_names(self) -> tuple[str, ...]:
        numbers = range(2 * len(self.hues) * (len(self.hues) - 1))
        cases = [self.case(number) for number in numbers]
        return tuple(f"{' '.join(pair)}, {self.sides[side]} turns" for pair, side in cases)

    def case(self, number: int) -> tuple[tuple[str, str], int]:
        """((hue on the left, hue on the right), which of ``sides`` turns).

        >>> [Binding().case(number) for number in range(2)]
        [(('blue', 'yellow'), 0), (('blue', 'yellow'), 1)]
        """
        pair, side = divmod(number, 2)
        return list(permutations(self.hues, 2))[pair], side

    def check(self, clip: ClipConfig) -> None:
        """Refuse a clip under which Slow would see a wheel turn, or Fast would not.

        Raises:
            ValueError: as said.
        """
        _check_clip(self, clip)
        if self.k % clip.alpha == 0:
            raise ValueError(
                f"k={self.k} shows Fast whole turns only at alpha={clip.alpha}; choose a k "
                "that alpha does not divide, such as 1, and an alpha above 1"
            )

    def _draw(
        self, case: int, rng: np.random.Generator, times: np.ndarray, size: int
    ) -> Scene:
        _check_start(self, times)
        pair, turning = self.case(case)
        luma = rng.uniform(*LUMAS)
        wall = rng.uniform(20, luma - 45)  # darker, so that grey shows the wheels too
        pictures = np.full((self.tau, size, size, 3), round(wall), dtype=np.uint8)
        for side, hue in enumerate(pair):
            center = np.array([0.27 + 0.46 * side, 0.5]) + rng.uniform(-0.04, 0.04, size=2)
            length = size * rng.uniform(0.16, 0.21)
            turns = np.full(self.tau, rng.uniform())
            if side == turning:
                turns += np.arange(self.tau) / self.tau
            colors = [equal_luma(hue, luma - SHADE), equal_luma(hue, luma + SHADE)]
            paint(pictures, _arms(size * center, length, turns, colors))
        add_grain(pictures, rng)
        label = self.hues.index(pair[turning])
        return Scene(pictures[(self.k * times) % self.tau], label)
