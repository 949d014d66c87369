"""The page's examples of the handshake and of packets, made once more."""
import os
import re

import frames as f
import handshake as h
import tokens
from harness import TOP, check, expect
from noise import MUTUAL, OPEN, PINNED, TOKEN
from sodium import blake, has_aes, public_key
from wire import Keys, Reader, number, open_packet, seal_packet, text_of_key

NONCE, COOKIE = b'\1' * 16, bytes(range(24))
CLIENT_EPHEMERAL, SERVER_EPHEMERAL = b'\2' * 32, b'\3' * 32
SERVER, CLIENT = b'\4' * 32, b'\5' * 32
PROTOCOL_ID = 0x1122334455667788
WIRE_ID = 0x0a000102


def example(name):
    """The lines of an example, without comments."""
    with open(os.path.join(TOP, 'transport', 'PROTOCOL.md'), encoding='utf-8') as page:
        block = re.search(r'^```\w+ %s\n(.*?)^```' % name, page.read(), re.MULTILINE | re.DOTALL)
    lines = [line.split('#')[0].strip() for line in block.group(1).split('\n')]
    return [line for line in lines if line]


def expect_bytes(name, got):
    """The pieces, one behind the other, are the bytes of the example."""
    want = ' '.join(line for line in example(name) if line != 'as it is sent:')
    expect(name, b''.join(got).hex(' '), want)


def capsule():
    nonce = b'\x08' * 24
    key, psk = tokens.token_key(b'\7' * 32, 9), tokens.psk_of(b'\6' * 32, 9, nonce)
    claim = tokens.Claim(77, 1000000000, 1000000060, b'hi')
    sealed = tokens.seal_capsule(key, PROTOCOL_ID, 9, claim, psk, nonce)
    expect('opened', tokens.open_capsule(key, PROTOCOL_ID, 9, sealed), (claim, psk))
    return key, psk, sealed


@check
def keys_and_greetings_are_those_of_the_page():
    public = public_key(SERVER)
    pairs = [public_key(secret) for secret in (SERVER, CLIENT, CLIENT_EPHEMERAL, SERVER_EPHEMERAL)]
    *got, text = example('key-pairs')
    expect('key pairs', ' '.join(got), b''.join(pairs).hex(' '))
    expect('as text', text, text_of_key(public))
    hello = h.write_hello(PINNED, PROTOCOL_ID, NONCE, public)
    expect_bytes('hello', (hello[:80], hello[1184:]))
    expect_bytes('retry', (h.write_answer(h.RETRY, 0, COOKIE, PINNED, NONCE, public),))
    expect_bytes('reject', (h.write_answer(h.REJECT, 3, bytes(24), PINNED, NONCE, public),))
    expect_bytes('versions', (h.write_versions([1], PINNED, NONCE, public),))
    token_key, psk, sealed = capsule()
    expect_bytes('capsule', (token_key, psk, sealed[:52], sealed[-16:]))


@check
def handshakes_of_all_modes_are_those_of_the_page():
    for mode, name in ((OPEN, 'open'), (PINNED, 'pinned'), (MUTUAL, 'mutual'), (TOKEN, 'token')):
        _, shared, shown = capsule() if mode == TOKEN else (None, None, b'')
        initiate = h.Initiate(mode, 6, PROTOCOL_ID, NONCE, COOKIE, shown)
        said = h.write_parameters(32768, 65536, 1000000, b'hi', h.SIZE)
        sent, client = h.write_initiate(initiate, said, shared, own=CLIENT,
                                        peer=public_key(SERVER), ephemeral=CLIENT_EPHEMERAL)
        expect(name + ' asks', h.read_request(sent, public_key(SERVER)),
               (h.INITIATE, 1, mode, NONCE))
        expect(name + ' in the clear', h.read_initiate(sent), initiate)
        credit, message_max, payload, server = h.open_initiate(sent, initiate, SERVER, shared)
        expect(name + ' sealed', (credit, message_max, payload), (32768, 65536, b'hi'))
        server.ephemeral = SERVER_EPHEMERAL
        accepted = h.Accepted(1, WIRE_ID, 32768, b'\x09' * 16, b'\x8a' * 24, 65536)
        answer = h.write_accept(NONCE, server, accepted, 1000000, h.SIZE)
        expect(name + ' accepted', h.read_accept(answer, NONCE, client), accepted)
        at, key = 56 + len(shown), 52 + 48 * (mode == OPEN)
        head = 32 + 48 * (mode == MUTUAL) + 16
        expect_bytes(name, (sent[:56], shown[:16], sent[at:at + head],
                            sent[at + head - 16 + h.SEALED:][:16], sent[1184:],
                            answer[:key + 16], answer[-16:], *client.split()))


def expect_packet(name, keys, frames, wire_id=None):
    header = (bytes([0x61]) + number(wire_id, 4) if wire_id is not None
              else bytes([0x41 | keys.phase << 2])) + number(9, 2)
    expect_bytes(name, (header, frames, seal_packet(keys, 9, frames, wire_id)))


@check
def packets_are_those_of_the_page():
    up, down = b'\1' * 32, b'\2' * 32
    message = b'\xb0\7\0hello'
    ack = f.ack(set(range(10)), 1000)
    keys = Keys(1, up)
    expect_bytes('packet-keys', (keys.key, keys.iv, keys.mask_key, blake(32, b'eddy next', up)))
    expect_packet('packet-up', keys, message, WIRE_ID)
    expect_packet('packet-down', Keys(1, down), ack)
    if has_aes:
        expect_packet('packet-up-aes', Keys(2, up), message, WIRE_ID)
        expect_packet('packet-down-aes', Keys(2, down), ack)
    expect_packet('packet-challenge', Keys(1, down),
                  bytes([f.PATH_CHALLENGE]) + number(0x0123456789abcdef, 8))


@check
def the_time_is_that_of_the_page():
    told = f.Time(9, 2000000, 1000000000)
    expect_bytes('time-frames', (f.ask_time(), f.tell_time(told)))
    expect('read', f.read(f.ask_time() + f.tell_time(told)), [(f.TIME, None), (f.TIME, told)])


@check
def a_key_update_is_that_of_the_page():
    keys, ack = Keys(1, b'\2' * 32), f.ack(set(range(10)), 1000)
    receiver = Keys(1, b'\2' * 32)
    keys.update(9)
    sent = seal_packet(keys, 9, ack)
    expect_bytes('packet-update', (keys.key, keys.iv, keys.mask_key,
                                   blake(32, b'eddy next', keys.secret), b'\x45\x09\0', ack, sent))
    expect('opened', open_packet(receiver, sent, 9, False), (9, ack))
    expect('followed', receiver.phase, 1)


@check
def a_stateless_reset_is_that_of_the_page():
    reset_key = blake(32, b'eddy reset key', SERVER)
    address = b'\4' + number(4242, 2) + bytes([192, 0, 2, 7]).ljust(16, b'\0')
    sent = bytes.fromhex(''.join(example('stateless-reset')))
    expect('size', len(sent), 43)
    expect('looks like', sent[0] & 0xe0, 0x40)
    expect('token', sent[-16:], blake(16, number(WIRE_ID, 4) + address, reset_key))


@check
def frames_of_messages_are_those_of_the_page():
    wanted = [f.Message(0, 0, None, None, None, b'hi'), f.Message(0, 0, None, None, None, b'hi'),
              f.Message(0, 5, None, None, None, b''), f.Message(1, 0, None, None, None, b'hi'),
              f.Message(3, 0, 7, None, None, b'hi'), f.Message(3, 255, 0x1234, None, None, b'hi'),
              f.Message(3, 255, 0x1234, None, None, b'hi'), f.Message(3, 0, 7, 1154, 5, b'hi'),
              f.Message(1, 0, 2, 1154, 5, b'hi')]
    for line, want in zip(example('message-frames'), wanted, strict=True):
        expect(line, f.read(bytes.fromhex(line)), [(f.MESSAGE, want)])
    run = [(f.MESSAGE, f.Message(3, 5, 0xffff + i & 0xffff, None, None, data))
           for i, data in enumerate((b'hi', b'yo', b'hey', b'bye', b'!'))]
    expect('run', f.read(bytes.fromhex(''.join(example('message-run')))), run)
    for name, want in (
            ('ack-frame', (f.ACK, [(98, 100), (95, 95), (10, 40)])),
            ('close-frame', (f.CLOSE, f.Close(0, 7, b'bye'))),
            ('credit-frame', (f.CREDIT, 16384)),
            ('skip-frame', (f.SKIP, f.Skip(3, 9, 0x11234, 1280)))):
        expect(name, f.read(bytes.fromhex(''.join(example(name)))), [want])
    for line in example('varints'):
        value, data = line.split(': ')
        expect(value, Reader(bytes.fromhex(data)).varint(), int(value))
