"""How others name the parts of a SlowFast, and how this library does.

Ours: ``slow.conv1.conv.weight``, ``fast.res4.block5.a_bn.running_var``,
``lateral.pool1.t_conv.conv.weight``, ``head.projection.bias``. A translator takes all
keys of a checkpoint and returns {their key: our key}; a pathway that stands alone is
called "single", for only the model knows which one it is. A key that fits no pattern
keeps its name, and loading then says that the model has no such tensor; one that is left
out (Caffe2's optimiser) is not loaded.
"""

import re
from collections.abc import Callable

HEAD = "head.projection."
TWO_PATHWAYS = ("slow", "fast")


def from_ours(keys: set[str]) -> dict[str, str]:
    """Our own names, as they are."""
    return {key: key for key in keys}


_PYTORCHVIDEO_KEY = re.compile(
    r"blocks\.(\d+)\.(?:multipathway_(blocks\.[01]|fusion)\.)?(.*)"
)
_PYTORCHVIDEO_PARTS = (
    (r"^res_blocks\.(\d+)\.branch2\.conv_b\.conv_t\.", r"block\1.b_temporal.conv."),
    (r"^res_blocks\.(\d+)\.branch2\.conv_b\.norm\.", r"block\1.b_temporal.bn."),
    (r"^res_blocks\.(\d+)\.branch2\.conv_b\.conv_xy\.", r"block\1.b."),
    (r"^res_blocks\.(\d+)\.branch2\.conv_([abc])\.", r"block\1.\2."),
    (r"^res_blocks\.(\d+)\.branch2\.norm_([abc])\.", r"block\1.\2_bn."),
    (r"^res_blocks\.(\d+)\.branch1_conv\.", r"block\1.shortcut."),
    (r"^res_blocks\.(\d+)\.branch1_norm\.", r"block\1.shortcut_bn."),
    (r"^conv_fast_to_slow\.", "t_conv.conv."),
)


def from_pytorchvideo(keys: set[str]) -> dict[str, str]:
    """``blocks.{i}...``: a pooling block may shift i, so stages are found by content."""
    numbers = {int(m[1]) for k in keys if (m := re.match(r"blocks\.(\d+).*\.res_b", k))}
    stages = {i: f"res{n}" for n, i in enumerate(sorted(numbers), start=2)}
    ours = from_ours(keys)
    for key in keys:
        match = _PYTORCHVIDEO_KEY.match(key)
        if not match:
            continue
        index, owner, rest = int(match[1]), match[2], match[3]
        if rest.startswith("proj."):
            ours[key] = HEAD + rest.removeprefix("proj.")
            continue
        for pattern, name in _PYTORCHVIDEO_PARTS:
            rest = re.sub(pattern, name, rest)
        place = stages.get(index, "conv1")
        if owner == "fusion":
            place, rest = stages.get(index, "pool1"), re.sub("^norm", "t_conv.bn", rest)
            ours[key] = f"lateral.{place}.{rest}"
        else:
            pathway = TWO_PATHWAYS[int(owner[-1])] if owner else "single"
            ours[key] = f"{pathway}.{place}.{re.sub('^norm', 'bn', rest)}"
    return ours


def from_pyslowfast(keys: set[str]) -> dict[str, str]:
    """``s{i}.pathway{p}_res{j}...``: s1 is the stem, s2 to s5 are res2 to res5."""
    two = any(re.match(r"s\d\.pathway1_", key) for key in keys)
    ours = from_ours(keys)  # the head has our name already
    for key in keys:
        if match := re.match(r"s(\d)_fuse\.(conv_f2s|bn)\.(.*)", key):
            place = "pool1" if match[1] == "1" else f"res{match[1]}"
            part = "conv" if match[2] == "conv_f2s" else "bn"
            ours[key] = f"lateral.{place}.t_conv.{part}.{match[3]}"
        elif match := re.match(r"s(\d)\.pathway([01])_(.*)", key):
            pathway = TWO_PATHWAYS[int(match[2])] if two else "single"
            place = "conv1" if match[1] == "1" else f"res{match[1]}"
            rest = re.sub(r"^stem\.", "", match[3])
            rest = re.sub(r"^res(\d+)\.branch2\.", r"block\1.", rest)
            rest = re.sub(r"^res(\d+)\.branch1", r"block\1.shortcut", rest)
            rest = re.sub(r"^(nonlocal\d+)\.conv_", r"\1.", rest)
            ours[key] = f"{pathway}.{place}.{rest}"
    return ours


_CAFFE2_OPTIMISER = re.compile(r"_momentum$|^lr$|^model_iter$")
_CAFFE2_BN = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
_CAFFE2_CONV = {"w": "weight", "b": "bias"}
_CAFFE2_LATERAL = re.compile(r"t_(?:pool1|(res\d)_\d+_branch2c_bn)_subsample_")
_CAFFE2_PARTS = (
    (
        re.compile(r"^(?:res_)?conv1_(bn_)?"),
        lambda m: "conv1." + ("bn" if m[1] else "conv"),
    ),
    (
        re.compile(r"^(res\d)_(\d+)_branch(?:(1)|2([abc]))_(bn_)?"),
        lambda m: (
            f"{m[1]}.block{m[2]}.{'shortcut' if m[3] else m[4]}{'_bn' if m[5] else ''}"
        ),
    ),
    (
        re.compile(r"^nonlocal_conv(\d)_(\d+)_(theta|phi|g|out|bn)_"),
        lambda m: f"res{m[1]}.nonlocal{m[2]}.{m[3]}",
    ),
)


def _caffe2_leaf(leaf: str, part: str) -> str:
    return (_CAFFE2_BN if part.endswith("bn") else _CAFFE2_CONV).get(leaf, leaf)


def from_caffe2(keys: set[str]) -> dict[str, str]:
    """``[t_]res4_5_branch2a_bn_riv``: Fast's names begin with ``t_``.

    The optimiser's own blobs are left out.
    """
    two = any(key.startswith("t_") for key in keys)
    ours = {}
    for key in keys:
        if _CAFFE2_OPTIMISER.search(key):
            continue
        if match := re.fullmatch(r"pred_([wb])", key):
            ours[key] = HEAD + _CAFFE2_CONV[match[1]]
        elif match := _CAFFE2_LATERAL.match(key):
            rest = key[match.end() :]
            part = "t_conv.bn" if rest.startswith("bn_") else "t_conv.conv"
            leaf = _caffe2_leaf(rest.removeprefix("bn_"), part)
            ours[key] = f"lateral.{match[1] or 'pool1'}.{part}.{leaf}"
        else:
            pathway = ("fast" if key.startswith("t_") else "slow") if two else "single"
            name = key.removeprefix("t_")
            for pattern, part_of in _CAFFE2_PARTS:
                if match := pattern.match(name):
                    part = part_of(match)
                    leaf = _caffe2_leaf(name[match.end() :], part)
                    ours[key] = f"{pathway}.{part}.{leaf}"
            ours.setdefault(key, key)
    return ours


# What a key of each kind looks like, and who translates.
KEY_MAPS: dict[str, tuple[str, Callable[[set[str]], dict[str, str]]]] = {
    "pytorchvideo": (r"^blocks\.\d+\.", from_pytorchvideo),
    "pyslowfast": (r"^s\d(_fuse)?\.", from_pyslowfast),
    "caffe2": (r"^(t_)?(conv1_w|res\d_\d+_branch2a_w)$", from_caffe2),
    "slowfast_edu": (r"^(slow|fast|backbone)\.conv1\.", from_ours),
}
