"""Noise handshakes of two messages ("The Noise Protocol Framework", revision 34)."""
import hmac

from sodium import blake, chacha, public_key, random, shared_secret

HASH_SIZE = 64
OPEN, PINNED, MUTUAL, TOKEN = range(4)
PATTERNS = {  # the mode: name, whether the client knows the server's key, the two messages
    OPEN: ('NXpsk2', False, ('e', 'e ee s es psk')),
    PINNED: ('NKpsk0', True, ('psk e es', 'e ee')),
    MUTUAL: ('IKpsk1', True, ('e es s ss psk', 'e ee se')),
    TOKEN: ('NKpsk0', True, ('psk e es', 'e ee')),
}


class Forged(Exception):
    """A message that is not authentic, or has a key of low order."""


def hkdf(key, data, count):
    temporary = hmac.new(key, data, 'blake2b').digest()
    results, last = [], b''
    for i in range(count):
        last = hmac.new(temporary, last + bytes([i + 1]), 'blake2b').digest()
        results.append(last)
    return results


class Noise:
    """One end of a handshake. Keys are secret ones, but for `peer`."""

    def __init__(self, mode, is_client, prologue, psk, own=None, peer=None, ephemeral=None):
        name, knows_server, self.messages = PATTERNS[mode]
        name = ('Noise_%s_25519_ChaChaPoly_BLAKE2b' % name).encode()
        self.is_client, self.psk, self.own, self.peer = is_client, psk, own, peer
        self.ephemeral, self.peer_ephemeral = ephemeral or random(32), None
        self.hash = self.chain = name.ljust(HASH_SIZE, b'\0')
        self.key = None
        self.mix_hash(prologue)
        if knows_server:
            self.mix_hash(peer if is_client else public_key(own))

    def mix_hash(self, data):
        self.hash = blake(HASH_SIZE, self.hash + data)

    def mix_key(self, data):
        self.chain, key = hkdf(self.chain, data, 2)
        self.key = key[:32]

    def mix_psk(self):
        self.chain, mixed, key = hkdf(self.chain, self.psk, 3)
        self.mix_hash(mixed)
        self.key = key[:32]

    def mix_secret(self, token):
        """Of two keys, the client's named first: e(phemeral) or s(tatic)."""
        ours, theirs = token if self.is_client else reversed(token)
        secret = shared_secret(self.ephemeral if ours == 'e' else self.own,
                               self.peer_ephemeral if theirs == 'e' else self.peer)
        if secret is None:
            raise Forged('a key of low order')
        self.mix_key(secret)

    def seal(self, data):
        sealed = chacha.seal(self.key, bytes(12), self.hash, data)
        self.mix_hash(sealed)
        return sealed

    def unseal(self, sealed):
        data = chacha.open(self.key, bytes(12), self.hash, sealed)
        if data is None:
            raise Forged('a wrong tag')
        self.mix_hash(sealed)
        return data

    def mix_other(self, token):
        if token == 'psk':
            self.mix_psk()
        else:
            self.mix_secret(token)

    def write(self, number, payload):
        """@return message `number`, 0 or 1."""
        message = b''
        for token in self.messages[number].split():
            if token == 'e':
                message += public_key(self.ephemeral)
                self.mix_hash(public_key(self.ephemeral))
                self.mix_key(public_key(self.ephemeral))
            elif token == 's':
                message += self.seal(public_key(self.own))
            else:
                self.mix_other(token)
        return message + self.seal(payload)

    def read(self, number, message):
        """@return the payload of message `number`."""
        for token in self.messages[number].split():
            if token == 'e':
                self.peer_ephemeral, message = message[:32], message[32:]
                self.mix_hash(self.peer_ephemeral)
                self.mix_key(self.peer_ephemeral)
            elif token == 's':
                self.peer, message = self.unseal(message[:48]), message[48:]
            else:
                self.mix_other(token)
        return self.unseal(message)

    def split(self):
        """@return the secrets of packets to the server, and to the client."""
        return [key[:32] for key in hkdf(self.chain, b'', 2)]
