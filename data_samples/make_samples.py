"""Make the sample clips again: ``python data_samples/make_samples.py``."""

import csv
from pathlib import Path

import av
import numpy as np

from slowfast_edu.data.figures import render

HERE = Path(__file__).parent
FRAMES_PER_SECOND = 30


def encode(video: np.ndarray, path: Path) -> None:
    """H.264 in MP4, a key frame every 30 frames, two B-frames between others."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.height, stream.width = video.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 30
        stream.options = {"crf": "20", "preset": "slow", "bf": "2", "threads": "1"}
        for image in video:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def rows() -> list[dict[str, str]]:
    """The manifest: one row a clip."""
    with (HERE / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def frames_of(row: dict[str, str]) -> np.ndarray:
    """Render the frames of one manifest row."""
    return render(
        row["action"],
        frames=int(row["frames"]),
        size=int(row["size"]),
        frames_per_cycle=float(row["frames_per_cycle"]),
        travel=float(row["travel"]),
    )


if __name__ == "__main__":
    for row in rows():
        encode(frames_of(row), HERE / row["file"])
        kilobytes = (HERE / row["file"]).stat().st_size / 1000
        print(f"{row['file']}: {kilobytes:.0f} kB")
