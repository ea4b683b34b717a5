"""One gzip member made of a short head of the moment and a long tail that was compressed once.

Several members one after the other would be simpler, and are valid gzip, but common clients stop after the first. So
the head goes into stored blocks, the tail's raw deflate stream follows, and the checksum of both is put together from
the checksums of each.
"""

from __future__ import annotations

import zlib

from msgspec import Struct

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_CRC_POLYNOMIAL = 0xEDB88320
_LARGEST_STORED = 0xFFFF
_LEVEL = 6
"""Levels above take half as long again and save nothing on manifests, which are hashes for the most part."""


class DeflatedTail(Struct, frozen=True, gc=False):
    """The end of a gzip member: its raw deflate stream, and what is needed to prefix it with a head.

    `crc_shift` moves a checksum over as many zero bytes as the tail is long.
    """

    deflated: bytes
    size: int
    crc: int
    crc_shift: int


def deflate_tail(tail: bytes) -> DeflatedTail:
    """Compress once what ends many members; costs milliseconds for a large one."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = compressor.compress(tail) + compressor.flush()
    return DeflatedTail(deflated, len(tail), zlib.crc32(tail), _power_of_x(8 * len(tail)))


def gzip_member(head: bytes, tail: DeflatedTail) -> bytes:
    """The gzip form of `head` followed by the tail, as one member."""
    crc = _multiply(tail.crc_shift, zlib.crc32(head)) ^ tail.crc
    size = (len(head) + tail.size) & 0xFFFFFFFF
    return b"".join((_HEADER, *_stored(head), tail.deflated, crc.to_bytes(4, "little"), size.to_bytes(4, "little")))


def _stored(data: bytes) -> list[bytes]:
    """Deflate blocks that are not the last and hold `data` as it is."""
    blocks = []
    for start in range(0, len(data), _LARGEST_STORED):
        block = data[start : start + _LARGEST_STORED]
        length = len(block)
        blocks.append(b"\x00" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + block)
    return blocks


def _multiply(a: int, b: int) -> int:
    """The product of two polynomials over GF(2) modulo that of CRC-32, bits reversed as CRC-32 has them."""
    product = 0
    bit = 1 << 31
    while a:
        if a & bit:
            product ^= b
            a ^= bit
        bit >>= 1
        b = (b >> 1) ^ _CRC_POLYNOMIAL if b & 1 else b >> 1
    return product


def _power_of_x(exponent: int) -> int:
    """x to the given power, by squaring."""
    result, square = 1 << 31, 1 << 30
    while exponent:
        if exponent & 1:
            result = _multiply(square, result)
        square = _multiply(square, square)
        exponent >>= 1
    return result
