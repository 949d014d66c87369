#!/usr/bin/env python3
"""The rules of this project that a compiler cannot see.

    tools/tidy.py              list what breaks a rule as FILE:LINE: TEXT; exit code 1 if any does
    tools/tidy.py --report     sizes of functions and files, and how much code is cloned
    tools/tidy.py --clones     where the cloned code stands
    tools/tidy.py --self-test  plant a fault for each rule and see that it is caught
"""
import os
import re
import statistics
import sys

AREAS = ('core', 'transport', 'sim', 'tools', 'tests')  # each may use what stands before it
MODEL = ('core', 'transport', 'sim')
PRODUCT = ('core', 'transport', 'sim', 'tools')
LINE_LENGTH_MAX = 100
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 800
CLONE_LINES_MIN = 6

# name, where it holds, the files that are exempt, what must not stand there, what to say
RULES = [
    ('clock', AREAS, r'core/clock\.c',
     r'\b(clock_gettime|gettimeofday|timespec_get|clock|ftime)\s*\(',
     'clocks are read in core/clock.c alone: take now_ns'),
    ('thread', AREAS, r'core/thread\.[ch]', r'\bpthread_\w+|<pthread\.h>|<threads\.h>',
     'threads are core/thread.h\'s alone'),
    ('crypto', AREAS, r'core/crypto\.c', r'<sodium(\.h|/)', 'libsodium is core/crypto.c\'s alone'),
    ('mimalloc', AREAS, r'core/alloc\.c', r'<mimalloc', 'mimalloc is core/alloc.c\'s alone'),
    ('malloc', PRODUCT, r'core/alloc\.c|tools/chat_input\.c',
     r'(?<![\w.>])(malloc|calloc|realloc|aligned_alloc|strdup|free)\s*\(',
     'memory comes from an eddy_allocator (core/alloc.h)'),
    ('socket', PRODUCT, r'transport/(udp_\w+|resolve)\.[ch]|tools/bench/.*',
     r'<(sys/socket|sys/un|netdb|netinet/\w+)\.h>',
     'sockets are the business of transport/udp_*.c and resolve.c alone'),
    ('float', MODEL, r'', r'\b(float|double)\b|<(math|tgmath|complex|fenv)\.h>',
     'model code counts in integers'),
    ('random', AREAS, r'', r'(?<![\w.>])(s?rand|rand_r|s?random|[dlm]rand48)\s*\(',
     'randomness comes from eddy_entropy or a seed'),
    ('unbounded', AREAS, r'', r'(?<![\w.>])(strcpy|strcat|v?sprintf|gets|strtok|alloca)\s*\(',
     'a function that cannot know where its memory ends'),
    ('print', MODEL, r'core/base\.c', r'(?<![\w.>])(v?f?printf|f?puts|perror|putchar)\s*\(',
     'a library does not print'),
]
COMMENT_OR_TEXT = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]*)"')
PUBLIC_HEADER = re.compile(r'core/(eddy(_\w+)?\.h)')  # installed side by side, without a folder


def area_of(path):
    return path.split('/')[0]


def without_comments(text, keep_text):
    """The source with comments blanked (and literals too unless kept), line for line."""
    def blank(match):
        found = match.group(0)
        if found[0] in '"\'':
            return found if keep_text else found[0] * 2
        return ' ' + '\n' * found.count('\n')
    return COMMENT_OR_TEXT.sub(blank, text)


def functions(text):
    """Every function as (name, first line, number of lines): a '{' alone at the margin opens it."""
    lines = text.split('\n')
    found = []
    opened = None
    for i, line in enumerate(lines):
        if line == '{':
            opened = i
            while opened > 0 and re.match(r'[\w*\s(].*[^;{}]$', lines[opened - 1]):
                opened -= 1
        elif line.startswith('}') and opened is not None:
            name = re.search(r'(\w+)\s*\(', '\n'.join(lines[opened:i]))
            found.append((name.group(1) if name else '?', opened + 1, i - opened + 1))
            opened = None
    return found


def include_findings(path, text):
    mine = AREAS.index(area_of(path)) if area_of(path) in AREAS else len(AREAS)
    for number, line in enumerate(text.split('\n'), 1):
        included = INCLUDE.match(line)
        if not included:
            continue
        if PUBLIC_HEADER.fullmatch(path) and PUBLIC_HEADER.fullmatch('core/' + included.group(1)):
            continue
        theirs = area_of(included.group(1))
        if theirs not in AREAS or '/' not in included.group(1) or '..' in included.group(1):
            yield number, 'include', 'write includes from the top: "core/base.h"'
        elif AREAS.index(theirs) > mine:
            yield number, 'dependence', '%s must not depend on %s' % (area_of(path), theirs)


def code_findings(path, text):
    """What breaks a rule about the meaning of C code."""
    plain = without_comments(text, keep_text=False)
    yield from include_findings(path, without_comments(text, keep_text=True))
    for name, areas, exempt, pattern, say in RULES:
        if area_of(path) not in areas or re.fullmatch(exempt, path):
            continue
        for number, line in enumerate(plain.split('\n'), 1):
            if re.search(pattern, line):
                yield number, name, say
    for name, first, count in functions(plain):
        if area_of(path) == 'tests':  # rows of a table are data, however many
            count -= len(re.findall(r'^\s*\{.*\},$', '\n'.join(
                plain.split('\n')[first - 1:first - 1 + count]), re.MULTILINE))
        if count > FUNCTION_LINES_MAX:
            yield first, 'function', '%s() has %d lines, at most %d' % (
                name, count, FUNCTION_LINES_MAX)


def findings(path, text):
    """Everything that breaks a rule in one file, as (line, rule, text)."""
    lines = text.split('\n')
    if len(lines) > FILE_LINES_MAX + 1:
        yield 1, 'file', '%d lines, at most %d' % (len(lines) - 1, FILE_LINES_MAX)
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_LENGTH_MAX and not line.lstrip('/*# ').startswith('http'):
            yield number, 'width', '%d columns, at most %d' % (len(line), LINE_LENGTH_MAX)
        if line != line.rstrip() or '\t' in line:
            yield number, 'blanks', 'a tab, or blanks at the end of the line'
    if path.endswith(('.c', '.h', '.cpp')):
        yield from code_findings(path, text)


def is_source(path):
    if path.endswith(('.c', '.h', '.cpp', '.py', 'SConscript', 'SConstruct')):
        return True
    with open(path, 'rb') as file:
        return os.access(path, os.X_OK) and file.read(2) == b'#!'


def project_files():
    """Every source of the project, relative to the top, and stray caches of Python."""
    files, caches = [], []
    for top in AREAS + ('.ci',):
        for folder, subfolders, names in os.walk(top):
            subfolders.sort()
            caches += [os.path.join(folder, name) for name in subfolders if name == '__pycache__']
            subfolders[:] = [name for name in subfolders if name != '__pycache__']
            files += [os.path.join(folder, name) for name in sorted(names)]
    return [path for path in ['SConstruct'] + files if is_source(path)], caches


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def code_lines(path):
    """Lines that say something, as (number, normalised text)."""
    text = without_comments(read(path), keep_text=True)
    for number, line in enumerate(text.split('\n'), 1):
        line = ' '.join(line.split())
        if re.search(r'\w', line) and not line.startswith('#include'):
            yield number, line


def clones(paths):
    """@return (code lines, cloned lines, [(path, line, path, line)] of where clones begin)."""
    first_seen, marked, begins, total = {}, set(), [], 0
    for path in paths:
        lines = list(code_lines(path))
        total += len(lines)
        previous = None
        for i in range(len(lines) - CLONE_LINES_MIN + 1):
            window = lines[i:i + CLONE_LINES_MIN]
            key = '\n'.join(text for _, text in window)
            original = first_seen.setdefault(key, (path, [number for number, _ in window]))
            if original[1][0] == window[0][0] and original[0] == path:
                previous = None
                continue
            if previous != original[0]:
                begins.append((path, window[0][0], original[0], original[1][0]))
            previous = original[0]
            marked.update((path, number) for number, _ in window)
            marked.update((original[0], number) for number in original[1])
    return total, len(marked), begins


def report(paths):
    c_paths = [path for path in paths if path.endswith(('.c', '.h'))]
    sizes = sorted((count, '%s %s()' % (path, name)) for path in c_paths
                   for name, _, count in functions(without_comments(read(path), False)))
    files = sorted((read(path).count('\n'), path) for path in c_paths)
    if not sizes or not files:
        print('no functions yet')
        return
    total, cloned, _ = clones(c_paths)
    counts = [count for count, _ in sizes]
    print('functions %d: median %d lines, 9 of 10 within %d, longest %d (%s)' % (
        len(sizes), statistics.median(counts), counts[len(counts) * 9 // 10], *sizes[-1]))
    print('files     %d: longest %d lines (%s)' % (len(files), *files[-1]))
    print('code      %d lines, %.1f%% of them cloned' % (total, 100.0 * cloned / total))
    for areas, name in ((PRODUCT, 'source'), (('tests',), 'test')):
        print('%-9s %d lines' % (name, sum(count for count, path in files
                                           if area_of(path) in areas)))


PLANTED = [  # the rule that must be broken (None: none may be), path, text
    ('clock', 'sim/link.c', 'clock_gettime(CLOCK_MONOTONIC, &now);'),
    (None, 'core/clock.c', 'clock_gettime(CLOCK_MONOTONIC, &now);'),
    (None, 'sim/link.c', '/* clock_gettime( */ // rand()'),
    ('thread', 'transport/pump.c', 'pthread_create(&t, NULL, run, NULL);'),
    ('thread', 'tests/unit/x_test.c', '#include <pthread.h>'),
    (None, 'core/thread.h', '#include <pthread.h>'),
    ('crypto', 'transport/noise.c', '#include <sodium.h>'),
    (None, 'core/crypto.c', '#include <sodium.h>'),
    ('mimalloc', 'tests/unit/x_test.c', '#include <mimalloc.h>'),
    ('malloc', 'core/map.c', '    char *a = malloc(3);'),
    ('malloc', 'tools/eddy.c', '    free(a);'),
    (None, 'core/map.c', '    allocator->free(context, a, 3); ed_alloc_free(a); x.free(a);'),
    (None, 'core/alloc.c', '    free(a);'),
    ('socket', 'transport/manager.c', '#include <sys/socket.h>'),
    (None, 'transport/udp_posix_batch.c', '#include <sys/socket.h>'),
    (None, 'transport/resolve.c', '#include <netdb.h>'),
    ('float', 'transport/rtt.c', '    double x = 1;'),
    ('float', 'sim/delay.c', '#include <math.h>'),
    (None, 'transport/rtt.c', '    text("double"); int doubled;'),
    (None, 'tools/bench/send.c', '    double x = 1;'),
    ('random', 'sim/link.c', '    return rand() % 3;'),
    (None, 'sim/link.c', '    return next_random(link) % 3 + entropy->random(x);'),
    ('unbounded', 'tools/eddy.c', '    strcpy(a, b);'),
    ('print', 'transport/conn.c', '    printf("x");'),
    (None, 'transport/conn.c', '    snprintf(a, sizeof(a), "printf(");'),
    ('dependence', 'core/map.c', '#include "transport/conn.h"'),
    ('dependence', 'transport/conn.c', '#include "sim/link.h"'),
    ('dependence', 'sim/link.c', '#include "tools/cmd.h"'),
    ('dependence', 'tools/eddy.c', '#include "tests/support/check.h"'),
    (None, 'sim/link.c', '#include "transport/conn.h"'),
    (None, 'tests/unit/x_test.c', '#include "tests/support/check.h"'),
    ('include', 'core/map.c', '#include "map.h"'),
    (None, 'core/eddy_keys.h', '#include "eddy_base.h"'),
    ('include', 'core/eddy_keys.h', '#include "base.h"'),
    ('include', 'core/map.c', '#include "eddy_base.h"'),
    ('include', 'core/map.c', '#include "core/../sim/link.h"'),
    ('width', 'core/map.c', 'x' * 101),
    (None, 'core/map.c', 'x' * 100),
    ('blanks', 'core/map.c', 'int a; '),
    ('blanks', 'tools/tidy.py', '\ta = 1'),
    ('file', 'core/map.c', 'int a;\n' * 801),
    (None, 'core/map.c', 'int a;\n' * 800),
    ('function', 'core/map.c', 'int a(int b,\n      int c)\n{\n' + '    b++;\n' * 57 + '}\n'),
    (None, 'core/map.c', 'int a(int b,\n      int c)\n{\n' + '    b++;\n' * 56 + '}\n'),
    (None, 'tests/unit/x_test.c', 'int a(void)\n{\n' + '    {1, 2},\n' * 70 + '}\n'),
    ('function', 'tests/unit/x_test.c', 'int a(void)\n{\n' + '    {1, 2};\n' * 70 + '}\n'),
]


def self_test():
    """Prints one line for each planted fault. @return whether all were judged rightly."""
    good = True
    for rule, path, text in PLANTED:
        found = {name for _, name, _ in findings(path, text)}
        right = found == ({rule} if rule else set())
        good = good and right
        print('%s - tidy: %s in %s' % ('ok' if right else 'not ok', rule or 'nothing', path))
        if not right:
            print('    found %s in %r' % (sorted(found), text[:60]))
    return good


def main(arguments):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
    if arguments == ['--self-test']:
        return 0 if self_test() else 1
    paths, caches = project_files()
    if arguments == ['--report']:
        report(paths)
        return 0
    if arguments == ['--clones']:
        for clone in clones([path for path in paths if path.endswith(('.c', '.h'))])[2]:
            print('%s:%d: as %s:%d' % clone)
        return 0
    if arguments:
        print(__doc__)
        return 0 if arguments in (['--help'], ['-h']) else 2
    found = ['%s:%d: %s [%s]' % (path, line, say, rule) for path in paths
             for line, rule, say in findings(path, read(path))]
    found += ['%s:1: a cache of Python [cache]' % path for path in caches]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
