"""A client of the page, and eddy serve."""
import json
import signal
import time

import frames as f
import handshake as h
from harness import Process, Wrong, check, expect, expect_true
from mini_client import ATTEMPT_S, Client, Refused
from noise import OPEN, PINNED, TOKEN
from sodium import has_aes, random
from wire import key_of_text, number

POLL_NS = 10 ** 9  # a question may come in a poll that began before it left
SUITES = (1, 2) if has_aes else (1,)


class Serve(Process):
    """eddy serve, with its result as JSON."""

    def __init__(self, *arguments):
        super().__init__('serve', '--bind', '127.0.0.1:0', '--json', *arguments)
        host, port = self.await_line('stderr', r'listening on (\S+)').group(1).split(':')
        self.place = (host, int(port))
        self.key = key_of_text(self.await_line('stderr', r'server key (\S+)').group(1))


def echoed(client, messages):
    """Sends (guarantee, stream, data), and waits until as many have come back."""
    for message in messages:
        client.peer.send_message(*message)
    client.run(lambda: len(client.peer.incoming.ready) >= len(messages))
    ready, client.peer.incoming.ready = client.peer.incoming.ready, []
    return ready


def some_messages(count, guarantee=f.RELIABLE_ORDERED, stream=0):
    return [(guarantee, stream, b'%d ' % i * (i % 200 + 1)) for i in range(count)]


@check
def ordered_messages_come_back_in_both_ciphers():
    for suite in SUITES:
        with Serve() as server, Client(*server.place) as client:
            client.connect(PINNED, server.key, suites=1 << suite)
            expect('suite', client.accepted.suite, suite)
            messages = some_messages(300)
            expect('what comes back', echoed(client, messages), messages)
            client.close()
            served = json.loads(server.end(signal.SIGTERM)[0])
        expect('echoed', served['echoed'], 300)
        expect('undelivered', served['undelivered'], 0)
        for count in ('dropped_forged', 'dropped_malformed', 'dropped_replayed'):
            expect(count, served['counters'][count], 0)


@check
def the_server_says_what_time_it_is():
    with Serve() as server, Client(*server.place) as client:
        client.connect(PINNED, server.key)
        client.peer.ask_time()
        client.run(lambda: client.peer.told)
        (asked, told, came), = client.peer.told
        client.close()
    expect_true('it was still to come', told.time <= came)
    expect_true('it was long over', told.time - told.held >= asked - POLL_NS)


@check
def the_better_cipher_is_chosen():
    with Serve() as server, Client(*server.place) as client:
        client.connect(PINNED, server.key)
        expect('suite', client.accepted.suite, max(SUITES))
        client.close()


@check
def messages_of_every_guarantee_and_in_parts_come_back():
    with Serve() as server, Client(*server.place) as client:
        client.connect(PINNED, server.key)
        for guarantee in range(5):
            for size in (0, 1, 1150, 1151, 5000, 16384):
                message = (guarantee, 7, random(size))
                expect('guarantee %d, %d bytes' % (guarantee, size), echoed(client, [message]),
                       [message])
        client.close()


@check
def more_than_the_first_credit_is_sent_as_the_server_grants_more():
    with Serve() as server, Client(*server.place) as client:
        client.connect(PINNED, server.key)
        first = client.accepted.credit
        messages = [(f.RELIABLE_ORDERED, 1, random(1000)) for _ in range(200)]
        expect_true('%d are granted at once' % first, first < 100000)
        expect_true('other bytes', echoed(client, messages) == messages)
        expect_true('no CREDIT came', client.peer.log.count(f.CREDIT) > 0)
        large = [(f.RELIABLE_ORDERED, 1, random(200000))]
        expect_true('other bytes', echoed(client, large) == large)
        client.close()


@check
def the_server_follows_key_updates():
    with Serve() as server, Client(*server.place) as client:
        client.connect(PINNED, server.key)
        for phase in (1, 0, 1):
            echoed(client, some_messages(50))
            client.run(client.peer.is_settled)
            client.peer.update_key()
            messages = some_messages(50)
            expect('what comes back', echoed(client, messages), messages)
            expect("the server's phase", client.peer.in_keys.phase, phase)
            started = time.monotonic()  # the next may follow after three probe timeouts
            client.run(lambda: time.monotonic() - started > 1.2)
        client.close()
        served = json.loads(server.end(signal.SIGTERM)[0])
    expect('forged', served['counters']['dropped_forged'], 0)


@check
def a_server_that_ends_says_close():
    with Serve() as server, Client(*server.place) as client:
        client.connect(PINNED, server.key)
        echoed(client, some_messages(10))
        server.process.send_signal(signal.SIGTERM)
        client.run(lambda: client.peer.closed is not None)
        expect('what it says', client.peer.closed, f.Close(0, 0, b''))
        expect('undelivered', json.loads(server.end()[0])['undelivered'], 0)


@check
def a_repeated_initiate_gets_the_same_accept():
    with Serve() as server, Client(*server.place) as client:
        client.connect(PINNED, server.key)
        with Client(*server.place) as other:
            initiate, first = initiated(other, server, asked(other, server))
            other.socket.send(initiate)
            expect_true('another ACCEPT', other.receive(1) == first)
            wrong = h.sign(initiate[:40] + bytes(16) + initiate[56:1184], PINNED, server.key)
            other.socket.send(wrong)
            answer = h.read_answer(other.receive(1), PINNED, other.nonce, server.key, wrong[32:56])
            expect('a wrong cookie', answer[0], h.RETRY)
            for what, at in (('the mac', 1199), ('a tag', 1183), ('what is sealed', 600)):
                altered = initiate[:at] + bytes([initiate[at] ^ 1]) + initiate[at + 1:]
                other.socket.send(altered)
                expect('altered: ' + what, other.receive(ATTEMPT_S), b'')
            other.socket.send(initiate)
            expect_true('another ACCEPT', other.receive(1) == first)


def asked(client, server):
    """@return a cookie."""
    client.socket.send(h.write_hello(PINNED, 0, client.nonce, server.key))
    return h.read_answer(client.receive(1), PINNED, client.nonce, server.key)[2]


def initiated(client, server, cookie):
    """@return an INITIATE, and what answers it."""
    said = h.write_parameters(1 << 20, 1 << 20, 1, b'')
    data, _ = h.write_initiate(h.Initiate(PINNED, 2, 0, client.nonce, cookie, b''), said,
                               peer=server.key)
    client.socket.send(data)
    return data, client.receive(1)


@check
def a_ticket_saves_a_round_trip_once():
    with Serve() as server:
        with Client(*server.place) as client:
            client.connect(PINNED, server.key)
            client.close()
        ticket = client.accepted.ticket
        with Client(*server.place) as client:
            client.connect(PINNED, server.key, ticket=ticket)
            messages = some_messages(5)
            expect('what comes back', echoed(client, messages), messages)
            client.close()
        for what, cookie in (('used', ticket), ('forged', ticket[:-1] + bytes([ticket[-1] ^ 1]))):
            with Client(*server.place) as client:
                _, answer = initiated(client, server, cookie)
                expect(what, answer[0], h.RETRY)


@check
def who_does_not_know_the_key_gets_no_answer():
    with Serve() as server, Client(*server.place) as client:
        for what, mode in (('another key', PINNED), ('a mode that is off', OPEN)):
            client.socket.send(h.write_hello(mode, 0, client.nonce, random(32)))
            expect(what, client.receive(ATTEMPT_S), b'')
        client.socket.send(h.write_hello(PINNED, 1, client.nonce, server.key))
        expect('another game', client.receive(ATTEMPT_S), b'')


@check
def who_speaks_another_version_is_told_ours():
    with Serve() as server, Client(*server.place) as client:
        for kind in (h.HELLO, h.INITIATE):
            head = bytes([kind]) + number(2, 4) + bytes([PINNED]) + random(10) + client.nonce
            data = head + random(1184 - len(head))
            client.socket.send(h.sign(data, PINNED, server.key))
            told = h.read_versions(client.receive(1), PINNED, client.nonce, server.key)
            expect('versions', told, [1])
            client.socket.send(h.sign(data, PINNED, random(32)))
            expect('without the key', client.receive(ATTEMPT_S), b'')
            unknown = data[:5] + b'\0' + data[6:]
            client.socket.send(h.sign(unknown, OPEN, server.key))
            expect('a mode that is off', client.receive(ATTEMPT_S), b'')


@check
def a_mode_that_is_not_accepted_is_rejected():
    with Serve() as server, Client(*server.place) as client:
        try:
            client.connect(TOKEN, server.key, capsule=bytes(h.CAPSULE_SIZE))
        except Refused as refused:
            expect('refusal', refused.args, (3,))
        else:
            raise Wrong('it was accepted')


@check
def a_packet_of_a_forgotten_connection_is_answered_by_the_token():
    with Serve() as server, Client(*server.place) as client:
        client.connect(PINNED, server.key)
        client.close()
        time.sleep(3.5)  # the server drains for at most 3 s
        head = bytes([0x61]) + number(client.accepted.wire_id, 4)
        for size, answer_size in ((38, 0), (39, 38), (40, 39), (44, 43), (100, 43)):
            client.socket.send(head + random(size - 5))
            answer = client.receive(ATTEMPT_S)
            expect('the answer to %d bytes' % size, len(answer), answer_size)
            if answer:
                expect('first byte', answer[0] & 0xe0, 0x40)
                expect('token', answer[-16:], client.accepted.reset_token)
