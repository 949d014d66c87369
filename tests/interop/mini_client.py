"""A client, written from transport/PROTOCOL.md alone.

    mini_client.py HOST:PORT SERVER-KEY    sends ten messages to a server that sends them back
"""
import copy
import socket
import sys
import time

import frames
import handshake as h
from noise import PINNED, Forged
from peer import ROOM, Peer
from sodium import has_aes
from wire import key_of_text

ATTEMPT_S = 0.25
LIMIT_S = 10
MESSAGE_MAX = 1 << 20


class Refused(Exception):
    """The server's word, or its hint, that it does not want us."""


class Client:
    """A socket, and the connection on it."""

    def __init__(self, host, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((host, port))
        self.nonce, self.accepted, self.peer, self.rejected = h.fresh_nonce(), None, None, 0
        self.limit_s, self.server_key = LIMIT_S, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self, wait_s):
        """@return a datagram, or b''."""
        self.socket.settimeout(wait_s)
        try:
            return self.socket.recv(2048)
        except (TimeoutError, ConnectionRefusedError):
            return b''

    def ask(self, data, understand):
        """Sends until an answer is understood. @return what was understood."""
        started, again = time.monotonic(), 0.0
        while time.monotonic() - started < self.limit_s:
            if time.monotonic() >= again:
                self.socket.send(data)
                again = time.monotonic() + ATTEMPT_S
            answer = self.receive(ATTEMPT_S / 10)
            understood = understand(answer) if answer else None
            if understood is not None:
                return understood
            if self.rejected:
                raise Refused(self.rejected)  # a real client goes on asking
        raise TimeoutError('no answer')

    def connect(self, mode, server_key, own=None, shared=None, capsule=b'', suites=None,
                payload=b'', protocol_id=0, ticket=None):
        def retry(data):
            answer = h.read_answer(data, mode, self.nonce, server_key)
            if answer is not None and answer[0] == h.REJECT:
                self.rejected = answer[1]
            return answer[2] if answer is not None and answer[0] == h.RETRY else None

        def accept(data):
            retry(data)  # a REJECT may come here, too
            attempt = copy.copy(noise)  # what is not authentic changes nothing
            try:
                return h.read_accept(data, self.nonce, attempt), attempt
            except Forged:
                return None

        hello = h.write_hello(mode, protocol_id, self.nonce, server_key)
        cookie = ticket or self.ask(hello, retry)
        suites = suites or (6 if has_aes else 2)
        initiate = h.Initiate(mode, suites, protocol_id, self.nonce, cookie, capsule)
        said = h.write_parameters(ROOM, MESSAGE_MAX, int(time.monotonic() * 1e6), payload)
        data, noise = h.write_initiate(initiate, said, shared, own=own, peer=server_key)
        self.accepted, noise = self.ask(data, accept)
        if isinstance(self.accepted, h.Refused):
            raise Refused(self.accepted.refusal)
        self.server_key = noise.peer
        self.peer = Peer(self.socket.send, True, self.accepted.suite, noise.split(),
                         self.accepted.wire_id, self.accepted.credit)
        self.peer.ping()

    def run(self, until, limit_s=LIMIT_S):
        """Takes and sends what there is, until a condition holds."""
        started = time.monotonic()
        while not until():
            if time.monotonic() - started > limit_s:
                raise TimeoutError('it did not come to that')
            self.peer.flush()
            datagram = self.receive(0.01)
            while datagram:
                self.peer.receive(datagram)
                datagram = self.receive(0.0001)

    def close(self, code=0, reason=b''):
        self.run(self.peer.is_settled)
        for _ in range(3):
            self.peer.close(code, reason)
            try:
                self.run(lambda: self.peer.closed is not None, 0.3)
                return
            except TimeoutError:
                pass
        raise TimeoutError('no CLOSE came back')


def main(address, key):
    host, port = address.rsplit(':', 1)
    with Client(host, int(port)) as client:
        client.connect(PINNED, key_of_text(key))
        for i in range(10):
            client.peer.send_message(frames.RELIABLE_ORDERED, 0, b'message %d' % i)
        client.run(lambda: len(client.peer.incoming.ready) == 10)
        client.close()
        for _, _, data in client.peer.incoming.ready:
            print(data.decode())


if __name__ == '__main__':
    main(*sys.argv[1:])
