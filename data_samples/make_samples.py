"""Make the sample clips again: ``python data_samples/make_samples.py``.

The manifest says how each was made: ``Actions`` renders its label from its seed, and
``write_video`` encodes it with its crf and its greatest distance of key frames.
"""

import csv
from pathlib import Path

import numpy as np

from slowfast_edu.data.encode import write_video
from slowfast_edu.data.figures import FRAMES_PER_SECOND, Actions

HERE = Path(__file__).parent


def rows() -> list[dict[str, str]]:
    """The manifest: one row a clip."""
    with (HERE / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def frames_of(row: dict[str, str]) -> np.ndarray:
    """Render the frames of one manifest row."""
    task, times = Actions(style=row["style"]), np.arange(int(row["frames"]))
    case = task.classes.index(row["label"])
    rng = np.random.default_rng(int(row["seed"]))
    return task.render(case, rng, times, int(row["size"])).frames


if __name__ == "__main__":
    for row in rows():
        path = HERE / row["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        settings = {name: int(row[name]) for name in ("key_frame_every", "crf")}
        write_video(frames_of(row), path, FRAMES_PER_SECOND, **settings)
        print(f"{row['file']}: {path.stat().st_size / 1000:.0f} kB")
