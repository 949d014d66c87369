"""Frames of transport/PROTOCOL.md, section 4: written, and read."""
import collections

from wire import Malformed, Reader, number, varint

PADDING, PING, ACK, CREDIT, SKIP, CLOSE, PATH_CHALLENGE, PATH_RESPONSE = range(8)
TIME = 0x0a
MESSAGE = 0x80
NEXT, EQUAL = 0xf0, 4  # a message told by the one before it, and its size as well
(UNRELIABLE, UNRELIABLE_SEQUENCED, RELIABLE_UNORDERED, RELIABLE_ORDERED,
 RELIABLE_SEQUENCED) = range(5)
PIECE_MAX = 1150
UNIT = 128
PART_MIN, PART_MAX = 512, 1152
QUIET = (PADDING, ACK, CLOSE, TIME)  # they oblige nobody to acknowledge them

# A message, or a part of one: `whole` and `index` are None where it stands in one piece.
Message = collections.namedtuple('Message', 'guarantee stream sequence whole index data')
Skip = collections.namedtuple('Skip', 'guarantee stream sequence charge')
Close = collections.namedtuple('Close', 'cause code reason')
Time = collections.namedtuple('Time', 'packet held time')  # in ns; a question is None


def charge(size):
    return size + (64 if size <= PIECE_MAX else 128)


def ack(received, delay_us):
    """Of the set of numbers, the newest 32 ranges."""
    ranges = []
    for packet in sorted(received, reverse=True):
        if ranges and ranges[-1][0] == packet + 1:
            ranges[-1][0] = packet
        elif len(ranges) < 32:
            ranges.append([packet, packet])
    first, last = ranges[0]
    data = bytes([ACK]) + varint(last) + varint(delay_us) + varint(len(ranges) - 1)
    data += varint(last - first)
    for low, high in ranges[1:]:
        data += varint(first - high - 2) + varint(high - low)
        first = low
    return data


def message(m):
    first = MESSAGE | m.guarantee << 4 | 8 | (4 if m.stream else 0)
    data = bytes([m.stream]) if m.stream else b''
    if m.sequence is not None:
        data += number(m.sequence & 0xffff, 2)
    if m.whole is not None:
        first |= 1
        data += varint(m.whole) + varint(m.index)
    return bytes([first]) + data + varint(len(m.data)) + m.data


def follows(m, before):
    """Whether a message is the next of its lane behind the one before it in the packet."""
    if before is None or m[:2] != before[:2] or m.whole is not None or before.whole is not None:
        return False
    return m.sequence is None or m.sequence & 0xffff == before.sequence + 1 & 0xffff


def packet(frames):
    """The bytes of all: what is a Message is written in as few as it can be."""
    data, before = b'', None
    for frame in frames:
        if not isinstance(frame, Message):
            data, before = data + frame, None
            continue
        size = len(frame.data)
        if not follows(frame, before):
            data += message(frame)
        elif size == len(before.data):
            data += bytes([NEXT | EQUAL]) + frame.data
        else:
            data += bytes([NEXT | 8]) + varint(size) + frame.data
        before = frame
    return data


def is_kept(frame):
    """Whether a frame is sent again until the packet that it is in is acknowledged."""
    if isinstance(frame, Message):
        return frame.guarantee >= RELIABLE_UNORDERED
    return frame[0] == CREDIT


def close(code, reason):
    return bytes([CLOSE, 0]) + varint(code) + bytes([len(reason)]) + reason


def credit(limit):
    return bytes([CREDIT]) + varint(limit)


def ask_time():
    return bytes([TIME, 0])


def tell_time(t):
    return bytes([TIME, 1]) + number(t.packet & 0xffffffff, 4) + varint(t.held) + number(t.time, 8)


def _read_time(r):
    kind = r.number(1)
    if kind > 1:
        raise Malformed('a time of kind %d' % kind)
    return Time(r.number(4), r.varint(), r.number(8)) if kind == 1 else None


def _read_ack(r):
    largest, _, count = r.varint(), r.varint(), r.varint()
    if count > 31:
        raise Malformed('an ACK of too many ranges')
    first = largest - r.varint()
    ranges = [(first, largest)]
    for _ in range(count):
        last = first - r.varint() - 2
        first = last - r.varint()
        ranges.append((first, last))
    if first < 0:
        raise Malformed('an ACK of numbers below 0')
    return ranges


def _read_message(r, first):
    guarantee, wide, fragment = first >> 4 & 7, first & 2, first & 1
    has_sequence = guarantee >= RELIABLE_UNORDERED or fragment
    if guarantee > RELIABLE_SEQUENCED or (wide and not has_sequence):
        raise Malformed('flags of a message')
    stream = r.number(1) if first & 4 else 0
    if first & 4 and stream == 0:
        raise Malformed('stream 0 by name')
    sequence = r.number(4 if wide else 2) if has_sequence else None
    whole, index = (r.varint(), r.varint()) if fragment else (None, None)
    data = r.take(r.varint() if first & 8 else len(r.data))
    return Message(guarantee, stream, sequence, whole, index, data)


def _read_next(r, first, before, mask):
    if before is None or before.whole is not None or first not in (NEXT, NEXT | EQUAL, NEXT | 8):
        raise Malformed('a message told by what is before it')
    size = len(r.data) if first == NEXT else len(before.data) if first & EQUAL else r.varint()
    sequence = None if before.sequence is None else before.sequence + 1 & mask
    return before._replace(sequence=sequence, data=r.take(size))


def read(data):
    """@return [(type, what it says)] of a packet's frames."""
    r, frames, mask = Reader(data), [], 0
    while r.data:
        kind, says = r.number(1), None
        if kind >= NEXT:
            before = frames[-1][1] if frames and frames[-1][0] == MESSAGE else None
            kind, says = MESSAGE, _read_next(r, kind, before, mask)
        elif kind >= MESSAGE:
            mask = 0xffffffff if kind & 2 else 0xffff
            kind, says = MESSAGE, _read_message(r, kind)
        elif kind == ACK:
            says = _read_ack(r)
        elif kind == CREDIT:
            says = r.varint()
        elif kind == SKIP:
            says = Skip(r.number(1), r.number(1), r.number(4), r.varint())
        elif kind == CLOSE:
            says = Close(r.number(1), r.varint(), r.take(r.number(1)))
        elif kind == TIME:
            says = _read_time(r)
        elif kind in (PATH_CHALLENGE, PATH_RESPONSE):
            says = r.take(8)
        elif kind not in (PADDING, PING):
            raise Malformed('a frame of type %d' % kind)
        frames.append((kind, says))
    return frames
