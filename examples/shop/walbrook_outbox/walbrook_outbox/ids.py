"""Ids that sort by time (UUID version 7), which Python has from 3.14 on.

Two reasons: rows that wait when walbrook first starts are published in the order of the primary key,
and an index whose new keys are all at its end stays small and in memory.
"""

import secrets
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0


def time_ordered_uuid():
    """48 bits of milliseconds, 12 of their fraction, 62 random ones; never below the last one here."""
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() * 4096 // 1_000_000)
        ticks = _last
    milliseconds, fraction = ticks >> 12, ticks & 0xFFF
    number = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62)
    return uuid.UUID(int=number)
