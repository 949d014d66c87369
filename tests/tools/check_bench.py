"""eddy bench: what it measures, how it says so, and no figure that it did not measure."""
import json
import os
import tempfile

from harness import check, check_alone, expect, expect_true, run

SHORT = ('--repeat', '1', '--seconds', '0.1', '--warm', '0.1')
UNITS = {'W1': 'ns/message', 'W2': 'ns/message', 'W3': 'ns/KiB', 'W4': 'us/client/s', 'W5': 'us',
         'W6': 'us/connection', 'idle': 'ns/poll'}


@check_alone
def bench_measures_each_work_and_says_it_in_json():
    for work, unit in UNITS.items():
        clients = ('--clients', '4') if work in ('W4', 'W6', 'idle') else ()
        out, _ = run('bench', work, *SHORT, '--peers', 'tcp,udp', *clients, '--json')
        result = json.loads(out)
        expect('the work', (result['work'], result['unit']), (work, unit))
        expect('the systems', sorted(result['systems']), ['eddy', 'tcp', 'udp'])
        for name, spread in result['systems'].items():
            expect_true('%s %s: %s' % (work, name, spread),
                        0 < spread['min'] <= spread['median'] <= spread['max'])


@check_alone
def bench_says_it_in_a_table_beside_eddy():
    out, err = run('bench', 'W5', *SHORT, '--peers', 'udp')
    expect_true('no ratio: ' + out, ' x eddy' in out)
    expect('on no terminal, no progress', err, '')


@check
def bench_in_virtual_time_is_the_same_each_time_and_writes_its_values():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'series')
        for work, systems in (('L1', ['bound', 'eddy']), ('L3', ['eddy', 'new-reno']),
                              ('L4', ['eddy']), ('L5', ['eddy'])):
            arguments = ('bench', work, '--repeat', '1', '--json', '--series', path)
            first, _ = run(*arguments)
            second, _ = run(*arguments)
            expect(work, second, first)
            expect('the systems', sorted(json.loads(first)['systems']), systems)
            with open(path, encoding='utf-8') as lines:
                rows = [line.split() for line in lines]
            expect('the series', sorted({name for name, _, _ in rows}), systems)
            expect_true('%d values' % len(rows), len(rows) > 100)
            expect_true('a value below 0', all(float(ms) >= 0 for _, _, ms in rows))


@check_alone
def bench_in_real_time_has_a_figure_or_says_why_there_is_none():
    arguments = ('bench', 'L1', '--real', '--repeat', '1', '--seconds', '1', '--clients', '3',
                 '--json')
    out, err = run(*arguments, code=(0, 1))
    if out == '':
        expect_true(err, 'the machine is too busy' in err)
        return
    for name, spread in json.loads(out)['systems'].items():
        expect_true('%s %s: not a path of 25 ms' % (name, spread), 25 <= spread['min'])


@check
def bench_refuses_what_it_does_not_know_and_prints_no_figure():
    for arguments, code, say in ((('W9',), 2, 'no work is called W9'),
                                 (('W1', '--peers', 'pigeon'), 1, 'no system is called pigeon'),
                                 (('W1', '--loss', '20'), 2, 'W1 does not look at --loss'),
                                 (('L1', '--clients', '9'), 2, 'L1 does not look at --clients'),
                                 (('L3', '--both'), 2, 'L3 does not look at --both'),
                                 (('W1', '--real'), 2, 'W1 is not done in another time')):
        out, err = run('bench', *arguments, code=code)
        expect_true(err, say in err)
        expect('a figure', out, '')
