"""The plots of the results page, drawn by gnuplot out of results.json."""
import collections
import os
import subprocess

SVG_SIZE_MAX = 200 * 1000  # of all plots
QUEUE_STEP_S = 0.02
BLACKOUT_S = (9.5, 13.0)
LOSSES = (1, 5, 10, 20)
CPU_WORKS = (('W1', 'W1, ns a message'), ('W2', 'W2, ns a message'), ('W3', 'W3, ns a KiB'),
             ('W4-1000', 'W4, us a client and second'))
HEAD = ("set terminal svg size %d,%d font 'sans-serif,12' background '#ffffff'\n"
        "set output '%s'\nset grid\n")


def rows_of(lines):
    """@return {system: [(seconds, ms)]}."""
    rows = collections.defaultdict(list)
    for line in lines:
        name, seconds, ms = line.split()
        rows[name].append((float(seconds), float(ms)))
    return rows


def tail_of(rows):
    """@return [[ms, the share that comes later]], a point for each delay there is."""
    counts = collections.Counter(round(ms, 1) for _, ms in rows)
    left = total = len(rows)
    points = []
    for ms in sorted(counts):
        points.append([ms, round(left / total, 6)])
        left -= counts[ms]
        points.append([ms, round(left / total, 6)])
    return points


def longest_of(rows):
    """@return [[seconds, ms]], the longest queue of each step."""
    steps = {}
    for seconds, ms in rows:
        step = int(seconds / QUEUE_STEP_S)
        steps[step] = max(steps.get(step, 0), ms)
    return [[round(step * QUEUE_STEP_S, 2), round(ms, 2)] for step, ms in sorted(steps.items())]


def around_blackout(rows):
    """@return [[seconds, ms]], of the messages sent before, in and after it."""
    begin, end = BLACKOUT_S
    return [[round(seconds, 4), round(ms, 1)] for seconds, ms in sorted(rows)
            if begin <= seconds < end]


def reduce_series(run, lines):
    """@return {system: points}: what the plots show of a run's single values, and no more."""
    how = tail_of if run.startswith('L1') else longest_of if run.startswith('L3') \
        else around_blackout
    return {name: how(rows) for name, rows in rows_of(lines).items()}


def block(name, points):
    """Data within a script."""
    return '$%s << EOD\n%s\nEOD\n' % (name, '\n'.join(' '.join(map(str, p)) for p in points))


def latency(data):
    """Delays under loss: how many are later than that."""
    script, plots = '', []
    for colour, loss in enumerate(LOSSES, 1):
        for system, style in (('eddy', 'lw 2'), ('bound', 'dt 2')):
            points = data['series'].get('L1-%d' % loss, {}).get(system)
            if points is None:
                continue
            name = '%s%d' % (system, loss)
            script += block(name, [p for p in points if p[1] > 0])
            plots.append("$%s with lines lc %d %s title '%s, %d %% lost'"
                         % (name, colour, style, system, loss))
    return plots and (script + "set logscale y\nset yrange [0.0003:1]\nset xrange [20:160]\n"
                      "set xlabel 'delay, ms'\nset ylabel 'share of messages that come later'\n"
                      'plot ' + ', '.join(plots) + '\n')


def queue(data):
    """The bottleneck's queue while a bulk goes through it."""
    script, plots = '', []
    for system, points in sorted(data['series'].get('L3-0', {}).items()):
        name = system.replace('-', '_')
        script += block(name, points)
        plots.append("$%s with lines title '%s'" % (name, system))
    return plots and (script + "set xlabel 'seconds'\nset ylabel 'queue, ms'\n"
                      'plot ' + ', '.join(plots) + '\n')


def blackout(data):
    """What a message sent at that time waits, around the path's failure."""
    points = data['series'].get('L5', {}).get('eddy')
    return points and (block('delays', points) +
                       "set xlabel 'sent at, s'\nset ylabel 'delay, ms'\n"
                       "plot $delays with lines lw 2 title 'eddy'\n")


def cpu(data):
    """A panel for each work, a bar for each system."""
    script = 'set multiplot layout 2,2\nset style fill solid 0.6\nset boxwidth 0.7\n' \
             'set yrange [0:*]\nset xtics rotate by -35\nunset key\n'
    panels = 0
    for run, title in CPU_WORKS:
        figures = data['runs'].get(run, {}).get('figures', {})
        systems = next((f['systems'] for name, f in figures.items() if 'CPU' in name), None)
        if systems is None:
            continue
        panels += 1
        rows = sorted((spread['median'], name) for name, spread in systems.items())
        name = run.replace('-', '_')
        script += block(name, [[i, value, '"%s"' % system]
                               for i, (value, system) in enumerate(rows)])
        script += "set title '%s'\nplot $%s using 1:2:xtic(3) with boxes lc 1\n" % (title, name)
    return panels and script + 'unset multiplot\n'


PLOTS = {'latency': (latency, 760, 460), 'queue': (queue, 760, 360),
         'blackout': (blackout, 760, 360), 'cpu': (cpu, 760, 640)}


def draw(data, folder):
    """Draws every plot for which there are data."""
    os.makedirs(folder, exist_ok=True)
    size = 0
    for name, (make, width, height) in PLOTS.items():
        path = os.path.join(folder, name + '.svg')
        script = make(data)
        if script:
            subprocess.run(['gnuplot'], input=HEAD % (width, height, path) + script, text=True,
                           check=True)
        size += os.path.getsize(path) if os.path.exists(path) else 0
    if size > SVG_SIZE_MAX:
        raise SystemExit('the plots take %d bytes, more than %d' % (size, SVG_SIZE_MAX))
