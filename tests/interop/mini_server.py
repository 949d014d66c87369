"""A server, written from transport/PROTOCOL.md alone: it sends every message back.

    mini_server.py [PORT]    prints its address and its public key
"""
import socket
import sys
import time

import frames
import handshake as h
from noise import OPEN, PINNED, Forged
from peer import ROOM, Peer
from sodium import aes, has_aes, mac, public_key, random
from tokens import open_capsule
from wire import CIPHERS, Malformed, number, text_of_key

COOKIE_TICKS = 160  # 10 s
WIRE_ID = 0x01000100
MESSAGE_MAX = 1 << 20
RESET_SIZE_MIN, RESET_SIZE_MAX = 38, 43


class Server:
    """Of one client at a time; a new one takes its place."""

    def __init__(self, modes=(PINNED,), port=0, protocol_id=0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(('127.0.0.1', port))
        self.address = '%s:%d' % self.socket.getsockname()
        self.modes, self.protocol_id = modes, protocol_id
        self.secret, self.cookie_secret = random(32), random(16)
        self.public, self.shared = public_key(self.secret), None
        self.versions = [h.VERSION]
        self.suites = [suite for suite in sorted(CIPHERS, reverse=True)
                       if CIPHERS[suite] is not aes or has_aes]
        self.peer, self.remote, self.answered, self.mode = None, None, (b'', b''), None
        self.client_key, self.payload = None, None
        self.token, self.refused = random(16), None
        self.token_key, self.server_id, self.claim = None, 0, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def key_text(self):
        return text_of_key(self.public)

    # -- strangers

    def cookie(self, mode, protocol_id, nonce, remote, ticks):
        tagged = number(h.VERSION, 4) + bytes([mode, 0, 0, 0]) + number(ticks, 4) + b'\x04'
        tagged += socket.inet_aton(remote[0]).ljust(16, b'\0') + number(remote[1], 2)
        tagged += nonce + number(protocol_id, 8)
        return bytes(4) + number(ticks, 4) + mac(self.cookie_secret, tagged)

    def retry(self, mode, protocol_id, nonce, remote, shown=b''):
        cookie = self.cookie(mode, protocol_id, nonce, remote, int(time.monotonic() * 16))
        self.socket.sendto(h.write_answer(h.RETRY, 0, cookie, mode, nonce, self.public, shown),
                           remote)

    def hear(self, request, data, remote):
        if request is None:
            return
        kind, version, mode, nonce = request
        if version not in self.versions:
            self.socket.sendto(h.write_versions(self.versions, mode, nonce, self.public), remote)
        elif kind == h.HELLO:
            self.greet(data, remote)
        else:
            self.admit(data, remote)

    def greet(self, data, remote):
        hello = h.read_hello(data)
        if hello is None or hello[1] != self.protocol_id:
            return
        mode, protocol_id, nonce = hello
        if mode in self.modes:
            self.retry(mode, protocol_id, nonce, remote)
        elif mode != OPEN:
            self.socket.sendto(h.write_answer(h.REJECT, 3, bytes(24), mode, nonce, self.public),
                               remote)

    def has_given(self, i, remote):
        ticks = int.from_bytes(i.cookie[4:8], 'little')
        age = int(time.monotonic() * 16) - ticks
        good = self.cookie(i.mode, i.protocol_id, i.nonce, remote, ticks)
        return 0 <= age <= COOKIE_TICKS and good == i.cookie

    def admit(self, data, remote):
        i = h.read_initiate(data)
        if i is None or i.protocol_id != self.protocol_id or i.mode not in self.modes:
            return
        suites = [suite for suite in self.suites if i.suites >> suite & 1]
        if not suites:
            return
        if not self.has_given(i, remote):
            self.retry(i.mode, i.protocol_id, i.nonce, remote, i.cookie)
            return
        if data != self.answered[0]:
            self.accept(data, i, remote, suites[0])
        self.socket.sendto(self.answered[1], remote)

    def accept(self, data, i, remote, suite):
        shared = self.shared
        if i.capsule:
            self.claim, shared = open_capsule(self.token_key, i.protocol_id, self.server_id,
                                              i.capsule)
        credit, _, payload, noise = h.open_initiate(data, i, self.secret, shared)
        if self.refused is not None:
            self.answered = (data, h.write_refusal(i.nonce, noise, self.refused))
            return
        accepted = h.Accepted(suite, WIRE_ID, ROOM, self.token, bytes(24), MESSAGE_MAX)
        self.answered = (data, h.write_accept(i.nonce, noise, accepted))
        self.remote, self.mode, self.client_key, self.payload = remote, i.mode, noise.peer, payload
        self.peer = Peer(lambda packet: self.socket.sendto(packet, self.remote), False, suite,
                         noise.split(), WIRE_ID, credit)

    # -- traffic

    def take(self, data, remote):
        try:
            if data[:1] in (bytes([h.HELLO]), bytes([h.INITIATE])):
                self.hear(h.read_request(data, self.public), data, remote)
            elif self.peer is not None and data[1:5] == number(WIRE_ID, 4):
                self.peer.receive(data)
            elif data[1:5] == number(WIRE_ID, 4) and len(data) > RESET_SIZE_MIN:
                size = min(len(data) - 1, RESET_SIZE_MAX)
                reset = bytes([0x40 | random(1)[0] & 0x1f]) + random(size - 17) + self.token
                self.socket.sendto(reset, remote)
        except (Forged, Malformed):
            pass  # dropped

    def forget(self):
        """Loses the state of its connection."""
        self.peer, self.answered = None, (b'', b'')

    def echo(self):
        """Sends back what has come."""
        ready, self.peer.incoming.ready = self.peer.incoming.ready, []
        for guarantee, stream, data in ready:
            self.peer.send_message(guarantee, stream, data)

    def run(self, until):
        """Serves until a condition holds."""
        while not until():
            self.socket.settimeout(0.005)
            try:
                data, remote = self.socket.recvfrom(2048)
                self.take(data, remote)
            except TimeoutError:
                pass
            if self.peer is not None and self.peer.closed is None:
                self.echo()
                self.peer.flush()


def main(port='0'):
    with Server(port=int(port)) as server:
        print('listening on %s\nserver key %s' % (server.address, server.key_text()), flush=True)
        server.run(lambda: server.peer is not None and server.peer.closed is not None)
        counts = {kind: server.peer.log.count(kind) for kind in set(server.peer.log)}
        print('%d packets, %d messages' % (len(server.peer.received), counts[frames.MESSAGE]))


if __name__ == '__main__':
    main(*sys.argv[1:])
