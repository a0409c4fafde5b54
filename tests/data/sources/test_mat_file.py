"""MATLAB files as scipy writes them, and as scipy reads them."""

import io

import numpy as np
import pytest
import scipy.io

from hf_hmtl.data.sources._mat_file import matrices

KINDS = ["float64", "float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def written(**values):
    file = io.BytesIO()
    scipy.io.savemat(file, values, do_compression=values.pop("compressed", False))
    return file.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_matrices_are_what_scipy_wrote_and_reads(kind, compressed):
    values = {f"m{size}": np.arange(size * 3).reshape(size, 3).astype(kind) for size in (1, 2, 7)}
    content = written(compressed=compressed, words="text", **values, nested={"a": np.eye(2)})
    found = matrices(content, ("m1", "m7", "words", "nested", "absent"))
    read = scipy.io.loadmat(io.BytesIO(content))
    assert set(found) == {"m1", "m7"}
    for name, matrix in found.items():
        np.testing.assert_array_equal(matrix, read[name])
        np.testing.assert_array_equal(matrix, values[name])


def test_the_other_byte_order_is_read():
    big = b"MATLAB 5.0".ljust(124) + b"\x01\x00" + b"MI"
    flags = np.array([6, 8, 6, 0], ">u4").tobytes()
    sizes = np.array([5, 8, 1, 2], ">u4").tobytes()
    name = np.array([1 << 16 | 1], ">u4").tobytes() + b"a\0\0\0"
    numbers = np.array([9, 16], ">u4").tobytes() + np.array([1.5, -2.0], ">f8").tobytes()
    matrix = flags + sizes + name + numbers
    content = big + np.array([14, len(matrix)], ">u4").tobytes() + matrix
    np.testing.assert_array_equal(scipy.io.loadmat(io.BytesIO(content))["a"], [[1.5, -2.0]])
    np.testing.assert_array_equal(matrices(content, ("a",))["a"], [[1.5, -2.0]])


def test_complex_numbers_give_their_real_part():
    np.testing.assert_array_equal(matrices(written(a=np.array([[1 + 2j, 3]])), ("a",))["a"], [[1, 3]])


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_is_cut_off_is_refused_or_lacks_what_was_cut(compressed):
    content = written(compressed=compressed, a=np.arange(30.0), b=np.arange(30.0))
    for length in range(len(content)):
        try:
            found = matrices(content[:length], ("a", "b"))
        except ValueError:
            continue
        for matrix in found.values():
            np.testing.assert_array_equal(matrix, [np.arange(30.0)])


def test_a_matrix_that_is_said_to_be_larger_than_it_is_is_refused():
    content = bytearray(written(a=np.zeros((3, 5))))
    place = content.index(np.array([3, 5], "<i4").tobytes())
    for sizes in ([3, 6], [2**31 - 1] * 2, [-3, -5]):
        content[place : place + 8] = np.array(sizes, "<i4").tobytes()
        with pytest.raises(ValueError, match="is said to be"):
            matrices(bytes(content), ("a",))


def test_a_compressed_matrix_that_swells_is_refused():
    content = written(compressed=True, a=np.zeros(10**7))
    assert len(content) < 100_000
    with pytest.raises(ValueError, match="too large"):
        matrices(content, ("a",))
