"""One end of an open connection: packets, acknowledgements, credit and close."""
import time

import frames as f
from lanes import Incoming, Outgoing
from wire import Keys, open_packet, seal_packet

RESEND_S = 0.2
ROOM = 1 << 20  # what we let the other have on its way to us
FRAMES_SIZE_MAX = 1200 - 9 - 16
FRAMES_MAX = 24  # so many new messages of one lane may be in a packet


class Peer:
    """@param send takes a datagram. @param secrets of packets to the server, and to the client."""

    def __init__(self, send, is_client, suite, secrets, wire_id, limit):
        self.send_datagram, self.is_client, self.wire_id = send, is_client, wire_id
        mine, theirs = secrets if is_client else reversed(secrets)
        self.out_keys, self.in_keys = Keys(suite, mine), Keys(suite, theirs)
        self.outgoing, self.incoming = Outgoing(limit), Incoming()
        self.granted = ROOM
        self.packet, self.acked = 0, set()
        self.received, self.wants_ack, self.largest_at = set(), False, 0.0
        self.in_flight = {}  # number of a packet: (when it was sent, its frames)
        self.asked, self.owed = None, None  # what time it is: (number of the packet, when)
        self.told = []  # (when we asked, what it said, when that came)
        self.closed, self.closing = None, False
        self.log = []  # the types of all frames that came

    # -- out

    def send_frames(self, frames):
        """Seals frames into one packet. Those that are reliable are sent again until acked."""
        data = f.packet(frames)
        if self.is_client and not any(isinstance(frame, f.Message) for frame in frames):
            data = data.ljust(44 - 7 - 16, b'\0')
        packet, self.packet = self.packet, self.packet + 1
        kept = [frame for frame in frames if f.is_kept(frame)]
        self.in_flight[packet] = (time.monotonic(), kept)
        self.send_datagram(seal_packet(self.out_keys, packet, data,
                                       self.wire_id if self.is_client else None))

    def ack(self):
        delay = int((time.monotonic() - self.largest_at) * 1e6)
        self.wants_ack = False
        return f.ack(self.received, delay)

    def send_message(self, guarantee, stream, data):
        self.outgoing.push(guarantee, stream, data)

    def ping(self):
        self.send_frames([bytes([f.PING])])

    def ask_time(self):
        self.asked = (self.packet, time.monotonic_ns())
        self.send_frames([bytes([f.PING]), f.ask_time()])

    def tell_time(self):
        (packet, came), self.owed, now = self.owed, None, time.monotonic_ns()
        return f.tell_time(f.Time(packet, now - came, now))

    def update_key(self):
        """The other end has acknowledged a packet of this phase: the page allows the next."""
        assert any(packet >= self.out_keys.first for packet in self.acked)
        self.out_keys.update(self.packet)

    def flush(self):
        """Sends what may leave, and again what was not acknowledged for a while."""
        due = self.outgoing.pull()
        now = time.monotonic()
        for packet, (sent, kept) in list(self.in_flight.items()):
            if now - sent > RESEND_S:
                del self.in_flight[packet]
                due += kept
        if self.incoming.settled + ROOM > self.granted + ROOM // 4:
            self.granted = self.incoming.settled + ROOM
            due.append(f.credit(self.granted))
        batch = [self.ack()] if self.wants_ack else []
        batch += [self.tell_time()] if self.owed else []
        for frame in due:
            if len(f.packet(batch + [frame])) > FRAMES_SIZE_MAX or len(batch) > FRAMES_MAX:
                self.send_frames(batch)
                batch = []
            batch.append(frame)
        if batch:
            self.send_frames(batch)

    def is_settled(self):
        """Whether all that was to be sent has arrived."""
        return not self.outgoing.waiting and not any(kept for _, kept in self.in_flight.values())

    def close(self, code, reason):
        self.closing = True
        acks = [self.ack()] if self.received else []
        self.send_frames(acks + [f.close(code, reason)])

    # -- in

    def receive(self, datagram):
        """@return whether it was a packet of this connection that had not come before."""
        expected = max(self.received, default=-1) + 1
        opened = open_packet(self.in_keys, datagram, expected, not self.is_client)
        if opened is None or opened[0] in self.received:
            return False
        packet, data = opened
        if packet >= expected:
            self.largest_at = time.monotonic()
        self.received.add(packet)
        if self.in_keys.phase != self.out_keys.phase and self.in_keys.first == packet:
            self.out_keys.update(self.packet)  # the other began: we follow
        for kind, says in f.read(data):
            self.log.append(kind)
            self.wants_ack |= kind not in f.QUIET
            self.take(kind, says, packet)
        return True

    def take(self, kind, says, packet):
        if kind == f.ACK:
            for first, last in says:
                assert last < self.packet, 'an ACK of what was never sent'
                for number in [n for n in self.in_flight if first <= n <= last]:
                    del self.in_flight[number]
                    self.acked.add(number)
        elif kind == f.CREDIT:
            self.outgoing.limit = max(self.outgoing.limit, says)
        elif kind == f.MESSAGE:
            self.incoming.take(says, packet)
        elif kind == f.SKIP:
            self.incoming.skip(says)
        elif kind == f.TIME and says is None:
            self.owed = (packet, time.monotonic_ns())
        elif kind == f.TIME and self.asked and says.packet == self.asked[0]:
            self.told.append((self.asked[1], says, time.monotonic_ns()))
        elif kind == f.PATH_CHALLENGE:
            self.send_frames([bytes([f.PATH_RESPONSE]) + says])
        elif kind == f.CLOSE and self.closed is None:
            self.closed = says
            if not self.closing:
                self.close(0, b'')
