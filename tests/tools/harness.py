"""What the checks of tests/tools/run are made of."""
import concurrent.futures
import os
import re
import signal
import socket
import subprocess
import sys
import threading

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
LIMIT_S = 60  # for any one process
AT_A_TIME = 3  # checks
ADDRESS_OF_NOBODY = '127.0.0.1:9'
NOBODY = (ADDRESS_OF_NOBODY, '--open')  # as words of eddy connect

build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(TOP, 'build/release'))
eddy = os.path.join(build, 'tools', 'eddy')
checks = []
alone = []  # of these, the ones that measure: nothing runs beside them


class Wrong(Exception):
    """A check that does not hold."""


def check(function):
    """Marks a function as a check; its name says what is checked."""
    checks.append(function)
    return function


def check_alone(function):
    """Marks a check that others would disturb."""
    alone.append(function)
    return check(function)


def expect(name, got, want):
    if got != want:
        raise Wrong('%s is %r, want %r' % (name, got, want))


def expect_true(what, holds):
    if not holds:
        raise Wrong(what)


def run(*arguments, code=0, through=()):
    """Runs a command of eddy, perhaps through another, to its end. @return (stdout, stderr).
    @param code what it must exit with, or several of which it may."""
    done = subprocess.run([*through, eddy, *arguments], capture_output=True, text=True,
                          timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    if done.returncode not in (code if isinstance(code, tuple) else (code,)):
        raise Wrong('eddy %s: exit code %d, want %s: %s' % (
            ' '.join(arguments), done.returncode, code, done.stderr))
    return done.stdout, done.stderr


class Process:
    """A command of eddy that runs beside us; it is killed if a check leaves it behind."""

    def __init__(self, *arguments, stdin_open=False, through=()):
        self.arguments = arguments
        self.process = subprocess.Popen(
            [*through, eddy, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.PIPE if stdin_open else subprocess.DEVNULL, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def end(self, signal_number=None, code=0):
        """Waits for the end, after a signal if one is given. @return (stdout, stderr)."""
        if signal_number is not None:
            os.killpg(self.process.pid, signal_number)  # as a terminal does
        out, err = self.process.communicate(timeout=LIMIT_S)
        if self.process.returncode != code:
            raise Wrong('eddy %s: exit code %d, want %d: %s' % (
                ' '.join(self.arguments), self.process.returncode, code, err))
        return out, err

    def await_line(self, stream, pattern):
        """Reads lines until one matches. A process that is silent for too long is killed."""
        deadline = threading.Timer(LIMIT_S, os.killpg, (self.process.pid, signal.SIGKILL))
        deadline.start()
        try:
            for line in getattr(self.process, stream):
                found = re.search(pattern, line)
                if found:
                    return found
        finally:
            deadline.cancel()
        raise Wrong('eddy %s ended, or was silent for %d s, without saying %r' % (
            ' '.join(self.arguments), LIMIT_S, pattern))


class Server(Process):
    """eddy serve on a free port, with its result as JSON."""

    def __init__(self, *arguments, through=()):
        super().__init__('serve', '--bind', '127.0.0.1:0', '--json', *arguments,
                         through=through)
        self.address = self.await_line('stderr', r'listening on (\S+)').group(1)
        self.key = self.await_line('stderr', r'server key (\S+)').group(1)
        self.way = (self.address, '--server-key', self.key)  # for a client of mode PINNED


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


PROMISES = {  # of every guarantee, and what has to be 0 so that it is kept
    'unreliable': ('at most once', ()),
    'unreliable_sequenced': ('never backwards', ('late',)),
    'reliable_unordered': ('exactly once', ('lost', 'newest_missing')),
    'reliable_ordered': ('exactly once in order', ('lost', 'late', 'newest_missing')),
    'reliable_sequenced': ('newest arrives', ('late', 'newest_missing')),
}


def expect_all_kept(result, names=tuple(PROMISES)):
    """Every promise was kept, by the counts; messages of these guarantees were sent, no others."""
    expect('guarantees', sorted(result['guarantees']), sorted(PROMISES))
    for name, flow in result['guarantees'].items():
        promise, faults = PROMISES[name]
        expect(name + ' promise', flow['promise'], promise)
        expect(name + ' kept', flow['kept'], True)
        expect(name + ' was sent', flow['sent'] > 0, name in names)
        expect(name + ' lost', flow['lost'], flow['sent'] - flow['arrived'])
        for fault in ('twice', 'damaged', *faults):
            expect(name + ' ' + fault, flow[fault], 0)
    expect('kept', result['kept'], True)


def total(result, count):
    return sum(flow[count] for flow in result['guarantees'].values())


def name_of(function):
    return function.__name__.replace('_', ' ')


def outcome(function):
    """Runs a check. @return what is wrong, or None."""
    try:
        function()
    except Exception as error:  # whatever it is, the others go on
        return '%s: %s' % (type(error).__name__, error)
    return None


def run_checks(title):
    """Runs those that the command line asks for, several at a time: they wait more than they work.
    @return the exit code."""
    failures = 0
    word = sys.argv[2] if len(sys.argv) > 2 else ''
    names = {name_of(function): function for function in checks}
    chosen = {name: function for name, function in names.items() if word in name}
    if not chosen:
        sys.exit('no check has %r in its name' % word)
    for group, at_a_time in (([f for f in chosen.values() if f not in alone], AT_A_TIME),
                             ([f for f in chosen.values() if f in alone], 1)):
        with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
            for function, wrong in zip(group, pool.map(outcome, group)):
                failures += wrong is not None
                name = name_of(function)
                print('ok - %s: %s' % (title, name) if wrong is None else
                      'not ok - %s: %s\n    %s' % (title, name, wrong), flush=True)
    return 1 if failures else 0
