"""The examples, which stand alone."""
import os
import re
import subprocess
import tempfile

from harness import LIMIT_S, PROMISES, TOP, build, check, eddy, expect, expect_true, free_port, run

EXAMPLE_LINES_MAX = {'echo_client': 15, 'echo_server': 20, 'snapshots': 85}


def eddy_key():
    """A public key of nobody."""
    with tempfile.TemporaryDirectory() as folder:
        return run('keygen', os.path.join(folder, 'key'))[0].strip()


@check
def the_examples_talk_to_each_other():
    address = '127.0.0.1:%d' % free_port()
    folder = os.path.join(build, 'tools', 'examples')
    other = eddy_key()
    with subprocess.Popen([os.path.join(folder, 'echo_server'), address], text=True,
                          stderr=subprocess.PIPE) as server:
        try:
            key = server.stderr.readline().strip()
            told, lied_to, untold = (
                subprocess.run([os.path.join(folder, 'echo_client'), address, *words],
                               timeout=LIMIT_S, stdout=subprocess.PIPE, text=True)
                for words in ((key,), (other,), ()))
        finally:
            server.kill()
    expect('the echo', (told.stdout, told.returncode), ('hello\n', 0))
    expect('with the key of another', (lied_to.stdout, lied_to.returncode), ('', 1))
    expect('without a key', (untold.stdout, untold.returncode), ('', 1))


@check
def snapshots_are_told_as_changes():
    told = subprocess.run([os.path.join(build, 'tools', 'examples', 'snapshots')], timeout=LIMIT_S,
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
