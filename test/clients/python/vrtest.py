"""What the Python programs share: TAP output, and values that are hard to keep."""
import atexit
import os
import struct
import sys

_count = 0
_failed = 0
_ended = False


def ok(good, what, detail=None):
    global _count, _failed
    _count += 1
    print(f"{'ok' if good else 'not ok'} {_count} - {what}", flush=True)
    if not good:
        _failed += 1
        if detail is not None:
            print("#   " + str(detail).replace("\n", "\n#   "), flush=True)
    return good


def equal(got, want, what):
    return ok(got == want, what, f"got  {got!r}\nwant {want!r}")


def fails(call, classes, text, what):
    """The call raises one of the classes, and the message has the text."""
    try:
        call()
    except classes as error:
        return ok(text in str(error), what, error)
    except Exception as error:
        return ok(False, what, f"{type(error)}: {error}")
    return ok(False, what, "no error")


async def afails(call, classes, text, what):
    try:
        await call()
    except classes as error:
        return ok(text in str(error), what, error)
    except Exception as error:
        return ok(False, what, f"{type(error)}: {error}")
    return ok(False, what, "no error")


def done():
    global _ended
    _ended = True
    print(f"1..{_count}")
    sys.exit(1 if _failed else 0)


@atexit.register
def _check_ended():
    if not _ended:
        print("# the program did not reach its end", flush=True)
        os._exit(2)


def plain(value):
    """A list, whichever form the library gives a vector."""
    return list(value.to_list() if hasattr(value, "to_list") else value)


def bits32(values):
    """The bytes of float32 values, for comparisons that see -0."""
    return b"".join(struct.pack(">f", float(v)) for v in plain(values))


def bits16(values):
    return b"".join(struct.pack(">e", float(v)) for v in plain(values))


def sparse32(value):
    """What a sparsevec has, its values as bytes."""
    return value.dimensions(), value.indices(), bits32(value.values())


def f32(x):
    return struct.unpack(">f", struct.pack(">f", x))[0]


# Largest, smallest normal and smallest subnormal, -0, what needs nine digits.
EXTREME32 = [f32(x) for x in (
    3.4028234663852886e38, -3.4028234663852886e38, 1.1754943508222875e-38,
    1.401298464324817e-45, -1.401298464324817e-45, -0.0, 0.0, 0.1, 1 / 3,
    16777217.0, 1e-5, 9.999999e9, 1.0000001, 0.3, 123456.789)]
# As a sparsevec: the elements that are not zero, of 1,000.
SPARSE32 = {i * 7: x for i, x in enumerate(EXTREME32) if x != 0}
# No whole number of bytes.
BITS19 = "1011011100011110101"
EXTREME16 = [65504.0, -65504.0, 6.103515625e-05, 5.960464477539063e-08, -0.0,
             0.0, 0.0999755859375, 0.333251953125]
KEPT_SPARSE = (1000, list(SPARSE32), bits32(SPARSE32.values()))
