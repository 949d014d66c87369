"""Help, lists and errors: what eddy says, and the exit code."""
import json
import os
import re
import subprocess

from harness import (ADDRESS_OF_NOBODY, LIMIT_S, NOBODY, Server, TOP, check, eddy, expect,
                     expect_true, run)


@check
def every_command_explains_itself_with_an_example_within_79_columns():
    for command in ('demo', 'serve', 'connect', 'keygen', 'token', 'token issue', 'token inspect',
                    'token verify', 'status', 'version', 'bench'):
        out, _ = run(*command.split(), '--help')
        expect_true('eddy %s --help has no example' % command, 'Example:' in out)
        if ' ' not in command:
            expect('eddy help ' + command, run('help', command)[0], out)
        for line in out.split('\n'):
            expect_true('wider than 79 columns: ' + line, len(line) <= 79)
    expect('eddy --help', run('--help')[0], run('help')[0])


@check
def status_lists_every_status_of_the_header():
    with open(os.path.join(TOP, 'core', 'eddy_base.h'), encoding='utf-8') as header:
        rows = re.findall(r'X\((EDDY_\w+), (-\d+|0), "(.*)"\)', header.read())
    listed = [tuple(line.split(None, 2)) for line in run('status')[0].splitlines()]
    expect('the list', listed, [(value, name, text) for name, value, text in rows])
    expect('the object', json.loads(run('status', '--json')[0]),
           {name: {'value': int(value), 'text': text} for name, value, text in rows})


@check
def version_is_that_of_the_header():
    with open(os.path.join(TOP, 'core', 'eddy_base.h'), encoding='utf-8') as header:
        parts = re.findall(r'EDDY_VERSION_\w+ (\d+)', header.read())
    expect('the version', run('version')[0], 'eddy %s\n' % '.'.join(parts))
    expect('the object', json.loads(run('version', '--json')[0]), {'version': '.'.join(parts)})


@check
def a_wrong_command_line_says_what_to_do_and_exits_2():
    for arguments, say in (
            ((), 'eddy COMMAND'),
            (('dance',), 'eddy help'),
            (('help', 'dance'), 'eddy help'),
            (('serve', '--loud'), '--loud'),
            (('serve', '--port', '65536'), 'from 0 to 65535'),
            (('serve', '--port', '1', '--bind', ':1'), 'one of them'),
            (('serve', '--bind', 'nowhere'), 'HOST:PORT'),
            (('serve', 'here'), 'too many'),
            (('connect',), 'HOST:PORT is missing'),
            (('connect', 'nowhere'), 'HOST:PORT'),
            (('connect', '127.0.0.1:0'), '127.0.0.1:0'),
            (('connect', ADDRESS_OF_NOBODY), '--server-key KEY'),
            (('connect', ADDRESS_OF_NOBODY, '--key', 'f'), '--server-key KEY'),
            (('connect', '--open'), 'HOST:PORT is missing'),
            (('connect', *NOBODY, '--server-key', 'k'), '--open is without'),
            (('connect', *NOBODY, '--key', 'f'), '--open is without'),
            (('connect', *NOBODY, '--token', 'f'), '--open is without'),
            (('connect', '--token', 'f', '--server-key', 'k'), 'leave out'),
            (('connect', '--token', 'f', '--key', 'f'), 'leave out'),
            (('connect', '--token', 'f', '--room', 'f'), 'leave out'),
            (('connect', 'nowhere', '--token', 'f'), 'HOST:PORT'),
            (('connect', ADDRESS_OF_NOBODY, '--server-key', 'k'), 'no public key'),
            (('connect', *NOBODY, '--timeout', '0.05'), 'from 0.1 to 600'),
            (('serve', '--allow', 'all'), 'open, pinned, mutual, token'),
            (('serve', '--allow', 'open,'), 'open, pinned, mutual, token'),
            (('serve', '--allow', 'pinned,tok'), 'open, pinned, mutual, token'),
            (('serve', '--allow', 'token'), 'needs --token-key'),
            (('serve', '--allow', 'mutual'), 'needs --client-keys'),
            (('serve', '--token-key', 'f'), 'of no use without --allow token'),
            (('serve', '--client-keys', 'f'), 'of no use without --allow mutual'),
            (('serve', '--open-to-public'), 'of no use without --allow open'),
            (('serve', '--strict-tokens'), 'of no use without --allow token'),
            (('connect', *NOBODY, '--loss', '101'), 'from 0 to 100'),
            (('connect', *NOBODY, '--size', '15'), 'from 16 to'),
            (('connect', *NOBODY, '--size', '33554433'), 'to 33554432'),
            (('connect', *NOBODY, '--size', '16385'), 'at most 16384 bytes'),
            (('connect', *NOBODY, '--guarantee', 'some'), 'newest arrives'),
            (('demo', '--guarantee', 'all,some'), "'all,some'"),
            (('connect', *NOBODY, '--rate'), 'needs a value'),
            (('keygen',), 'FILE is missing'),
            (('keygen', 'f', '--kind', 'public'), 'secret, room or issuer'),
            (('keygen', 'f', '--kind', 'room', '--public'), 'one of them'),
            (('keygen', 'f', '--token-key', '9'), 'need each other'),
            (('keygen', 'f', '--issuer', 'i'), 'need each other'),
            (('keygen', 'f', '--issuer', 'i', '--token-key', 'nine'), "'nine'"),
            (('token',), 'eddy token COMMAND'),
            (('token', 'dance'), 'eddy token help'),
            (('token', 'issue'), 'needs --issuer'),
            (('token', 'issue', '--issuer', 'i'), '--server'),
            (('token', 'issue', '--server', 's'), '--issuer'),
            (('token', 'issue', '--life', '3601'), 'from 1 to 3600'),
            (('token', 'issue', '--issuer', 'i', '--server', 's', '--data', 'a',
              '--data-file', 'b'), 'one of them'),
            (('token', 'issue', '--issuer', 'i', '--server', '127.0.0.1:1,9'), 'three parts'),
            (('token', 'issue', '--issuer', 'i', '--server', 'home,9,key'), 'no address'),
            (('token', 'issue', '--issuer', 'i', '--server', '127.0.0.1:1,x,key'), 'no number'),
            (('token', 'issue', '--issuer', 'i', '--server', '127.0.0.1:1,9,key'), 'no public key'),
            (('token', 'issue', '--issuer', 'i', '--server', '1' * 300), 'too long'),
            (('token', 'issue', *('--server', 's') * 17), 'more than 16'),
            (('token', 'inspect'), 'FILE is missing'),
            (('token', 'verify', 'f'), 'needs --token-key'),
            (('demo', '--clients', '0'), 'from 1 to'),
            (('demo', '--duration', 'long'), "'long'")):
        out, err = run(*arguments, code=2)
        expect('stdout of %r' % (arguments,), out, '')
        expect_true('%r says %r, want %r in it' % (arguments, err, say), say in err)


@check
def an_address_that_cannot_be_had_is_named_and_exits_1():
    with Server() as server:
        for arguments, names in (
                (('serve', '--bind', server.address), (server.address, 'in use')),
                (('serve', '--bind', '192.0.2.1:0'), ('192.0.2.1:0', 'does not have')),
                (('connect', 'no-such-host.invalid:4242', '--open'),
                 ('no-such-host.invalid:4242', 'name'))):
            out, err = run(*arguments, code=1)
            expect('stdout of %r' % (arguments,), out, '')
            for name in names:
                expect_true('%r says %r, want %r in it' % (arguments, err, name), name in err)


@check
def connecting_to_nobody_fails_after_a_while():
    _, err = run('connect', *NOBODY, '--timeout', '0.5', code=1)
    expect_true('no reason: ' + err, ADDRESS_OF_NOBODY in err and 'did not answer' in err)


@check
def a_result_that_cannot_be_written_is_a_failure():
    with Server() as server, open('/dev/full', 'w', encoding='utf-8') as full:
        done = subprocess.run([eddy, 'connect', *server.way, '--duration', '0.2', '--json'],
                              stdout=full, stderr=subprocess.DEVNULL, timeout=LIMIT_S)
        expect('exit code', done.returncode, 1)
