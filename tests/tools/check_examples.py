"""The examples, which stand alone."""
import contextlib
import ctypes
import os
import re
import subprocess
import tempfile
import time

from harness import LIMIT_S, PROMISES, TOP, build, check, eddy, expect, expect_true, free_port, run

EXAMPLES = os.path.join(build, 'tools', 'examples')
EXAMPLE_LINES_MAX = {'echo_client': 15, 'echo_server': 20, 'snapshots': 90}
EDDY_OK, EDDY_EAGAIN, EDDY_ECONNECTION, RELIABLE_ORDERED = 0, -4, -9, 3  # of eddy.h


def eddy_key():
    """A public key of nobody."""
    with tempfile.TemporaryDirectory() as folder:
        return run('keygen', os.path.join(folder, 'key'))[0].strip()


@contextlib.contextmanager
def echo_server():
    """The example, running. @return its address and key."""
    address = '127.0.0.1:%d' % free_port()
    with subprocess.Popen([os.path.join(EXAMPLES, 'echo_server'), address], text=True,
                          stderr=subprocess.PIPE) as server:
        try:
            yield address, server.stderr.readline().strip()
        finally:
            server.kill()


def echo_client(*words):
    return subprocess.run([os.path.join(EXAMPLES, 'echo_client'), *words], timeout=LIMIT_S,
                          stdout=subprocess.PIPE, text=True)


@check
def the_examples_talk_to_each_other():
    other = eddy_key()
    with echo_server() as (address, key):
        told, lied_to, untold = (echo_client(address, *words) for words in ((key,), (other,), ()))
    expect('the echo', (told.stdout, told.returncode), ('hello\n', 0))
    expect('with the key of another', (lied_to.stdout, lied_to.returncode), ('', 1))
    expect('without a key', (untold.stdout, untold.returncode), ('', 1))


def send_without_reading(address, key):
    """Sends by the library until the connection is gone, and takes no event."""
    library = ctypes.CDLL(os.path.join(build, 'transport', 'libeddy.so'))
    manager, connection = ctypes.c_void_p(), ctypes.c_uint64()
    deadline = time.monotonic() + LIMIT_S
    data = bytes(60000)
    expect('open', library.eddy_open(ctypes.byref(manager), None), EDDY_OK)
    expect('connect', library.eddy_connect(manager, address.encode(), key.encode(),
                                           ctypes.byref(connection)), EDDY_OK)
    status = EDDY_OK
    while status in (EDDY_OK, EDDY_EAGAIN):
        expect_true('it may send without end', time.monotonic() < deadline)
        time.sleep(0.001 if status == EDDY_EAGAIN else 0)
        status = library.eddy_send(manager, connection, RELIABLE_ORDERED, 0, data, len(data))
    library.eddy_close(manager, 0)
    expect('the end', status, EDDY_ECONNECTION)


@check
def the_echo_server_leaves_a_client_that_does_not_read_and_serves_the_others():
    with echo_server() as (address, key):
        send_without_reading(address, key)
        told = echo_client(address, key)
    expect('the echo', (told.stdout, told.returncode), ('hello\n', 0))


@check
def snapshots_are_told_as_changes():
    told = subprocess.run([os.path.join(EXAMPLES, 'snapshots')], timeout=LIMIT_S,
                          stdout=subprocess.PIPE, text=True)
    found = re.fullmatch(r'59 snapshots of 200 bytes, told in (\d+) bytes; '
                         r'the last that came: (\d+), right\n', told.stdout)
    expect('exit code', told.returncode, 0)
    expect_true('it says ' + told.stdout, found and int(found.group(2)) > 0)
    # A tick changes one thing; told from the beginning, all would take 59 * 60 bytes and the heads.
    expect_true('they are not changes', int(found.group(1)) < 59 * 60)


@check
def the_examples_are_short():
    for name, most in EXAMPLE_LINES_MAX.items():
        with open(os.path.join(TOP, 'tools', 'examples', name + '.c'), encoding='utf-8') as file:
            lines = [line for line in file if line.strip()]
        expect_true('%s has %d lines, at most %d' % (name, len(lines), most), len(lines) <= most)


def page():
    with open(os.path.join(TOP, 'README.md'), encoding='utf-8') as file:
        return file.read()


@check
def the_page_shows_the_example_as_it_is():
    with open(os.path.join(TOP, 'tools', 'examples', 'echo_client.c'), encoding='utf-8') as file:
        expect_true('README.md has another client', '```c\n%s```' % file.read() in page())


@check
def the_commands_of_the_page_do_what_they_say():
    blocks = re.findall(r'^```sh\n(.*?)^```', page(), re.MULTILINE | re.DOTALL)
    expect('blocks', len(blocks), 2)
    with tempfile.TemporaryDirectory() as folder:  # what the first makes, the second uses
        for block in blocks:
            done = subprocess.run(
                ['bash', '-ec', block.replace('4242', str(free_port())) + 'wait $!'], cwd=folder,
                env=dict(os.environ, PATH=os.path.dirname(eddy) + ':' + os.environ['PATH']),
                capture_output=True, text=True, timeout=LIMIT_S)
            said = done.stdout + done.stderr
            expect_true('failed: ' + said, done.returncode == 0)
            expect_true('not every promise was kept: ' + said,
                        len(re.findall(r' yes$', said, re.MULTILINE)) == len(PROMISES))
            expect_true('no connection: ' + said, '\n1 connections in ' in said)
