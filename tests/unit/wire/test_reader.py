"""The bounded reader."""

import pytest

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire import writer
from ikepy.wire.reader import Reader


def test_fields_are_big_endian_and_in_order() -> None:
    reader = Reader(bytes(range(1, 18)))
    assert reader.u8() == 0x01
    assert reader.u16() == 0x0203
    assert reader.u32() == 0x04050607
    assert reader.u64() == 0x08090A0B0C0D0E0F
    assert reader.remaining == 2
    assert reader.take(1) == b"\x10"
    assert reader.rest() == b"\x11"
    assert reader.rest() == b""
    reader.end()


@pytest.mark.parametrize("method", ["u8", "u16", "u32", "u64"])
def test_a_field_beyond_the_end_is_refused(method: str) -> None:
    size = int(method[1:]) // 8
    with pytest.raises(WireError):
        getattr(Reader(bytes(size - 1)), method)()


@pytest.mark.parametrize("size", [-1, 4, 1 << 40])
def test_taking_more_than_there_is_or_less_than_nothing(size: int) -> None:
    reader = Reader(b"abc")
    with pytest.raises(WireError):
        reader.take(size)
    assert reader.remaining == 3


def test_bytes_left_over() -> None:
    with pytest.raises(WireError):
        Reader(b"a").end()


def test_a_part_ends_where_it_ends() -> None:
    reader = Reader(b"abcdef")
    with reader.restrict(4):
        assert reader.take(1) == b"a"
        with reader.restrict(2):
            assert reader.remaining == 2
            with pytest.raises(WireError):
                reader.take(3)
            assert reader.rest() == b"bc"
        assert reader.rest() == b"d"
    assert reader.rest() == b"ef"


def test_a_part_must_be_read_to_its_end() -> None:
    reader = Reader(b"abcdef")
    with pytest.raises(WireError), reader.restrict(4):
        reader.take(3)


@pytest.mark.parametrize("size", [-1, 4])
def test_a_part_must_fit(size: int) -> None:
    reader = Reader(b"abc")
    with pytest.raises(WireError), reader.restrict(size):
        pass


def test_an_inner_part_must_fit_into_the_outer_one() -> None:
    reader = Reader(b"abcdef")
    with pytest.raises(WireError), reader.restrict(2), reader.restrict(3):
        reader.take(3)


def test_written_integers_must_fit() -> None:
    assert writer.u8(255) + writer.u16(1) + writer.u32(2) == b"\xff\0\x01\0\0\0\x02"
    for write, value in ((writer.u8, 256), (writer.u16, 1 << 16), (writer.u32, 1 << 32), (writer.u8, -1)):
        with pytest.raises(LocalMisuse):
            write(value)


@pytest.mark.parametrize("method", ["u8", "u16", "u32", "u64"])
def test_a_field_may_end_where_the_data_ends(method: str) -> None:
    size = int(method[1:]) // 8
    reader = Reader(bytes(size - 1) + b"\x07")
    assert getattr(reader, method)() == 7
    reader.end()


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_part_may_be_empty_or_all_there_is(size: int) -> None:
    reader = Reader(b"abc")
    with reader.restrict(size):
        assert reader.rest() == b"abc"[:size]
    assert reader.rest() == b"abc"[size:]


@pytest.mark.parametrize("method", ["u8", "u16", "u32", "u64"])
def test_a_refused_field_is_not_taken(method: str) -> None:
    size = int(method[1:]) // 8
    reader = Reader(bytes(size - 1))
    with pytest.raises(WireError, match=rf"^{size} bytes? expected, {size - 1} left$"):
        getattr(reader, method)()
    assert reader.remaining == size - 1


def test_errors_say_how_much_there_is() -> None:
    reader = Reader(b"abc")
    with pytest.raises(WireError, match=r"^4 bytes expected, 3 left$"):
        reader.take(4)
    with pytest.raises(WireError, match=r"^3 bytes left over$"):
        reader.end()
    with pytest.raises(WireError, match=r"^a part of 4 bytes, 3 left$"):
        reader.restrict(4)


def test_a_part_that_ends_with_an_error_leaves_the_limit_as_it_was() -> None:
    reader = Reader(b"abcdef")
    with pytest.raises(ValueError, match="ours"), reader.restrict(2):
        raise ValueError("ours")
    assert reader.rest() == b"abcdef"
