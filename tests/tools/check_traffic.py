"""eddy serve and eddy connect: messages there and back."""
import json
import re
import signal
import time

from harness import (PROMISES, Process, Server, check, expect, expect_all_kept, expect_true, run,
                      total)


@check
def every_message_is_echoed_and_both_ends_count_the_same():
    with Server() as server:
        result = json.loads(run('connect', *server.way, '--rate', '200', '--duration', '1.5',
                                '--json')[0])
        served = json.loads(server.end(signal.SIGTERM)[0])
    expect_all_kept(result)
    sent = total(result, 'sent')
    expect_true('%d sent at 200 a second in 1.5 s' % sent, 150 <= sent <= 301)
    for name, flow in result['guarantees'].items():
        expect_true('%s has no fifth of %d' % (name, sent), abs(flow['sent'] * 5 - sent) <= 5)
        expect(name + ' arrived', flow['arrived'], flow['sent'])
        times = flow['round_trip_us']
        expect_true('percentiles out of order: %r' % times,
                    0 < times['p50'] <= times['p90'] <= times['p99'] <= times['max'])
    expect('a large message', result['large']['sent'], 0)
    expect('undelivered', result['undelivered'], 0)
    expect('echoed', served['echoed'], sent)
    for count in ('waited', 'dropped', 'not_echoed', 'undelivered'):
        expect(count, served[count], 0)
    expect('connections', served['connections'], 1)
    expect('messages accepted', result['counters']['messages_sent'], sent)


@check
def guarantees_are_sent_in_the_shares_that_are_asked_for():
    with Server() as server:
        result = json.loads(run('connect', *server.way, '--rate', '200', '--duration', '1',
                                '--guarantee', 'unreliable:3,reliable_sequenced', '--json')[0])
    expect_all_kept(result, ('unreliable', 'reliable_sequenced'))
    three, one = (result['guarantees'][name]['sent'] for name in ('unreliable',
                                                                  'reliable_sequenced'))
    expect_true('%d are not three times %d' % (three, one), abs(three - 3 * one) <= 3)


@check
def a_bad_network_delays_and_loses_and_every_promise_is_kept():
    with Server() as server:
        result = json.loads(run('connect', *server.way, '--rate', '400', '--duration', '3',
                                '--loss', '20', '--rtt', '40', '--duplicate', '5', '--reorder',
                                '20', '--seed', '7', '--json')[0])
    expect_all_kept(result)
    expect_true('nothing was re-sent', result['resent'] > 0)
    for name, flow in result['guarantees'].items():
        expect_true(name + ' is faster than the network', flow['round_trip_us']['p50'] >= 40000)
        if 'lost' not in PROMISES[name][1]:
            expect_true(name + ': nothing was lost', flow['lost'] > 0)
        # A reliable message goes along again before the next of its lane, and hardly comes late.
        if name == 'unreliable':
            expect_true(name + ': nothing came late', flow['late'] > 0)


@check
def messages_of_every_size_that_fits_are_echoed():
    for size, guarantee in (('16', 'all'), ('1150', 'all'), ('1151', 'all'), ('16384', 'all'),
                            ('100000', 'reliable_unordered,reliable_ordered'),
                            ('1048576', 'reliable_ordered')):
        with Server() as server:
            result = json.loads(run('connect', *server.way, '--size', size, '--guarantee',
                                    guarantee, '--rate', '20', '--duration', '1', '--json')[0])
        expect_all_kept(result, PROMISES if guarantee == 'all' else guarantee.split(','))
        expect(size + ' bytes: arrived', total(result, 'arrived'), total(result, 'sent'))


@check
def a_large_message_arrives_beside_the_others():
    with Server() as server:
        result = json.loads(run('connect', *server.way, '--rate', '50', '--duration', '1',
                                '--large', '1048576', '--loss', '1', '--rtt', '10', '--json')[0])
    expect_all_kept(result)
    large = result['large']
    expect('large', {name: large[name] for name in ('kept', 'size', 'sent', 'arrived', 'damaged')},
           {'kept': True, 'size': 1048576, 'sent': 1, 'arrived': 1, 'damaged': 0})
    expect_true('faster than the network', large['time_us'] >= 10000)
    expect('bits a second', large['bits_per_s'], 1048576 * 8 * 1000000 // large['time_us'])


@check
def a_slow_large_message_is_waited_for():
    with Server() as server:
        result = json.loads(run('connect', *server.way, '--rate', '10', '--duration', '0.5',
                                '--large', '1048576', '--loss', '20', '--rtt', '400', '--json')[0])
    expect_all_kept(result)
    expect('large kept', result['large']['kept'], True)
    expect_true('too fast to show anything', result['large']['time_us'] > 6000000)


@check
def a_message_that_the_server_does_not_allow_is_a_failure():
    with Server('--max-message', '65536') as server:
        out, err = run('connect', *server.way, '--large', '65537', '--duration', '1', '--json',
                       code=1)
    expect('large kept', json.loads(out)['large']['kept'], False)
    expect_true('no reason: ' + err, server.address in err or 'promise' in err)


@check
def a_server_without_room_waits_and_keeps_every_promise():
    with Server('--max-message', '2000', '--budget', '4000') as server:
        result = json.loads(run('connect', *server.way, '--rate', '1000', '--size', '500',
                                '--rtt', '40', '--duration', '2', '--json')[0])
        served = json.loads(server.end(signal.SIGTERM)[0])
    expect_all_kept(result)
    expect_true('nothing waited', served['waited'] > 0)
    expect_true('nothing was dropped', served['dropped'] > 0)
    expect('not echoed', served['not_echoed'], 0)
    expect('echoed and dropped', served['echoed'] + served['dropped'],
           served['counters']['messages_delivered'])


@check
def sigterm_and_sigint_end_a_client_with_every_promise_kept():
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        with Server() as server, Process('connect', *server.way, '--rate', '500', '--loss', '5',
                                         '--rtt', '40', '--duration', '0', '--json') as client:
            time.sleep(1)
            result = json.loads(client.end(signal_number)[0])
        expect_all_kept(result)
        expect('undelivered', result['undelivered'], 0)


@check
def sigterm_ends_a_server_amid_traffic_with_everything_accepted_delivered():
    with Server() as server, Process('connect', *server.way, '--rate', '500', '--guarantee',
                                     'reliable_ordered', '--loss', '5', '--rtt', '40',
                                     '--json') as client:
        time.sleep(1)
        served = json.loads(server.end(signal.SIGTERM)[0])
        out, err = client.end(code=1)
        result = json.loads(out)
    expect_true('no reason: ' + err, 'closed by the peer' in err)
    expect_true('nothing was echoed', served['echoed'] > 0)
    expect('undelivered', served['undelivered'], 0)
    expect('arrived at the client', result['guarantees']['reliable_ordered']['arrived'],
           served['echoed'])


@check
def a_server_ends_by_itself_after_its_duration():
    started = time.monotonic()
    out, _ = run('serve', '--port', '0', '--duration', '1.2')
    expect_true('too soon', time.monotonic() - started >= 1.2)
    lines = out.splitlines()
    expect_true('no address: ' + lines[0], re.fullmatch(r'listening on \S+:\d+', lines[0]))
    expect_true('no key: ' + lines[1], re.fullmatch(r'server key [\w-]{48}', lines[1]))
    expect_true('not told that it is for this run: ' + lines[2], 'for this run' in lines[2])
    expect('the line of the first second', lines[3],
           '0 connections  0 messages/s  0 datagrams/s  0.0 % lost')


@check
def shards_share_the_clients_and_together_have_served_all():
    with Server('--shards', '4') as server:
        for _ in range(6):
            expect_all_kept(json.loads(run('connect', *server.way, '--rate', '200', '--duration',
                                           '0.2', '--json')[0]))
        served = json.loads(server.end(signal.SIGTERM)[0])
    expect('shards', len(served['shards']), 4)
    expect('connections', sum(shard['connections'] for shard in served['shards']), 6)
    for count in ('messages_delivered', 'received_datagrams'):
        expect(count, sum(shard[count] for shard in served['shards']), served['counters'][count])


@check
def text_says_the_same_as_json():
    with Server() as server:
        out, _ = run('connect', *server.way, '--duration', '0.5', '--rate', '200', '--large',
                     '5000')
    for name, (promise, _) in PROMISES.items():
        row = re.search(r'^%s +(\d+) +(\d+) +0 +\S+ +\S+ +%s +yes$' % (name, promise), out,
                        re.MULTILINE)
        expect_true('no row of %s messages:\n%s' % (name, out), row)
        expect(name + ' arrived', row.group(1), row.group(2))
    expect_true('no row of the large message:\n' + out,
                re.search(r'^reliable_ordered +5000 .* whole and undamaged +yes$', out,
                          re.MULTILINE))
    expect_true('a table wider than 79 columns:\n' + out, max(map(len, out.splitlines())) <= 79)
