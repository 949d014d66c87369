"""The examples, which stand alone."""
import os
import subprocess

from harness import LIMIT_S, TOP, build, check, expect, expect_true, free_port

EXAMPLE_LINES_MAX = {'echo_client': 15, 'echo_server': 20}


@check
def the_examples_talk_to_each_other():
    address = '127.0.0.1:%d' % free_port()
    folder = os.path.join(build, 'tools', 'examples')
    with subprocess.Popen([os.path.join(folder, 'echo_server'), address]) as server:
        try:
            out = subprocess.run([os.path.join(folder, 'echo_client'), address], timeout=LIMIT_S,
                                 stdout=subprocess.PIPE, text=True, check=True).stdout
        finally:
            server.kill()
    expect('the echo', out, 'hello\n')


@check
def the_examples_are_short():
    for name, most in EXAMPLE_LINES_MAX.items():
        with open(os.path.join(TOP, 'tools', 'examples', name + '.c'), encoding='utf-8') as file:
            lines = [line for line in file if line.strip()]
        expect_true('%s has %d lines, at most %d' % (name, len(lines), most), len(lines) <= most)
