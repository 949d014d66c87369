"""Datagrams of the handshake: transport/PROTOCOL.md, section 3."""
import collections

from noise import MUTUAL, OPEN, TOKEN, Forged, Noise
from sodium import blake, mac, random
from wire import Malformed, Reader, number

HELLO, RETRY, INITIATE, ACCEPT, REJECT, VERSIONS = range(0xe1, 0xe7)
VERSION = 1
SIZE = 1200
DATAGRAM_SIZE_MAX = 1452  # that we take
OURS = number(VERSION, 4) + bytes(28)
CAPSULE_SIZE = 356
SEALED = 326  # of INITIATE, always

Accepted = collections.namedtuple('Accepted', 'suite wire_id credit reset_token ticket message_max')
Refused = collections.namedtuple('Refused', 'refusal code reason')
Initiate = collections.namedtuple('Initiate', 'mode suites protocol_id nonce cookie capsule')


def greeting_key(mode, server_key):
    return blake(16, b'eddy mac1' + (bytes(32) if mode == OPEN else server_key))


# -- what is the same in every version

def pad(data, nonce):
    """@param data of HELLO or INITIATE, but for padding and mac."""
    padding = b''.join(mac(nonce, bytes([counter])) for counter in range(70))
    return data + padding[:1184 - len(data)]


def sign(data, mode, server_key):
    """@param data of HELLO or INITIATE, but for the mac."""
    return data + mac(greeting_key(mode, server_key), data)


def read_request(data, server_key):
    """@return (HELLO or INITIATE, version, mode, nonce); None: it is to be dropped."""
    if (len(data) != SIZE or data[0] not in (HELLO, INITIATE) or
            sign(data[:1184], data[5], server_key) != data):
        return None
    return data[0], int.from_bytes(data[1:5], 'little'), data[5], data[16:32]


def write_versions(versions, mode, nonce, server_key):
    head = bytes([VERSIONS]) + bytes(4) + bytes([len(versions), 0, 0])
    body = b''.join(number(version, 4) for version in versions).ljust(24, b'\0')
    return head + mac(greeting_key(mode, server_key), head + nonce + body) + body


def read_versions(data, mode, nonce, server_key):
    """@return the versions; None: it is to be dropped."""
    if len(data) != 48 or data[0] != VERSIONS:
        return None
    versions = [int.from_bytes(data[at:at + 4], 'little') for at in range(24, 48, 4)]
    versions = versions[:data[5]]
    return versions if data == write_versions(versions, mode, nonce, server_key) else None


# -- HELLO and its answers

def write_hello(mode, protocol_id, nonce, server_key):
    data = bytes([HELLO]) + number(VERSION, 4) + bytes([mode, 1, 0]) + number(protocol_id, 8)
    data += nonce + OURS
    return sign(pad(data, nonce), mode, server_key)


def read_hello(data):
    """Of a request of our version. @return (mode, protocol id, nonce); None: to be dropped."""
    if data[0] != HELLO or data[7] != 0 or not 1 <= data[6] <= 8:
        return None
    return data[5], int.from_bytes(data[8:16], 'little'), data[16:32]


def write_answer(kind, refusal, body, mode, nonce, server_key, shown=b''):
    """@param shown the cookie that is refused, if this is a RETRY to an INITIATE."""
    head = bytes([kind]) + number(VERSION, 4) + bytes([refusal, 0, 0])
    return head + mac(greeting_key(mode, server_key), head + nonce + body + shown) + body


def read_answer(data, mode, nonce, server_key, shown=b''):
    """@return (RETRY or REJECT, refusal, cookie); None: it is to be dropped.
    @param shown the cookie in our INITIATE, if the answer is to that."""
    if len(data) != 48 or data[0] not in (RETRY, REJECT) or data[1:5] != number(VERSION, 4):
        return None
    said = data[:8] + nonce + data[24:] + (shown if data[0] == RETRY else b'')
    if mac(greeting_key(mode, server_key), said) != data[8:24]:
        return None
    return data[0], data[5], data[24:]


# -- INITIATE and ACCEPT

def begin_noise(head, is_client, mode, shared, capsule=b'', **keys):
    """@param head all that stands before Noise's message."""
    nonce, cookie = head[16:32], head[32:56]
    bound = b'eddy psk' + cookie + nonce + (capsule[12:36] if capsule else bytes(24))
    return Noise(mode, is_client, b'eddy-v1\0' + head, blake(32, bound, shared or bytes(32)),
                 **keys)


def write_initiate(initiate, payload, shared=None, **keys):
    """@return (the datagram, Noise)."""
    head = bytes([INITIATE]) + number(VERSION, 4) + bytes([initiate.mode, initiate.suites, 0])
    head += number(initiate.protocol_id, 8) + initiate.nonce + initiate.cookie + initiate.capsule
    noise = begin_noise(head, True, initiate.mode, shared, initiate.capsule, **keys)
    data = head + noise.write(0, payload.ljust(SEALED, b'\0'))
    return sign(pad(data, initiate.nonce), initiate.mode, keys.get('peer')), noise


def write_parameters(credit, message_max, time_us, payload, largest=DATAGRAM_SIZE_MAX):
    """What a client seals in INITIATE."""
    return b''.join((number(largest, 2), number(256, 2), number(credit, 4), bytes(4),
                     b'\x01', bytes(3), OURS, number(time_us, 8), bytes(8), number(message_max, 4),
                     number(len(payload), 2), payload))


def read_initiate(data):
    """Of a request of our version, what stands in the clear. @return None: to be dropped."""
    r = Reader(data[5:])
    mode, suites, zero, protocol_id = r.number(1), r.number(1), r.number(1), r.number(8)
    nonce, cookie = r.take(16), r.take(24)
    if data[0] != INITIATE or mode > TOKEN or zero != 0:
        return None
    capsule = r.take(CAPSULE_SIZE) if mode == TOKEN else b''
    return Initiate(mode, suites, protocol_id, nonce, cookie, capsule)


def open_initiate(data, initiate, own, shared=None):
    """@return (credit, largest message, payload of the program, Noise), or raises."""
    at = 56 + len(initiate.capsule)
    noise = begin_noise(data[:at], False, initiate.mode, shared, initiate.capsule, own=own)
    end = at + 32 + (48 if initiate.mode == MUTUAL else 0) + SEALED + 16
    r = Reader(noise.read(0, data[at:end]))
    datagram, _, credit, features = r.number(2), r.number(2), r.number(4), r.number(4)
    count, _ = r.number(1), r.take(3)
    versions = [r.number(4) for _ in range(8)][:count]
    r.take(16)
    message_max, size = r.number(4), r.number(2)
    if (datagram < SIZE or features != 0 or count > 8 or VERSION not in versions or
            message_max < 1150 or size > 256):
        raise Malformed('what INITIATE says')
    return credit, message_max, r.take(size), noise


def write_accept(nonce, noise, accepted, time_us=0, largest=DATAGRAM_SIZE_MAX):
    payload = b''.join((bytes([0, accepted.suite]), bytes(2), number(accepted.wire_id, 4),
                        number(largest, 2), number(256, 2), number(10000, 4),
                        number(accepted.credit, 4), accepted.reset_token, bytes(8),
                        number(time_us, 8), bytes(4), accepted.ticket,
                        number(accepted.message_max, 4)))
    return bytes([ACCEPT]) + bytes(3) + nonce + noise.write(1, payload.ljust(136, b'\0'))


def write_refusal(nonce, noise, refused):
    payload = bytes([refused.refusal, 0, 0, 0]) + number(refused.code, 4)
    payload += bytes([len(refused.reason)]) + refused.reason
    return bytes([ACCEPT]) + bytes(3) + nonce + noise.write(1, payload.ljust(136, b'\0'))


def read_accept(data, nonce, noise):
    """@return Accepted or Refused, or raises."""
    size = 252 if noise.messages[1].split().count('s') else 204
    if len(data) != size or data[:4] != bytes([ACCEPT, 0, 0, 0]) or data[4:20] != nonce:
        raise Forged('not the ACCEPT of this client')
    r = Reader(noise.read(1, data[20:]))
    refusal, suite, _ = r.number(1), r.number(1), r.take(2)
    if refusal:
        return Refused(refusal, r.number(4), r.take(r.number(1)))
    wire_id, _, _, credit = r.number(4), r.take(4), r.take(4), r.number(4)
    token, _, ticket = r.take(16), r.take(20), r.take(24)
    return Accepted(suite, wire_id, credit, token, ticket, r.number(4))


def fresh_nonce():
    return random(16)
