"""Numbers, keys and packets of transport/PROTOCOL.md: its sections 1, 2 and 4."""
import base64
import copy

from sodium import aes, blake, chacha, mac

PUBLIC_KEY = 2  # kinds of keys as text
CIPHERS = {1: chacha, 2: aes}


class Malformed(Exception):
    """Bytes that break a rule of the page."""


def number(value, size):
    return value.to_bytes(size, 'little')


def varint(value):
    for log in range(4):
        if value < 1 << (8 << log) - 2:
            return number(value << 2 | log, 1 << log)
    raise Malformed('a number beyond 2^62 - 1')


class Reader:
    """Takes bytes from the front, and fails where there are not enough."""

    def __init__(self, data):
        self.data = data

    def take(self, size):
        if size > len(self.data):
            raise Malformed('it ends too early')
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def number(self, size):
        return int.from_bytes(self.take(size), 'little')

    def varint(self):
        log = self.data[0] & 3 if self.data else 0
        value = self.number(1 << log) >> 2
        if varint(value) != number(value << 2 | log, 1 << log):
            raise Malformed('a varint that is longer than it needs to be')
        return value


def key_of_text(text, kind=PUBLIC_KEY):
    record = base64.urlsafe_b64decode(text)
    if len(record) != 36 or record[0] != kind or blake(32, record[:33])[:3] != record[33:]:
        raise Malformed('not a key of kind %d: %s' % (kind, text))
    return record[1:33]


def text_of_key(key, kind=PUBLIC_KEY):
    record = bytes([kind]) + key
    return base64.urlsafe_b64encode(record + blake(32, record)[:3]).decode()


class Keys:
    """Of one direction."""

    def __init__(self, suite, secret):
        self.cipher, self.phase, self.secret, self.first = CIPHERS[suite], 0, secret, 0
        self.key, self.iv, self.mask_key = self.made(secret)

    @staticmethod
    def made(secret):
        made = blake(60, b'eddy keys', secret)
        return made[:32], made[32:44], made[44:]

    def update(self, first):
        """Goes on with the next secret, from packet number `first` on."""
        self.secret = blake(32, b'eddy next', self.secret)
        self.key, self.iv, _ = self.made(self.secret)  # the mask key stays
        self.phase, self.first = self.phase ^ 1, first

    def nonce(self, packet):
        return self.iv[:4] + number(int.from_bytes(self.iv[4:], 'little') ^ packet, 8)

    def mask(self, data, number_at):
        """The mask of a packet that is sealed."""
        return mac(self.mask_key, data[number_at + 4:number_at + 20])


def masked(data, at, size, mask):
    """The packet with the `size` bytes of its number, and its first byte, masked or unmasked."""
    first = bytes([data[0] ^ mask[0] & 0x1f])
    bare = bytes(a ^ b for a, b in zip(data[at:at + size], mask[1:]))
    return first + data[1:at] + bare + data[at + size:]


def seal_packet(keys, packet, frames, client_id=None):
    """@param client_id of the client's packets; None: it is the server's."""
    first = 0x40 | (0x20 if client_id is not None else 0) | keys.phase << 2 | 1
    header = bytes([first]) + (number(client_id, 4) if client_id is not None else b'')
    at = len(header)
    header += number(packet & 0xffff, 2)
    sealed = keys.cipher.seal(keys.key, keys.nonce(packet), header, frames.ljust(2, b'\0'))
    data = header + sealed
    return masked(data, at, 2, keys.mask(data, at))


def expand(low, size, expected):
    """The number nearest to `expected` with these low bytes (RFC 9000, A.3)."""
    span = 1 << 8 * size
    candidate = expected & -span | low
    if candidate + span // 2 <= expected:
        return candidate + span
    if candidate > expected + span // 2 and candidate >= span:
        return candidate - span
    return candidate


def open_packet(keys, data, expected, from_client):
    """@return (number, frames), or None: not for us, or not authentic."""
    at = 5 if from_client else 1
    if len(data) < at + 20 or data[0] & 0xe0 != (0x60 if from_client else 0x40):
        return None
    mask = keys.mask(data, at)
    size = ((data[0] ^ mask[0]) & 3) + 1
    data = masked(data, at, size, mask)
    phase, low = data[0] >> 2 & 1, int.from_bytes(data[at:at + size], 'little')
    if data[0] & 0x18:
        return None
    packet = expand(low, size, expected)
    frames = open_phase(keys, phase, packet, data[:at + size], data[at + size:])
    return None if frames is None else (packet, frames)


def open_phase(keys, phase, packet, header, sealed):
    """Opens with the key of now, or of the next phase, which is then that of now."""
    if phase == keys.phase:
        return keys.cipher.open(keys.key, keys.nonce(packet), header, sealed)
    ahead = copy.copy(keys)
    ahead.update(packet)
    frames = ahead.cipher.open(ahead.key, ahead.nonce(packet), header, sealed)
    if frames is not None:
        keys.__dict__.update(ahead.__dict__)
    return frames
