"""Keys and connect tokens on the command line: who may read them, and what they say."""
import base64
import json
import os
import pty
import re
import subprocess
import tempfile
import time

from harness import LIMIT_S, check, eddy, expect, expect_true, run

SECRET, PUBLIC, ROOM, ISSUER, TOKEN = range(1, 6)  # eddy_key_kind


class Folder:
    """A folder with the keys of a server and an issuer, and a token."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.secret, self.issuer, self.token_key, self.token = map(
            self.path, ('server.key', 'issuer.key', 'server9.token-key', 'client.token'))
        self.public = run('keygen', self.secret)[0].strip()
        run('keygen', '--kind', 'issuer', self.issuer)
        run('keygen', '--token-key', '9', '--issuer', self.issuer, self.token_key)
        self.server = '192.0.2.7:4242,9,' + self.public
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def issue(self, *arguments, server=None, code=0):
        return run('token', 'issue', '--issuer', self.issuer, '--server', server or self.server,
                   *arguments, code=code)

    def verify(self, path=None, server_id='9', token_key=None, json_too=(), code=0):
        return run('token', 'verify', path or self.token, '--server-id', server_id,
                   '--token-key', token_key or self.token_key, *json_too, code=code)


def expect_private(path):
    expect('mode of ' + path, oct(os.stat(path).st_mode & 0o777), oct(0o600))


def kind_of(text):
    return base64.urlsafe_b64decode(text.strip())[0]


def read(path):
    with open(path, encoding='ascii') as file:
        return file.read()


@check
def keys_stand_in_files_of_their_owner_alone():
    with Folder() as f:
        expect_true('no key: ' + f.public, re.fullmatch(r'[\w-]{48}', f.public))
        expect('kind of the public key', kind_of(f.public), PUBLIC)
        expect('the public key again', run('keygen', '--public', f.secret)[0].strip(), f.public)
        expect('of a room', run('keygen', '--kind=room', f.path('room.key')), ('', ''))
        for path, kind in ((f.secret, SECRET), (f.path('room.key'), ROOM), (f.issuer, ISSUER),
                           (f.token_key, TOKEN)):
            expect_private(path)
            expect('kind of ' + path, kind_of(read(path)), kind)
            expect('size of ' + path, len(read(path)), 49)


@check
def a_key_that_exists_is_never_overwritten():
    with Folder() as f:
        before = read(f.secret)
        for arguments in (('keygen', f.secret), ('keygen', '--kind', 'room', f.secret),
                          ('keygen', f.secret, '--token-key', '1', '--issuer', f.issuer)):
            out, err = run(*arguments, code=1)
            expect('stdout', out, '')
            expect_true('no reason: ' + err, 'never overwritten' in err)
        expect('the key', read(f.secret), before)


@check
def a_key_that_others_may_read_is_refused():
    with Folder() as f:
        os.chmod(f.secret, 0o640)
        os.chmod(f.issuer, 0o604)
        os.chmod(f.token_key, 0o620)
        for _, err in (run('keygen', '--public', f.secret, code=1), f.issue('--out=-', code=1),
                       f.verify(code=1)):
            expect_true('no way out: ' + err, 'chmod 600' in err)


@check
def a_key_of_another_kind_is_refused():
    with Folder() as f:
        f.issue('--out', f.token)
        for (out, err), kind in (
                (run('keygen', '--public', f.issuer, code=1), 'a secret key'),
                (run('keygen', 'x', '--token-key=1', '--issuer', f.secret, code=1), "an issuer's"),
                (run('token', 'issue', '--issuer', f.secret, '--server', f.server, '--out=-',
                     code=1), "an issuer's"),
                (f.verify(token_key=f.issuer, code=1), 'a token key')):
            expect('stdout', out, '')
            expect_true('%r is not in: %s' % (kind, err), kind in err)


@check
def a_secret_among_the_words_is_noticed_and_not_repeated():
    with Folder() as f:
        secret = read(f.secret).strip()
        _, err = f.issue('--out=-', server='192.0.2.7:4242,9,' + secret, code=2)
        expect_true('not noticed: ' + err, 'SECRET' in err)
        expect_true('repeated: ' + err, secret not in err)


@check
def a_token_says_to_each_what_is_for_it():
    with Folder() as f:
        begin = int(time.time())
        expect('issue', f.issue('--server=[2001:db8::1]:1,18446744073709551615,' + f.public,
                                '--protocol-id=77', '--client-id=18446744073709551615',
                                '--life=100', '--data=red team', '--out', f.token), ('', ''))
        expect_private(f.token)
        info = json.loads(run('token', 'inspect', '--json', f.token)[0])
        issued = info['issued_s']
        expect_true('issued at %d, not now' % issued, begin <= issued <= time.time())
        expect('what all can read', info, {
            'protocol_id': '77', 'issued_s': issued, 'expires_s': issued + 100, 'expired': False,
            'servers': [
                {'address': '192.0.2.7:4242', 'server_id': '9', 'public_key': f.public},
                {'address': '[2001:db8::1]:1', 'server_id': '18446744073709551615',
                 'public_key': f.public}]})
        expect('what the server can read', json.loads(f.verify(json_too=('--json',))[0]), {
            'client_id': '18446744073709551615', 'issued_s': issued, 'expires_s': issued + 100,
            'data_hex': b'red team'.hex()})
        expect_true('the data', '8 bytes: red team\n' in f.verify()[0])


@check
def the_secrets_of_a_token_are_not_shown():
    with Folder() as f:
        f.issue('--client-id=1234567', '--data=red team', '--out', f.token)
        token = base64.urlsafe_b64decode(read(f.token).strip() + '==')
        out = ''.join(run('token', 'inspect', f.token, *more)[0] for more in ((), ('--json',)))
        for secret in (token[40:72].hex(), '1234567', 'red team', b'red team'.hex(),
                       base64.urlsafe_b64encode(token[42:72]).decode()):
            expect_true('%s is in: %s' % (secret, out), secret not in out)


@check
def data_come_from_a_file_and_reach_no_terminal_raw():
    with Folder() as f:
        path = f.path('data')
        for size, code in ((0, 0), (232, 0), (233, 2)):
            with open(path, 'wb') as file:
                file.write(b'\x1b' * size)
            token = f.path('%d.token' % size)
            f.issue('--data-file', path, '--out', token, code=code)
            if code == 0:
                expect_true('%d bytes' % size, '%d bytes%s\n' % (
                    size, ': ' + '1b' * size if size else '') in f.verify(token)[0])
        f.issue('--data', 'x' * 233, '--out=-', code=2)
        f.issue('--data-file', f.path('none'), '--out=-', code=1)


@check
def a_token_is_shown_on_a_terminal_only_if_that_is_wanted():
    with Folder() as f:
        words = [eddy, 'token', 'issue', '--issuer', f.issuer, '--server', f.server]
        for more, code, shown in (((), 2, False), (('--out', '-'), 0, True)):
            ours, theirs = pty.openpty()
            done = subprocess.run([*words, *more], stdout=theirs, stderr=subprocess.PIPE,
                                  timeout=LIMIT_S)
            os.close(theirs)
            expect('exit code', done.returncode, code)
            try:
                out = os.read(ours, 2000)
            except OSError:  # nothing was written, and nobody can any more
                out = b''
            os.close(ours)
            expect('shown', out.startswith(b'RURUSw'), shown)
        expect_true('a pipe gets it', f.issue()[0].startswith('RURUSw'))


@check
def a_token_that_is_not_good_is_refused_with_exit_code_1():
    with Folder() as f:
        other_key = f.path('server8.token-key')
        run('keygen', '--token-key', '8', '--issuer', f.issuer, other_key)
        f.issue('--out', f.token, '--life', '1')
        f.verify()
        text = read(f.token)
        with open(f.path('altered'), 'w', encoding='ascii') as file:
            file.write(text[:300] + ('A' if text[300] != 'A' else 'B') + text[301:])
        with open(f.path('cut'), 'w', encoding='ascii') as file:
            file.write(text[:-4])
        with open(f.path('empty'), 'w', encoding='ascii'):
            pass
        for (out, err), say in (
                (f.verify(server_id='8', code=1), 'server 8'),
                (f.verify(server_id='8', token_key=other_key, code=1), 'server 8'),
                (f.verify(token_key=other_key, code=1), 'altered'),
                (f.verify(f.path('altered'), code=1), 'altered'),
                (f.verify(f.path('cut'), code=1), 'altered'),
                (f.verify(f.path('none'), code=1), 'cannot be read'),
                (run('token', 'inspect', f.path('cut'), code=1), 'not a connect token'),
                (run('token', 'inspect', f.path('empty'), code=1), 'not a connect token'),
                (run('token', 'inspect', f.secret, code=1), 'not a connect token'),
                (f.issue('--out', f.token, code=1), 'never overwritten'),
                (f.issue('--out=-', server='[fe80::1%2]:1,9,' + f.public, code=1), 'one link')):
            expect('stdout', out, '')
            expect_true('%r is not in: %s' % (say, err), say in err)
        time.sleep(max(0, json.loads(run('token', 'inspect', '--json', f.token)[0])['expires_s']
                       - time.time()))
        expect_true('not expired', 'expired' in f.verify(code=1)[1])
        expect_true('not shown as expired', 's ago' in run('token', 'inspect', f.token)[0])
