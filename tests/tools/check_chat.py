"""The chat: people who talk through a server, in scripts and in a terminal; real processes."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from harness import LIMIT_S, Process, check, eddy, expect, expect_true, run

FLUSH_S = 2
SILENT_S = 5  # after which the server takes somebody as gone


class Chat(Process):
    """eddy chat serve on a free port."""

    def __init__(self, *arguments):
        super().__init__('chat', 'serve', '--bind', '127.0.0.1:0', '--flush', str(FLUSH_S),
                         *arguments)
        self.address = self.await_line('stdout', r'listening on (\S+)').group(1)
        self.key = self.await_line('stdout', r'server key (\S+)').group(1)
        self.way = (self.address, '--server-key', self.key)


class Person(Process):
    """eddy chat connect with a script's input."""

    def __init__(self, server, login, welcome=True):
        super().__init__('chat', 'connect', *server.way, '--login', login, stdin_open=True)
        if welcome:
            self.await_line('stderr', r'welcome, ' + re.escape(login.strip()))

    def say(self, *lines):
        self.process.stdin.write(''.join(line + '\n' for line in lines))
        self.process.stdin.flush()

    def hears(self, line):
        expect('said', self.process.stdout.readline(), line + '\n')

    def is_told(self, pattern):
        return self.await_line('stderr', pattern)


@check
def chat_is_as_the_tutorial_has_it():
    with Chat() as server, Person(server, 'alice') as alice, Person(server, ' bob ') as bob:
        alice.say('bob: hello')
        bob.hears('from alice: hello')
        bob.say('alice, bob: hi!')
        alice.hears('from bob: hi!')
        bob.hears('from bob: hi!')
        expect('alice', alice.end()[0], '')  # the end of her input
        expect('bob', bob.end()[0], '')
        out, _ = server.end(signal.SIGTERM)
        expect_true('counted', '3 messages passed on' in out)


@check
def chat_says_what_it_does_not_pass_on():
    with Chat() as server, Person(server, 'alice') as alice:
        for said, told in (('carol: hi', 'nobody here is called carol'),
                           ('no colon', 'say to whom'),
                           (': hi', 'say to whom'),
                           ('alice: \x1b[2J', 'without control'),
                           ('alice: ' + 'x' * 1000, 'at most 1000')):
            alice.say(said)
            alice.is_told(told)
        alice.say('alice, alice: once')
        alice.hears('from alice: once')
        expect('no more', alice.end()[0], '')


@check
def chat_refuses_a_login_that_is_taken():
    with Chat() as server, Person(server, 'alice') as alice:
        with Person(server, 'alice', welcome=False) as other:
            _, err = other.end(code=1)
            expect_true(err, "the login 'alice' is taken" in err)
        alice.say('alice: still here')
        alice.hears('from alice: still here')
        for login in ('', 'a,b', 'a:b', 'x' * 33, 'a\x07'):
            run('chat', 'connect', *server.way, '--login', login, code=2)


@check
def chat_takes_back_who_comes_again_at_once():
    with Chat() as server, Person(server, 'bob') as bob:
        for i in range(5):
            with Person(server, 'alice') as alice:
                alice.say('bob: %d' % i)
                bob.hears('from alice: %d' % i)
                alice.end()
        with Person(server, 'alice') as alice:
            bob.say('alice: there?')
            alice.hears('from bob: there?')


@check
def chat_goes_on_without_who_vanished():
    with Chat() as server, Person(server, 'bob') as bob:
        with Person(server, 'alice') as alice:
            alice.process.kill()
            alice.process.wait()
        bob.say('bob: still here')
        bob.hears('from bob: still here')
        server.await_line('stdout', 'alice left')  # and the name is free again
        with Person(server, 'alice') as alice:
            bob.say('alice: back?')
            alice.hears('from bob: back?')


@check
def chat_goes_on_beside_who_says_no_login():
    with Chat() as server, Person(server, 'bob') as bob:
        # Its first message is no login, and those after it are not looked at.
        with Process('connect', *server.way, '--duration', '1', '--rate', '1'):
            server.await_line('stdout', 'refused')
            bob.say('bob: still here')
            bob.hears('from bob: still here')


@check
def chat_delivers_all_when_it_is_ended():
    count = 1000
    with Chat() as server, Person(server, 'alice') as alice, Person(server, 'bob') as bob:
        bob.process.send_signal(signal.SIGSTOP)
        alice.say(*('bob: %d' % i for i in range(count)))
        alice.say('alice: all said')
        alice.hears('from alice: all said')  # so the server has them all
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        bob.process.send_signal(signal.SIGCONT)
        heard = bob.process.stdout.read().splitlines()  # to the end, which is not his own
        expect('how many reached bob', len(heard), count)
        expect('in order', heard, ['from alice: %d' % i for i in range(count)])
        bob.is_told('the server has ended')
        server.end()  # exit code 0
        expect_true('in time', time.monotonic() - begun < FLUSH_S + 1)


@check
def chat_ends_in_time_beside_somebody_stuck():
    with Chat() as server, Person(server, 'alice') as alice, Person(server, 'bob') as bob:
        bob.process.send_signal(signal.SIGSTOP)
        alice.say('bob: are you there?', 'alice: all said')
        alice.hears('from alice: all said')
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        alice.is_told('the server has ended')
        expect_true('alice does not wait', time.monotonic() - begun < FLUSH_S)
        _, err = server.end(code=1)
        lasted = time.monotonic() - begun
        expect_true('%.1f s' % lasted, FLUSH_S - 0.1 < lasted < FLUSH_S + 1)
        expect_true(err, 'messages did not arrive' in err)
        bob.process.send_signal(signal.SIGCONT)


@check
def chat_ends_at_once_at_the_second_signal():
    with Chat() as server, Person(server, 'bob') as bob:
        bob.process.send_signal(signal.SIGSTOP)
        bob.say('bob: kept')
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        server.process.send_signal(signal.SIGINT)
        server.end(code=-signal.SIGINT)
        bob.process.send_signal(signal.SIGCONT)


class Terminal:
    """eddy chat connect in a terminal of its own."""

    def __init__(self, server, login, columns=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ['TERM'] = 'xterm'
            os.environ['LC_ALL'] = 'C.UTF-8'
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
            os.execv(eddy, [eddy, 'chat', 'connect', *server.way, '--login', login])
        self.seen = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)

    def end(self):
        """Reads all that is left, as the terminal may wait for that. @return the exit code."""
        try:
            while select.select([self.fd], [], [], LIMIT_S)[0] and os.read(self.fd, 4096):
                pass
        except OSError:
            pass  # nobody is at the other side any more
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def type(self, text):
        os.write(self.fd, text.encode())

    def shows(self, pattern):
        """Waits until it has shown that; forgets all up to there."""
        until = time.monotonic() + LIMIT_S
        while not re.search(pattern, self.seen, re.S):
            ready = select.select([self.fd], [], [], max(0, until - time.monotonic()))[0]
            expect_true('%r shows %r' % (self.seen, pattern), ready)
            self.seen += os.read(self.fd, 4096)
        self.seen = self.seen[re.search(pattern, self.seen, re.S).end():]


@check
def chat_in_a_terminal_keeps_the_line_that_is_typed():
    with Chat() as server, Person(server, 'bob') as bob, Terminal(server, 'alice') as alice:
        alice.shows(rb'welcome, alice.*> ')
        alice.type('bob: half')
        alice.shows(rb'half')
        bob.say('alice: in between')
        alice.shows(rb'\r\x1b\[Jfrom bob: in between\r\n.*> bob: half')
        alice.type(' and half\r')
        bob.hears('from alice: half and half')
        alice.type('\x03')
        expect('exit code', alice.end(), 0)


@check
def chat_in_a_terminal_takes_a_wrapped_line_off_the_screen():
    with Chat() as server, Person(server, 'bob') as bob, \
            Terminal(server, 'alice', columns=20) as alice:
        alice.shows(rb'welcome, alice.*> ')
        for typed, rows in (('bob: abcdefghijkl', 0),  # one column is left of the first row
                            ('M', 1), ('n' * 18 + 'O', 1), ('\u20ac', 2), ('p' * 17 + 'Q', 2),
                            ('\u4f60', 3)):
            last = re.escape(typed[-1].encode())
            alice.type(typed)
            alice.shows(last)  # all of it is there
            bob.say('alice: row %d' % rows)
            up = rb'\x1b\[%dA' % rows if rows else rb'(?<!A)'
            alice.shows(up + rb'\r\x1b\[Jfrom bob: row %d' % rows)
            alice.shows(rb'> bob: abc')
            alice.shows(last)
        alice.type('\r')
        bob.hears('from alice: abcdefghijklM' + 'n' * 18 + 'O\u20ac' + 'p' * 17 + 'Q\u4f60')


@check
def chat_in_a_terminal_ends_at_the_end_of_input():
    with Chat() as server, Person(server, 'bob') as bob, Terminal(server, 'alice') as alice:
        alice.shows(rb'welcome, alice.*> ')
        alice.type('bob: not yet\x04')  # nothing, in a line
        alice.shows(rb'not yet')
        bob.say('alice: still there?')
        alice.shows(rb'from bob: still there')
        alice.type('\r')
        bob.hears('from alice: not yet')
        bob.say('alice: and now?')
        alice.shows(rb'from bob: and now')
        alice.type('\x04')
        expect('exit code', alice.end(), 0)
        server.await_line('stdout', 'alice left')
