"""eddy bench: what it measures, how it says so, and no figure that it did not measure."""
import json

from harness import check, check_alone, expect, expect_true, run

SHORT = ('--repeat', '1', '--seconds', '0.1', '--warm', '0.1')
UNITS = {'W1': 'ns/message', 'W2': 'ns/message', 'W3': 'ns/KiB', 'W4': 'us/client/s', 'W5': 'us',
         'W6': 'us/connection', 'idle': 'ns/poll'}


@check_alone
def bench_measures_each_work_and_says_it_in_json():
    for work, unit in UNITS.items():
        out, _ = run('bench', work, *SHORT, '--peers', 'tcp,udp', '--clients', '4', '--json')
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
def bench_refuses_what_it_does_not_know_and_prints_no_figure():
    for arguments, code, say in ((('W9',), 2, 'no work is called W9'),
                                 (('W1', '--peers', 'pigeon'), 1, 'no system is called pigeon')):
        out, err = run('bench', *arguments, code=code)
        expect_true(err, say in err)
        expect('a figure', out, '')
