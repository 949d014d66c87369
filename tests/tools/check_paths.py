"""eddy serve and eddy connect on a loopback device that takes less: real sockets, real errors.

Each check has a network namespace of its own. Who may not make one sees a notice, and no fault.
"""
import json
import subprocess
import time

from harness import LIMIT_S, Process, Server, Wrong, check, expect, expect_all_kept, expect_true

IP_SIZE = 28  # of the headers of IPv4 and UDP, which an MTU counts, too
BEGUN_SIZE = 200 * 1000  # of a large message: datagrams have grown by then


class Loopback:
    """A network namespace with nothing but a loopback device."""

    def __init__(self, mtu):
        self.holder = subprocess.Popen(
            ['unshare', '--net', 'sh', '-c', 'ip link set lo up && echo up && exec sleep %d' %
             LIMIT_S], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.is_up = self.holder.stdout.readline() == 'up\n'
        self.through = ('nsenter', '--net', '--target', str(self.holder.pid))
        if self.is_up:
            self.set_mtu(mtu)
        else:
            print('# no network namespace may be made here: nothing is checked in one')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.communicate()

    def set_mtu(self, mtu):
        subprocess.run([*self.through, 'ip', 'link', 'set', 'lo', 'mtu', str(mtu)], check=True)

    def await_bytes(self, size):
        """Waits until so many have been sent."""
        for _ in range(LIMIT_S * 100):
            with open('/proc/%d/net/dev' % self.holder.pid) as devices:
                sent = [line.split()[9] for line in devices if line.split()[0] == 'lo:']
            if int(sent[0]) >= size:
                return
            time.sleep(0.01)
        raise Wrong('%s bytes have been sent, not %d' % (sent, size))


def upload(loopback, server, *arguments):
    """Sends a large message, and a few small ones. @return the client, while it does."""
    return Process('connect', *server.way, '--guarantee', 'reliable_ordered', '--rate', '20',
                   '--large', '1048576', '--json', *arguments, through=loopback.through)


def result_of(client):
    result = json.loads(client.end()[0])
    expect_all_kept(result, ('reliable_ordered',))
    expect('the large message', result['large']['kept'], True)
    return result


@check
def datagrams_become_as_large_as_the_device_takes():
    for mtu, size in ((65536, 1452), (1452 + IP_SIZE, 1452), (1400, 1326), (1300, 1200)):
        with Loopback(mtu) as loopback:
            if not loopback.is_up:
                return
            with Server('--max-message', '1048576', through=loopback.through) as server:
                with upload(loopback, server, '--duration', '3') as client:
                    result = result_of(client)
        expect('%d: size' % mtu, result['datagram_size'], size)
        expect('%d: black holes' % mtu, result['counters']['black_holes'], 0)


@check
def a_device_that_takes_less_all_at_once_costs_nothing():
    with Loopback(1500) as loopback:
        if not loopback.is_up:
            return
        with Server('--max-message', '1048576', through=loopback.through) as server:
            with upload(loopback, server, '--duration', '3', '--loss', '1', '--rtt',
                        '100') as client:
                loopback.await_bytes(BEGUN_SIZE)
                loopback.set_mtu(1300)
                result = result_of(client)
    counters = result['counters']
    expect_true('a probe passed', counters['size_probes_sent'] > counters['size_probes_lost'])
    expect('black holes', counters['black_holes'], 1)
    expect('size', result['datagram_size'], 1200)
