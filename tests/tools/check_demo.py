"""eddy demo, and the processes that it starts."""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import time

from harness import (LIMIT_S, PROMISES, Process, check, eddy, expect, expect_all_kept, expect_true,
                     run, total)


@check
def the_demo_keeps_every_promise():
    result = json.loads(run('demo', '--duration', '3', '--large', '100000', '--json')[0])
    expect_all_kept(result)
    expect('clients', [client['kept'] for client in result['clients']], [True] * 8)
    for name in ('unreliable', 'unreliable_sequenced', 'reliable_sequenced'):
        expect_true('no %s message was lost' % name, result['guarantees'][name]['lost'] > 0)
    expect('re-sent by both ends', result['resent'],
           sum(result[end + '_counters']['messages_resent'] for end in ('client', 'server')))
    expect_true('nothing was re-sent', result['resent'] > 0)
    expect('the sum of the clients', sum(total(client, 'sent') for client in result['clients']),
           total(result, 'sent'))
    expect('large', [result['large'][name] for name in ('kept', 'sent', 'size')],
           [True, 1, 100000])


@check
def the_demo_sends_a_large_message_and_may_leave_it():
    for size, sent in (('1048576', 1), ('0', 0)):
        result = json.loads(run('demo', '--clients', '2', '--duration', '1', '--loss', '1', '--rtt',
                                '10', '--large', size, '--json')[0])
        expect_all_kept(result)
        expect('large', (result['large']['sent'], result['large']['kept']), (sent, True))


@check
def the_demo_fits_a_terminal_and_refreshes_one_line():
    parent, child = pty.openpty()
    command = [eddy, 'demo', '--clients', '2', '--duration', '2.5', '--large', '50000']
    with subprocess.Popen(command, stdout=child, stdin=subprocess.DEVNULL) as process:
        os.close(child)
        said = b''
        try:
            while chunk := os.read(parent, 4096):
                said += chunk
        except OSError:
            pass  # how Linux says that the other end is closed
        os.close(parent)
        expect('exit code', process.wait(timeout=LIMIT_S), 0)
    text = said.decode().replace('\r\n', '\n')
    expect_true('the line is not refreshed', text.count('\r') >= 2 and '\x1b[K' in text)
    for line in re.split('[\r\n]', text.replace('\x1b[K', '')):
        expect_true('wider than 79 columns: ' + line, len(line) <= 79)
    expect_true('no verdict', 'Every promise was kept.\n' in text)


@check
def the_demo_on_a_dead_network_fails():
    started = time.monotonic()
    out, _ = run('demo', '--clients', '1', '--duration', '1', '--loss', '100', '--json', code=1)
    expect('kept', json.loads(out)['kept'], False)
    expect_true('it hung', time.monotonic() - started < 30)


@check
def sigint_ends_the_demo_with_every_promise_kept():
    with Process('demo', '--duration', '600', '--large', '50000') as demo:
        # Of 100 by eight clients, one has sent more than ten: some of every guarantee.
        demo.await_line('stdout', r'/\d{3,} exactly once')
        out, _ = demo.end(signal.SIGINT)
    for name, (promise, _) in PROMISES.items():
        expect_true('%s is not kept: %s' % (name, out), re.search(
            r'^%s +[1-9].* %s +yes$' % (name, promise), out, re.MULTILINE))
    expect_true('no verdict: ' + out, 'Every promise was kept.\n' in out)


def processes_of(address):
    """The processes whose command line names an address."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/cmdline' % pid, 'rb') as file:
                words = file.read().split(b'\0')
        except OSError:
            continue
        if words[0] == address.encode():
            found.append(int(pid))
    return found


@check
def children_of_a_demo_that_was_killed_do_not_stay():
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, 'eddy')  # a path of its own, so that they can be told apart
        shutil.copy(eddy, program)
        # SIGPIPE stays ignored, as some parents leave it, so that the children must notice.
        with subprocess.Popen([program, 'demo', '--clients', '2', '--duration', '60', '--json'],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              restore_signals=False) as demo:
            deadline = time.monotonic() + LIMIT_S
            while len(processes_of(program)) < 4 and time.monotonic() < deadline:
                time.sleep(0.02)
            demo.kill()
        deadline = time.monotonic() + 20
        while processes_of(program) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = processes_of(program)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        expect('left behind', len(left), 0)
