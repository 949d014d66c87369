"""Messages on their way: what waits to be acknowledged, and what has come (section 4)."""
from frames import (Message, PART_MAX, PART_MIN, PIECE_MAX, RELIABLE_ORDERED, RELIABLE_SEQUENCED,
                    RELIABLE_UNORDERED, UNIT, UNRELIABLE_SEQUENCED, charge)

def cut(m):
    """The frames of a message, one or its parts, each with what it is charged."""
    if len(m.data) <= PIECE_MAX:
        return [(m, charge(len(m.data)))]
    frames, at, whole = [], 0, len(m.data)
    while at < whole:
        left = whole - at
        size = left if left <= PART_MAX else min(PART_MAX, (left - PART_MIN) // UNIT * UNIT)
        part = m._replace(whole=whole, index=at // UNIT, data=m.data[at:at + size])
        frames.append((part, size + (128 if at == 0 else 0)))
        at += size
    return frames


class Outgoing:
    """Gives each message its sequence, and sends reliable ones as far as the credit goes."""

    def __init__(self, limit):
        self.limit, self.charged = limit, 0
        self.next, self.waiting = {}, []

    def push(self, guarantee, stream, data):
        sequence = None
        if guarantee >= RELIABLE_UNORDERED or len(data) > PIECE_MAX:
            sequence = self.next.get((guarantee, stream), 0)
            self.next[guarantee, stream] = sequence + 1
        self.waiting += cut(Message(guarantee, stream, sequence, None, None, data))

    def pull(self):
        """@return the frames that may leave now."""
        frames = []
        while self.waiting:
            m, cost = self.waiting[0]
            if m.guarantee >= RELIABLE_UNORDERED:
                if self.charged + cost > self.limit:
                    break
                self.charged += cost
            frames.append(self.waiting.pop(0)[0])
        return frames


class Incoming:
    """Puts messages together and in order; `ready` has (guarantee, stream, data)."""

    def __init__(self):
        self.ready, self.settled = [], 0  # settled: the charge of what came whole
        self.parts, self.seen, self.held, self.expected, self.newest = {}, {}, {}, {}, {}

    def take(self, m, packet):
        lane = (m.guarantee, m.stream)
        if m.sequence is not None:
            m = m._replace(sequence=self.widen(lane, m.sequence))
        if m.whole is not None:
            m = self.join(lane, m)
        if m is None or (m.sequence is not None and not self.is_new(lane, m.sequence)):
            return
        if m.guarantee >= RELIABLE_UNORDERED:
            self.settled += charge(len(m.data))
        if m.guarantee == UNRELIABLE_SEQUENCED and packet < self.newest.get(lane, 0):
            return
        if m.guarantee == UNRELIABLE_SEQUENCED:
            self.newest[lane] = packet
        self.deliver(lane, m)

    def skip(self, s):
        lane = (s.guarantee, s.stream)
        if self.is_new(lane, s.sequence):
            self.settled += s.charge
            self.deliver(lane, Message(s.guarantee, s.stream, s.sequence, None, None, None))

    def widen(self, lane, low):
        """A sequence by its low 16 bits: the nearest to the newest that was seen."""
        seen = self.seen.get(lane)
        newest = max(seen) if seen else 0
        return newest + ((low - newest + 0x8000) & 0xffff) - 0x8000

    def join(self, lane, m):
        """@return the message, if this was the last part that it lacked."""
        if len(m.data) < PART_MIN:
            raise ValueError('a part of %d bytes' % len(m.data))
        parts = self.parts.setdefault((lane, m.sequence), {})
        parts[m.index] = m.data
        if sum(map(len, parts.values())) < m.whole:
            return None
        del self.parts[lane, m.sequence]
        data = b''.join(parts[index] for index in sorted(parts))
        return m._replace(whole=None, index=None, data=data)

    def is_new(self, lane, sequence):
        seen = self.seen.setdefault(lane, set())
        if sequence in seen:
            return False
        seen.add(sequence)
        return True

    def deliver(self, lane, m):
        if m.guarantee == RELIABLE_ORDERED:
            self.deliver_in_order(lane, m)
        elif m.guarantee == RELIABLE_SEQUENCED and m.sequence < self.newest.get(lane, 0):
            return
        elif m.data is not None:
            self.newest[lane] = max(self.newest.get(lane, 0), m.sequence or 0)
            self.ready.append((m.guarantee, m.stream, m.data))

    def deliver_in_order(self, lane, m):
        held = self.held.setdefault(lane, {})
        held[m.sequence] = m.data
        at = self.expected.get(lane, 0)
        while at in held:
            data = held.pop(at)
            if data is not None:
                self.ready.append((m.guarantee, m.stream, data))
            at += 1
        self.expected[lane] = at
