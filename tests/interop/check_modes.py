"""Modes other than PINNED: who proves what, in files and tokens that are made here."""
import os
import tempfile
import time

import tokens
from check_client import Serve, echoed, some_messages
from check_server import Connect
from harness import Wrong, check, expect, expect_all_kept
from mini_client import Client, Refused
from mini_server import Server
from noise import MUTUAL, OPEN, PINNED, TOKEN
from sodium import blake, public_key, random
from wire import number, text_of_key

SECRET, PUBLIC, ROOM, _, TOKEN_KEY = range(1, 6)  # kinds of keys
SERVER_ID = 9


class Keys:
    """All that the modes need, and a folder with their files."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.secret, self.own, self.room, self.issuer = (random(32) for _ in range(4))
        self.public, self.token_key = public_key(self.secret), tokens.token_key(self.issuer,
                                                                                SERVER_ID)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), 'w', encoding='ascii') as file:
            file.write(text + '\n')
        return path

    def key_file(self, kind, key):
        return self.file('key%d' % kind, text_of_key(key, kind))

    def serve(self, *more):
        """eddy serve in all modes."""
        return Serve('--key', self.key_file(SECRET, self.secret),
                     '--allow', 'open,pinned,mutual,token',
                     '--client-keys', self.key_file(PUBLIC, public_key(self.own)),
                     '--token-key', self.key_file(TOKEN_KEY, self.token_key),
                     '--server-id', str(SERVER_ID), *more)

    def pass_for(self, server_id=SERVER_ID, life_s=60):
        """@return (capsule, psk)"""
        psk, now = random(32), int(time.time())
        claim = tokens.Claim(77, now - 60, now + life_s, b'a player')
        return tokens.seal_capsule(self.token_key, 0, server_id, claim, psk, random(24)), psk


def expect_refused(what, refusal, client, *arguments, **words):
    try:
        client.connect(*arguments, **words)
    except Refused as refused:
        expect(what, refused.args, (refusal,))
    else:
        raise Wrong(what + ': it was accepted')


@check
def every_mode_connects_to_eddy_serve():
    with Keys() as keys, keys.serve() as server:
        capsule, psk = keys.pass_for()
        for mode, words in ((OPEN, {}), (PINNED, {}), (MUTUAL, {'own': keys.own}),
                            (TOKEN, {'capsule': capsule, 'shared': psk})):
            with Client(*server.place) as client:
                client.connect(mode, None if mode == OPEN else keys.public, payload=b'hi', **words)
                expect("the server's key", client.server_key, keys.public)
                messages = some_messages(20)
                expect('what comes back', echoed(client, messages), messages)
                client.close()


@check
def eddy_serve_says_what_is_wrong_with_a_key_or_token():
    with Keys() as keys, keys.serve() as server:
        with Client(*server.place) as client:
            expect_refused('a stranger', 4, client, MUTUAL, keys.public, own=random(32))
        capsule, psk = keys.pass_for()
        with Client(*server.place) as client:
            client.connect(TOKEN, keys.public, capsule=capsule, shared=psk)
            client.close()
        old, old_psk = keys.pass_for(life_s=-1)
        other, other_psk = keys.pass_for(server_id=SERVER_ID + 1)
        for what, refusal, shown, shared in (
                ('used', 7, capsule, psk), ('expired', 6, old, old_psk),
                ('for another server', 5, other, other_psk),
                ('altered', 5, capsule[:-1] + bytes([capsule[-1] ^ 1]), psk)):
            with Client(*server.place) as client:
                expect_refused(what, refusal, client, TOKEN, keys.public, capsule=shown,
                               shared=shared)


@check
def the_reset_token_of_eddy_serve_is_made_as_the_page_says():
    with Keys() as keys, keys.serve() as server, Client(*server.place) as client:
        client.connect(PINNED, keys.public)
        port = client.socket.getsockname()[1]
        bound = number(client.accepted.wire_id, 4) + b'\4' + number(port, 2)
        bound += bytes([127, 0, 0, 1]) + bytes(12)
        expect('token', client.accepted.reset_token,
               blake(16, bound, blake(32, b'eddy reset key', keys.secret)))


@check
def a_room_lets_in_who_has_its_key():
    with Keys() as keys, keys.serve('--room', keys.key_file(ROOM, keys.room)) as server:
        for mode, key in ((OPEN, None), (PINNED, keys.public)):
            with Client(*server.place) as client:
                client.connect(mode, key, shared=keys.room)
                messages = some_messages(5)
                expect('what comes back', echoed(client, messages), messages)
                client.close()
            with Client(*server.place) as client:
                try:
                    client.limit_s = 1
                    client.connect(mode, key, shared=random(32))
                except TimeoutError:
                    continue
                raise Wrong('a stranger was let in')


def words_for(mode, server, keys, claim):
    """What leads eddy connect to our server in a mode."""
    if mode == OPEN:
        return server.address, '--open'
    if mode == MUTUAL:
        return (server.address, '--server-key', server.key_text(), '--key',
                keys.key_file(SECRET, keys.own))
    return '--token', keys.file('token', tokens.issue(
        keys.issuer, 0, claim, server.socket.getsockname(), SERVER_ID, server.public))


@check
def eddy_connect_comes_in_every_mode():
    now = int(time.time())
    claim = tokens.Claim(77, now, now + 60, b'a player')
    for mode in (OPEN, MUTUAL, TOKEN):
        with Keys() as keys, Server(modes=(mode,)) as server:
            server.token_key, server.server_id = keys.token_key, SERVER_ID
            with Connect(*words_for(mode, server, keys, claim), '--duration', '0.5', '--rate',
                         '100') as client:
                server.run(client.has_ended)
                expect_all_kept(client.result())
            expect('mode', server.mode, mode)
            if mode == MUTUAL:
                expect("the client's key", server.client_key, public_key(keys.own))
            if mode == TOKEN:
                expect('what the token says', server.claim, claim)
