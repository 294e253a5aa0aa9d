"""Answers that are put into text, and taken out where nothing of it can be trusted."""

import base64
import json
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_edu.exercises import EXERCISES, Exercise, checking
from slowfast_edu.exercises.asking import MOST_BYTES, Raised, Thing, ask, pack, unpack
from slowfast_edu.exercises.checking import judge
from slowfast_edu.exercises.comparing import difference

CHECKED = [e for e in EXERCISES.values() if isinstance(e, Exercise)]
SEED = 4
MIB = 2**20


def there_and_back(answer):
    return unpack(json.loads(json.dumps(pack(answer))))


@pytest.mark.parametrize("exercise", CHECKED, ids=lambda e: e.name)
def test_the_verdict_is_the_one_on_the_answers_themselves(exercise):
    right = ask(exercise, exercise.answer, SEED)
    assert judge(exercise, list(map(there_and_back, right)), SEED).right
    assert sum(len(json.dumps(pack(answer))) for answer in right) < MIB
    assert len(right) * MOST_BYTES < MIB
    for mistake in exercise.mistakes:
        answers = ask(exercise, mistake.answer, SEED)
        told = list(map(checking._unlike, right, answers))
        assert any(told)
        assert told == list(map(checking._unlike, right, map(there_and_back, answers)))


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NESTED = st.recursive(
    PLAIN,
    lambda part: (
        st.lists(part)
        | st.lists(part).map(tuple)
        | st.dictionaries(st.text() | st.integers(), part)
    ),
)


@settings(max_examples=40)
@given(NESTED)
def test_plain_values_come_back_as_they_were(value):
    assert repr(there_and_back(value)) == repr(value)  # of NaN and -0.0 too


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", ">f8"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 2), (2, 3)])
def test_arrays_and_tensors_come_back_with_shape_and_dtype(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    back = there_and_back(array.T)
    np.testing.assert_array_equal(back, array.T, strict=dtype != ">f8")
    assert back.dtype == array.dtype.newbyteorder("=")
    if dtype != ">f8":
        tensor = torch.from_numpy(array)
        back = there_and_back(tensor.T if array.ndim > 1 else tensor)
        torch.testing.assert_close(back.T if array.ndim > 1 else back, tensor)


def test_what_needs_a_gradient_or_bfloat16_comes_back():
    assert torch.equal(there_and_back(torch.ones(2, requires_grad=True)), torch.ones(2))
    half = torch.tensor([1.5], dtype=torch.bfloat16)
    assert torch.equal(there_and_back(half), half)


@pytest.mark.parametrize(
    ("answer", "back"),
    [
        (np.float32(0.5), 0.5),
        (np.int16(-3), -3),
        (np.bool_(True), True),
        (Fraction(1, 4), 0.25),
        (range(3), [0, 1, 2]),
        (np.array(["slow", "fast"]), ["slow", "fast"]),
        (np.array([1, "x", None], dtype=object), [1, "x", None]),
        (10**4000, 10**4000),
        (Raised("KeyError", "x", ("KeyError", "Exception")),) * 2,
    ],
)
def test_what_comes_back_in_plainer_dress(answer, back):
    got = there_and_back(answer)
    assert (type(got), got) == (type(back), back)


def endless():
    one = []
    one.append(one)
    return one


class Hostile:
    """Whatever is asked of it, it fails, and its name is no better."""

    def __getattr__(self, name):
        raise SystemError(name)

    __repr__ = __len__ = __iter__ = __eq__ = __reduce__ = __index__ = __float__ = (
        __getattr__
    )
    __hash__ = None


@pytest.mark.parametrize(
    "answer",
    [
        endless(),
        Hostile(),
        [Hostile()],
        {1, 2},
        1j,
        object,
        lambda: 1,
        np.str_("slow"),
        10**5000,
        torch.zeros(2, device="meta"),
        torch.eye(2).to_sparse(),
        torch.ones(2, dtype=torch.complex64),
        "x" * MIB,
        [0] * MIB,
        np.zeros(MIB),
        torch.zeros(MIB),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_of_anything_else_a_word_comes_and_it_is_a_wrong_answer(answer):
    packed = pack(answer)
    assert len(json.dumps(packed)) < 200
    got = unpack(packed)
    for expected in (1, 0.5, "slow", [1.0], np.ones(2), torch.ones(2), {"a": 1}):
        assert difference(expected, got)
    assert isinstance(got, Thing | list)


HOSTILE = [
    5,
    [],
    {},
    {"eval": "1"},
    {"int": "1", "float": "1"},
    {"int": "1" * 5000},
    {"int": float("1e999")},
    {"float": 10**400},
    {"float": "x"},
    {"list": 5},
    {"dict": [[{"list": []}, 1]]},
    {"dict": [1]},
    {"thing": "a\0b"},
    {"raised": ["a", "b", 5]},
    {"array": ["O", [1], "AAAAAAAAAAA="]},
    {"array": ["object", [1], "AAAAAAAAAAA="]},
    {"array": ["V1000000000", [1], ""]},
    {"array": ["M8[ns]", [1], "AAAAAAAAAAA="]},
    {"array": ["(1000000000,)f8", [1], ""]},
    {"array": [{"names": ["a"], "formats": ["f8"]}, [1], "AAAAAAAAAAA="]},
    {"array": ["float64", [10**12], ""]},
    {"array": ["float64", [10**30], ""]},
    {"array": ["float64", [-2, -3], "AAAA" * 12]},
    {"array": ["float64", [2], "AAAAAAAAAAA="]},
    {"array": ["float64", [1], "no base64"]},
    {"array": ["bfloat16", [1], "AAA="]},
    {"tensor": ["float32", [10**12], ""]},
    {"tensor": ["float32", [0, 10**30], ""]},
    {"tensor": ["float32", [10**9, "ab"], ""]},
    {"tensor": ["float32", [3], "AAAA"]},
    {"tensor": ["load", [1], "AAAA"]},
    {"tensor": ["__class__", [1], "AAAA"]},
    {"other": ["float32", [1], "AAAAAA=="]},
]


@pytest.mark.parametrize("packed", HOSTILE, ids=lambda p: json.dumps(p)[:40])
def test_what_was_never_put_away_is_refused_and_takes_no_memory(packed):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="no answer that was put away"):
            unpack(packed)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_depth_is_refused():
    deep = 1
    for _ in range(5000):
        deep = {"list": [deep]}
    with pytest.raises(ValueError):
        unpack(deep)


WORDS = st.sampled_from(["int", "float", "list", "dict", "array", "tensor", "raised"])
NUMBERS = st.sampled_from(["float32", "uint8", "bool", "<f8", "O", "V9", ""])
JSON = st.recursive(
    PLAIN | NUMBERS | st.just("AAAAAAAA"),
    lambda part: st.lists(part) | st.dictionaries(WORDS | st.text(), part, max_size=2),
)
SHAPES = st.lists(st.integers(-2, 9) | st.integers(), max_size=3)
BYTES = st.binary(max_size=32).map(lambda data: base64.b64encode(data).decode())
KINDS = (str, int, float, list, tuple, dict, np.ndarray, torch.Tensor, Raised, Thing)
NEARLY = st.builds(
    lambda kind, dtype, shape, data: {kind: [dtype, shape, data]},
    st.sampled_from(["array", "tensor"]),
    NUMBERS,
    SHAPES | JSON,
    BYTES | JSON,
)


@given(JSON | NEARLY | st.dictionaries(WORDS, JSON, min_size=1, max_size=1))
def test_anything_is_an_answer_or_refused(packed):
    try:
        got = unpack(packed)
    except ValueError:
        return
    assert got is None or isinstance(got, KINDS)


def test_after_a_stub_s_error_nothing_more_is_asked():
    asked = []

    def stub(*arguments):
        asked.append(arguments)
        raise NotImplementedError

    answers = ask(EXERCISES["02.nyquist"], stub, 0)
    assert [answer.is_a_stubs for answer in answers] == [True] and len(asked) == 1
    assert not judge(EXERCISES["02.nyquist"], answers, 0).attempted


@pytest.mark.parametrize("count", [0, 15, 17])
def test_answers_that_are_missing_or_too_many_are_wrong(count):
    right = ask(EXERCISES["02.nyquist"], EXERCISES["02.nyquist"].answer, 0)
    verdict = judge(EXERCISES["02.nyquist"], (right * 2)[:count], 0)
    assert (verdict.attempted, verdict.passed, verdict.right) == (True, 0, False)
    assert f"{count} answers came to 16 questions" in verdict.told
