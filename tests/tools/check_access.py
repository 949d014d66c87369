"""Who may connect to eddy serve, and what the others are told: real files, real UDP."""
import json
import os
import re
import signal
import time

from check_keys import Folder, read
from harness import (NOBODY, Process, Server, check, expect, expect_all_kept, expect_true, run)

SHORT = ('--timeout', '0.5')  # to wait where no answer will come
TRAFFIC = ('--duration', '0.3', '--rate', '100', '--json')


class Place(Folder):
    """A folder with what every mode needs; `serve` holds the words of a server of all of them."""

    def __enter__(self):
        super().__enter__()
        self.player, self.stranger, self.players = map(
            self.path, ('player.key', 'stranger.key', 'players'))
        players = run('keygen', self.player)[0]
        run('keygen', self.stranger)
        self.write(self.players, '# who may play\n\n%s  # the first\n' % players.strip())
        self.token_way = ('--token-key', self.token_key, '--server-id', '9')
        self.mutual_way = ('--client-keys', self.players)
        self.all_ways = ('--key', self.secret, '--allow', 'open,pinned,mutual,token',
                         *self.token_way, *self.mutual_way)
        return self

    def write(self, path, text, mode=0o600):
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def token_for(self, server, name='client.token', server_id=9, more=()):
        """A new token that leads to a running server."""
        path = self.path(name)
        self.issue('--out', path, *more, server='%s,%d,%s' % (server.address, server_id,
                                                              self.public))
        return path

    def altered(self, path, at):
        """A copy of a token with another letter."""
        text = read(path)
        return self.write(path + '.altered',
                          text[:at] + ('A' if text[at] != 'A' else 'B') + text[at + 1:])


def refusals(server):
    return json.loads(server.end(signal.SIGTERM)[0])['refusals']


@check
def every_mode_connects_by_files():
    with Place() as p, Server(*p.all_ways) as server:
        expect('the key that is printed', server.key, p.public)
        for mode, words in (('open', (server.address, '--open')),
                            ('pinned', server.way),
                            ('mutual', (*server.way, '--key', p.player)),
                            ('token', ('--token', p.token_for(server))),
                            ('token', (server.address, '--token', p.token_for(server, 'second')))):
            result = json.loads(run('connect', *words, *TRAFFIC)[0])
            expect('mode', result['mode'], mode)
            expect('address', result['address'], server.address)
            expect_all_kept(result)
        served = json.loads(server.end(signal.SIGTERM)[0])
    expect('connections', served['connections'], 5)
    expect('refusals', served['refusals'], {})


@check
def a_room_and_a_game_are_for_those_who_name_them():
    with Place() as p:
        room, other = p.path('room.key'), p.path('other.key')
        for path in (room, other):
            run('keygen', '--kind', 'room', path)
        for words, refused in ((('--room', room, '--protocol-id', '7'), None),
                               (('--room', other, '--protocol-id', '7'), 'INITIATE_SEAL'),
                               (('--protocol-id', '7'), 'INITIATE_SEAL'),
                               (('--room', room), 'GAME')):
            with Server('--room', room, '--protocol-id', '7') as server:
                _, err = run('connect', *server.way, *words, *SHORT, *TRAFFIC,
                             code=0 if refused is None else 1)
                expect_true('no reason: ' + err, refused is None or 'did not answer' in err)
                expect('refusals', list(refusals(server)),
                       [] if refused is None else ['EDDY_CHECK_' + refused])


def expect_refused(p, serve, words_of, say, refused):
    """A client is told why it cannot connect, and the server counts it under one check."""
    with Server('--key', p.secret, *serve) as server:
        words = words_of(server)
        out, err = run('connect', *words, *SHORT, *TRAFFIC, code=1)
        expect('stdout', out, '')
        expect_true('%r does not name %s' % (err, server.address), server.address in err)
        expect_true('%r says %r, want %r in it' % (words, err, say), say in err)
        counts = refusals(server)
    expect('refusals of %r' % (words,), list(counts), ['EDDY_CHECK_' + refused])
    expect_true('not counted: %r' % counts, min(counts.values()) > 0)


@check
def who_may_not_connect_is_told_why():
    with Place() as p:
        stranger = run('keygen', '--public', p.stranger)[0].strip()
        for serve, words_of, say, refused in (
                ((), lambda s: (s.address, '--server-key', stranger),
                 'are key, room and protocol id right', 'HELLO_MAC'),
                ((), lambda s: (s.address, '--open'), '--allow open', 'MODE'),
                ((), lambda s: (*s.way, '--key', p.player), 'does not accept this way', 'MODE'),
                (('--allow', 'mutual', *p.mutual_way), lambda s: s.way,
                 'does not accept this way', 'MODE'),
                (('--allow', 'pinned,mutual', *p.mutual_way),
                 lambda s: (*s.way, '--key', p.stranger),
                 "refused by the peer: it does not know the client's key", 'CLIENT_KEY')):
            expect_refused(p, serve, words_of, say, refused)


@check
def who_has_no_good_token_is_told_why():
    with Place() as p:
        def used(server):
            token = p.token_for(server, 'used.token')
            run('connect', '--token', token, *TRAFFIC)
            return '--token', token

        def expired(server):
            token = p.token_for(server, 'old.token', more=('--life', '1'))
            expires_s = json.loads(run('token', 'inspect', '--json', token)[0])['expires_s']
            time.sleep(max(0, expires_s - time.time()))
            return '--token', token

        def altered(at):
            return lambda s: ('--token', p.altered(p.token_for(s, '%d.token' % at), at))

        for words_of, say, refused in (
                (used, 'refused by the peer: the connect token was used before', 'TOKEN_USED'),
                (expired, 'refused by the peer: the connect token has expired', 'TOKEN_TIME'),
                (lambda s: ('--token', p.token_for(s, 'foreign.token', server_id=8)),
                 'A hint, which is not signed: the connect token was altered, or is for another',
                 'TOKEN'),
                (altered(300), 'the connect token was altered', 'TOKEN'),
                (altered(70), 'did not answer', 'INITIATE_SEAL')):  # the secret of its holder
            expect_refused(p, ('--allow', 'token', *p.token_way), words_of, say, refused)
        expect_refused(p, (), lambda s: ('--token', p.token_for(s, 'any.token')),
                       'does not accept this way', 'MODE')


@check
def text_names_what_was_refused():
    with Process('serve', '--bind', '127.0.0.1:0') as server:
        address = server.await_line('stdout', r'listening on (\S+)').group(1)
        run('connect', address, '--open', *SHORT, code=1)
        out = server.end(signal.SIGTERM)[0]
    expect_true('not in: ' + out, re.search(
        r'^refused, as this did not hold:\n +\d+  the mode is one that the server accepts\n'
        r'datagrams ', out, re.MULTILINE))


def expect_file_refused(words, say):
    """@return what it says."""
    out, err = run(*words, code=1)
    expect('stdout of %r' % (words,), out, '')
    expect_true('%r says %r, want %r in it' % (words, err, say), say in err)
    expect_true('%r says %r, without the name of the file' % (words, err), words[-1] in err)
    return err


@check
def a_key_that_is_not_good_is_refused_with_its_reason():
    with Place() as p:
        mutual = (*NOBODY[:1], '--server-key', p.public)
        for words, kind, name in ((('connect', *mutual, '--key'), 'secret', 'a secret key'),
                                  (('connect', *mutual, '--room'), 'room', "a room's key"),
                                  (('serve', '--key'), 'secret', 'a secret key'),
                                  (('serve', '--room'), 'room', "a room's key"),
                                  (('serve', '--allow', 'token', '--token-key'), 'token',
                                   'a token key')):
            good = p.path('good-%s-%s' % (words[0], kind))
            if kind == 'token':
                good = p.token_key
            else:
                run('keygen', '--kind', kind, good)
            short = p.write(p.path('short'), read(good)[:-6])
            bare = p.write(p.path('bare'), read(good), mode=0o644)
            for path, say in ((short, 'this is not ' + name), (p.issuer, 'this is not ' + name),
                              (bare, 'chmod 600'), (p.path('none'), 'cannot be read')):
                expect_file_refused((*words, path), say)


@check
def a_file_that_is_no_token_is_refused_with_its_reason():
    with Place() as p, Server() as server:
        token = p.token_for(server)
        short = p.write(p.path('short'), read(token)[:-6])
        other = p.token_for(server, 'other', more=('--protocol-id', '7'))
        for path, say in ((short, 'not a connect token'), (p.secret, 'not a connect token'),
                          (p.path('none'), 'cannot be read'), (other, '--protocol-id 7')):
            expect_file_refused(('connect', '--token', path), say)


@check
def a_list_of_clients_is_taken_whole_or_refused():
    with Place() as p:
        secret = read(p.stranger).strip()
        words = ('serve', '--allow', 'mutual', '--client-keys')
        for text, say in (('', 'no key in it'), ('# nobody\n\n', 'no key in it'),
                          ('\n# one\n%s\n%s\n' % (p.public, p.public[:-1]), 'line 4 is no public'),
                          ('%s\nA%s' % (p.public, p.public), 'line 2 is no public'),
                          ('\n#' + 'x' * 5000, 'line 2 is too long')):
            expect_file_refused((*words, p.write(p.path('list'), text)), say)
        err = expect_file_refused((*words, p.write(p.path('list'), secret)), 'line 1 is a SECRET')
        expect_true('repeated: ' + err, secret not in err)
        expect_file_refused((*words, p.path('none')), 'cannot be read')
        expect_file_refused((*words, p.folder.name), 'cannot be read')
