"""A server of the page, and eddy connect."""
import json

import frames as f
import handshake as h
from harness import PROMISES, Process, check, expect, expect_all_kept, expect_true, total
from mini_server import Server
from sodium import has_aes, random
from wire import CIPHERS


class Connect(Process):
    """eddy connect, with its result as JSON."""

    def __init__(self, *arguments):
        super().__init__('connect', '--json', *arguments)

    def has_ended(self):
        return self.process.poll() is not None

    def result(self):
        return json.loads(self.end()[0])


def way(server):
    """The words that lead eddy connect to a server of ours."""
    return server.address, '--server-key', server.key_text()


def served(server, *arguments):
    """What eddy connect says, once our server has served it."""
    with Connect(*way(server), '--duration', '1', *arguments) as client:
        server.run(client.has_ended)
        return client.result()


@check
def every_message_of_eddy_connect_is_sent_back_in_both_ciphers():
    for suite in (1, 2) if has_aes else (1,):
        with Server() as server:
            server.suites = [suite]
            result = served(server, '--rate', '200')
            expect('suite', server.peer.out_keys.cipher, CIPHERS[suite])
        expect_true('it never asked what time it is', f.TIME in server.peer.log)
        expect_all_kept(result)
        expect('arrived', total(result, 'arrived'), total(result, 'sent'))
        expect('undelivered', result['undelivered'], 0)
        for count in ('dropped_forged', 'dropped_malformed', 'dropped_replayed'):
            expect(count, result['counters'][count], 0)
        expect('close', server.peer.closed, f.Close(0, 0, b''))


@check
def messages_in_parts_are_sent_back():
    for size, names in ((1151, PROMISES), (5000, PROMISES), (100000, ('reliable_ordered',))):
        with Server() as server:
            result = served(server, '--size', str(size), '--rate', '20', '--guarantee',
                            'all' if names is PROMISES else names[0])
        expect_all_kept(result, names)
        expect('%d bytes: arrived' % size, total(result, 'arrived'), total(result, 'sent'))


@check
def a_bad_network_is_overcome():
    with Server() as server:
        result = served(server, '--rate', '200', '--loss', '10', '--rtt', '30', '--reorder', '10',
                        '--duplicate', '5')
    expect_all_kept(result)
    expect_true('nothing was sent again', result['resent'] > 0)


@check
def the_client_follows_key_updates():
    with Server() as server, Connect(*way(server), '--duration', '3', '--rate', '100') as client:
        server.run(lambda: server.peer is not None and len(server.peer.received) > 100)
        server.peer.update_key()
        server.run(client.has_ended)
        result = client.result()
        expect("the client's phase", server.peer.in_keys.phase, 1)
    expect_all_kept(result)
    expect('forged', result['counters']['dropped_forged'], 0)


@check
def a_client_with_a_wrong_key_gets_no_answer_and_says_so():
    with Server() as server:
        text = server.key_text()
        server.public = random(32)
        with Process('connect', server.address, '--server-key', text) as client:
            server.run(lambda: client.process.poll() is not None)
            _, err = client.end(code=1)
    expect_true('no reason: ' + err, 'did not answer' in err)


@check
def a_server_that_has_lost_its_state_is_noticed_at_once():
    with Server() as server, Connect(*way(server), '--duration', '20', '--rate', '100') as client:
        server.run(lambda: server.peer is not None and len(server.peer.received) > 50)
        server.forget()
        server.run(client.has_ended)
        _, err = client.end(code=1)
    expect_true('no reason: ' + err, 'lost its state' in err)


@check
def a_refusal_is_understood():
    with Server() as server, Connect(*way(server)) as client:
        server.refused = h.Refused(2, 7, b'banned')
        server.run(client.has_ended)
        _, err = client.end(code=1)
    expect_true('no reason: ' + err, 'refused' in err)


@check
def a_server_of_other_versions_is_understood():
    with Server() as server:
        server.versions = [2, 3]
        with Connect(*way(server), '--timeout', '1') as client:
            server.run(client.has_ended)
            _, err = client.end(code=1)
    expect_true('no reason: ' + err, 'other versions' in err)
