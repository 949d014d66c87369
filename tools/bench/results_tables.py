"""The tables of the results page, out of results.json."""

NOT_MEASURED = 'not measured'

# A row of targets: what is asked; the peers' best and the limit, as in the references; then
# (run, figure, system) and what it must be. MOST: at most; LEAST: at least; both of a number.
MOST, LEAST = 'at most', 'at least'
CPU, SERVER = 'CPU of both ends', "server's CPU"
P99, P999 = 'delay, 99 %', 'delay, 99.9 %'
LATE = "later than the bound's 99 %"
SHARE = 'used of what the path delivers'
BACK = "all has come, after the path's return"
TRIP, TRIP_CPU = 'round trip, median', 'CPU of both ends'
MEMORY = "server's memory"

TARGETS = [  # what, peers, limit, run, figure, how, target
    ('W1: 64 bytes, reliable, ns a message', 'TCP 50, KCP 430, ENet 500, yojimbo 950, GNS 1,270',
     '52 in the clear, ~90 with AES', 'W1', CPU, MOST, 125),
    ('W1 without GSO and GRO', '', '', 'W1', (CPU, 'eddy-plain'), MOST, 450),
    ('W1 beside ENet, times eddy', '', '', 'W1', (CPU, 'enet', 'eddy'), LEAST, 4),
    ('W2: 64 bytes, unreliable, ns a message', 'ENet 430-510, GNS 870-970, yojimbo 1,330',
     '50 in the clear', 'W2', CPU, MOST, 120),
    ('W2: delivered, %', '', '', 'W2', 'delivered', LEAST, 99.9),
    ('W3: 64 KiB, ns a KiB', 'TCP 400, KCP 3,700, ENet 5,000, GNS 7,300-8,500',
     '335 in the clear + ~1,150 AES', 'W3', CPU, MOST, 1900),
    ('W3: MB a second', '', '', 'W3', 'rate', LEAST, 500),
    ('W4: 1,000 clients, us a client and second', 'ENet 132, TCP 240, GNS 312-409, yojimbo 623',
     '94 in the clear', 'W4-1000', SERVER, MOST, 125),
    ('W4 beside ENet, times eddy', '', '', 'W4-1000', (SERVER, 'enet', 'eddy'), LEAST, 1),
    ('W4: reliable, %', '', '', 'W4-1000', 'reliable', LEAST, 100),
    ('W4: unreliable up, %', 'ENet 75-83', '', 'W4-1000', 'unreliable up', LEAST, 100),
    ('W4: unreliable down, %', '', '', 'W4-1000', 'unreliable down', LEAST, 100),
    ('W4: waking for each datagram', 'ENet 349, GNS 419', '', 'W4-packet', SERVER, MOST, 210),
    ("W4: memory, KiB a client: slope from 1,000 to 2,000, as the peers'",
     'KCP 4.5, GNS 12, yojimbo 70', '', 'W4-growth', MEMORY, MOST, 4),
    ('W4: memory, KiB a client: whole process at 1,000', '', '', 'W4-1000', MEMORY, MOST, 4),
    ('W4 at 12 Hz: growth from 1,000 to 4,000, times', '', '', ('W4-4000', 'W4-1000-slow'), SERVER,
     MOST, 1.15),
    ('W5: busy, us a round trip', 'TCP 7.3, KCP 8.0, ENet 12.6, GNS 24, yojimbo 30', '5.4', 'W5',
     TRIP, MOST, 9),
    ('W5: us of CPU a round trip', 'TCP 15, KCP 16, ENet 26, GNS 50, yojimbo 61', '13', 'W5',
     TRIP_CPU, MOST, 17),
    ('W5: asleep, us above bare UDP', '', '', 'W5-wait', (TRIP, 'eddy', '-udp'), MOST, 5),
    ('W6: us a connection', 'ENet 13 in the clear, yojimbo 168, GNS 275-300', '~92', 'W6', SERVER,
     MOST, 130),
    ('W6: 1,000 one after another, s', 'yojimbo 101', '', 'W6-turn', 'all connected after', MOST,
     0.5),
]
PEERS_L1 = {1: 'KCP tuned 85, yojimbo 126, ENet 99, GNS 143', 5: 'KCP 93, yojimbo 193, ENet 428',
            10: 'KCP 145, yojimbo 243, ENet 939', 20: 'KCP 226, yojimbo 360, ENet 5,371'}
for loss in (1, 5, 10, 20):
    TARGETS += [
        ('L1: %d %% lost, 99 %%, ms above the bound' % loss, PEERS_L1[loss], '0', 'L1-%d' % loss,
         (P99, 'eddy', '-bound'), MOST, 5),
        ('L1: %d %% lost, 99.9 %%, ms above the bound' % loss, '', '0', 'L1-%d' % loss,
         (P999, 'eddy', '-bound'), MOST, 16.7),
        ("L1: %d %% lost, later than the bound's 99 %%, %% above the bound" % loss, '', '0',
         'L1-%d' % loss, (LATE, 'eddy', '-bound'), MOST, 0.1),
        ('L1: %d %% lost, copies, times the bound' % loss, '', '1', 'L1-%d' % loss,
         ('copies', 'eddy', 'bound'), MOST, 1.25)]
TARGETS += [
    ('L1: 5 % lost, bytes a message', 'yojimbo 461-519 always', '', 'L1-5', 'bytes', MOST, 370),
    ('L1: nothing lost, bytes a message', '', '', 'L1-0', 'bytes', MOST, 165)]
for loss, peers in ((0, 'GNS 93 by hand, KCP 67, ENet 50, yojimbo 34'),
                    (1, 'GNS 93 by hand, KCP 53, ENet 49'), (5, 'GNS 93 by hand, KCP 47, ENet 41')):
    run = 'L3-%d' % loss
    TARGETS += [('L3: %d %% lost, %% of what the path delivers' % loss, peers, '95', run, SHARE,
                 LEAST, 92),
                ('L3: %d %% lost, drops' % loss, 'GNS 354' if loss == 0 else '', '', run,
                 'drops of the queue', MOST, 100),
                ('L3: %d %% lost, queue, 95 %%, ms' % loss, '', '', run, 'queue, 95 %', MOST, 15),
                ('L3: %d %% lost, queue, 99 %%, ms' % loss, '', '', run, 'queue, 99 %', MOST, 25)]
TARGETS += [
    ('L3: two flows, what one has more, %% (%d %% lost)' % loss, '', '0', 'L3-flows-%d' % loss,
     'what one has more, of their mean', MOST, 10) for loss in (0, 5)]
TARGETS += [
    ('L3 beside TCP, its share, %', '', '50', 'L3-tcp', 'share of what both get', LEAST, 35),
    ('L3 beside TCP, no more than, %', '', '50', 'L3-tcp', 'share of what both get', MOST, 65),
    ('A poll with 10,000 idle clients, times one with 10', '', '1', 'idle', 'all against 10', MOST,
     2),
    ('L4: 99 %, ms', 'GNS lanes 27-77, KCP 65-12,500, ENet 16,700', '25', 'L4', P99, MOST, 35),
    ("L4: the bulk's share, %", 'GNS 87-93', '95', 'L4',
     "the bulk's share of what the path delivers", LEAST, 90),
    ('L5: caught up, ms', 'yojimbo 96-129, GNS 113-152, ENet 458-2,028', '43', 'L5', BACK, MOST,
     95),
    ('L5: both ways, ms', '', '43', 'L5-both', BACK, MOST, 95),
    ('L5: a single message, ms', '', '25', 'L5', 'a single message from before it', MOST, 95)]

DETAILS = {  # a table: its runs, and what stands before each
    'W': (('W1', 'W1'), ('W2', 'W2'), ('W3', 'W3'), ('W4-100', 'W4, 100 clients'),
          ('W4-1000', 'W4, 1,000 clients'), ('W4-1-slow', 'W4, 1 client, 12 Hz'),
          ('W4-10-slow', 'W4, 10 clients, 12 Hz'), ('W4-100-slow', 'W4, 100 clients, 12 Hz'),
          ('W4-1000-slow', 'W4, 1,000 clients, 12 Hz'),
          ('W4-2000-slow', 'W4, 2,000 clients, 12 Hz'),
          ('W4-4000', 'W4, 4,000 clients, 12 Hz'),
          ('W4-growth', 'W4, each client from 1,000 to 2,000, 12 Hz'),
          ('W4-packet', 'W4, waking for each datagram'), ('W5', 'W5, busy'),
          ('W5-wait', 'W5, asleep'), ('W6', 'W6, at once'), ('W6-turn', 'W6, in turn'),
          ('idle', 'a poll, 10,000 idle clients'), ('idle-4000', 'a poll, 4,000 idle clients')),
    'L1': tuple(('L1-%d%s' % (loss, kind), '%d %% lost%s' % (loss, text))
                for kind, text in (('', ''), ('-both', ', both ways'), ('-58', ', RTT 58 ms'),
                                   ('-burst', ' in bursts of 3'))
                for loss in (0, 1, 5, 10, 20) if loss > 0 or kind != '-burst'),
    'L1-real': (('L1-real-1', '1 % lost'), ('L1-real-5', '5 % lost'), ('L1-real-20', '20 % lost')),
    'L3': (('L3-tcp', 'L3, beside TCP'),
           ('L3-0', 'L3, nothing lost'), ('L3-1', 'L3, 1 % lost'), ('L3-5', 'L3, 5 % lost'),
           ('L3-flows-0', 'two flows, nothing lost'), ('L3-flows-5', 'two flows, 5 % lost'),
           ('L4', 'L4'), ('L5', 'L5'), ('L5-both', 'L5, both ways')),
}

SLOPES = {  # made of two runs: a figure of each client from the first's number to the second's
    'W4-growth': (MEMORY, ('W4-1000-slow', 1000), ('W4-2000-slow', 2000)),
}


def slope(few, few_count, many, many_count):
    """What each further client adds, of two spreads of a figure a client."""
    def rise(low, high):
        return (many[high] * many_count - few[low] * few_count) / (many_count - few_count)
    return {'median': rise('median', 'median'), 'min': rise('max', 'min'),
            'max': rise('min', 'max')}


def add_slopes(runs):
    """@return the runs, and those that are made of two of them."""
    made = dict(runs)
    for name, (figure, (first, few), (second, many)) in SLOPES.items():
        if first not in runs or second not in runs:
            continue
        low, high = (runs[run]['figures'][figure]['systems'] for run in (first, second))
        made[name] = {
            'date': min(runs[first]['date'], runs[second]['date']),
            'figures': {figure: {
                'unit': runs[first]['figures'][figure]['unit'],
                'systems': {system: slope(low[system], few, high[system], many)
                            for system in low if system in high}}}}
    return made


def plain(number):
    """As many digits as it is worth."""
    if abs(number) >= 100:
        return '{:,.0f}'.format(number)
    return '%.3g' % number if abs(number) < 10 else '%.1f' % number


def spread_of(data, run, figure, system='eddy'):
    """@return one figure's, empty if it is not measured."""
    systems = data['runs'].get(run, {}).get('figures', {}).get(figure, {}).get('systems', {})
    return systems.get(system, {})


def median(data, run, figure, system='eddy'):
    """@return one figure, or None."""
    return spread_of(data, run, figure, system).get('median')


def reached(data, run, figure):
    """@return what a row of targets asks for, or None: it is not measured."""
    if isinstance(run, tuple):  # a ratio of runs
        first, second = (median(data, name, figure) for name in run)
    elif isinstance(figure, str):
        return median(data, run, figure)
    elif len(figure) == 2:
        return median(data, run, *figure)
    else:  # a ratio of systems, or with a minus a difference
        first = median(data, run, figure[0], figure[1])
        second = median(data, run, figure[0], figure[2].lstrip('-'))
    if first is None or second is None:
        return None
    is_difference = isinstance(figure, tuple) and figure[2].startswith('-')
    return first - second if is_difference else first / second if second else None


def measured(data, run, figure):
    """@return the spread of what one row asks for, where that is a figure of one run; or None."""
    if isinstance(run, tuple) or (isinstance(figure, tuple) and len(figure) > 2):
        return None
    return spread_of(data, run, figure) if isinstance(figure, str) \
        else spread_of(data, run, *figure)


def meets(got, how, target):
    """Whether it does; a percentage or a difference may be off by what doubles are."""
    return got <= target + 1e-6 if how == MOST else got >= target - 1e-6


def mark_of(got, spread, how, target):
    """Whether it is so: at the median, and in the worst round."""
    worst = got if spread is None else spread['max' if how == MOST else 'min']
    if not meets(got, how, target):
        return '**no**'
    return 'yes' if meets(worst, how, target) else 'at the median'


def target_table(data):
    """What is asked, and whether it is so."""
    lines = ['| work | peers | limit | target | reached | |', '|---|---|---|---|---|---|']
    for what, peers, limit, run, figure, how, target in TARGETS:
        got = reached(data, run, figure)
        text, mark = NOT_MEASURED, ''
        if got is not None:
            spread = measured(data, run, figure)
            text = plain(got) if spread is None else cell(spread)
            mark = mark_of(got, spread, how, target)
        lines.append('| %s | %s | %s | %s %s | %s | %s |'
                     % (what, peers, limit, how, plain(target), text, mark))
    return '\n'.join(lines) + '\n'


def detail_table(data, runs):
    """Every figure of every system."""
    lines = []
    for run, title in runs:
        row = data['runs'].get(run)
        if row is None:
            lines.append('| %s | | %s | |' % (title, NOT_MEASURED))
            continue
        systems = next(iter(row['figures'].values()))['systems']
        for system in systems:
            cells = ', '.join(
                '%s %s %s' % (name, cell(figure['systems'][system]), figure['unit'])
                for name, figure in sorted(row['figures'].items())
                if figure['systems'][system]['median'] or system == 'eddy')
            lines.append('| %s | %s | %s | %s |' % (title, system, cells, row['date']))
    return '| work | system | median (least-most) | date |\n|---|---|---|---|\n' + \
        '\n'.join(lines) + '\n'


def cell(spread):
    """The median, and the spread where there is one."""
    middle, least, most = (plain(spread[key]) for key in ('median', 'min', 'max'))
    return middle if least == most else '%s (%s-%s)' % (middle, least, most)


def command_table(data):
    """How each was measured."""
    lines = ['- `%s`' % row['command'] for _, row in sorted(data['runs'].items())]
    machines = sorted({'%s, on %s' % (row['date'], row['machine'])
                       for row in data['runs'].values()})
    return 'Measured %s.\n\n%s\n' % ('; '.join(machines), '\n'.join(lines))


def tables(data):
    """@return [(the table's name in the page, its text)]."""
    whole = {**data, 'runs': add_slopes(data['runs'])}
    return [('targets', target_table(whole)), ('commands', command_table(data))] + \
        [(name, detail_table(whole, runs)) for name, runs in DETAILS.items()]
