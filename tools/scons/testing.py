"""Running what was built: tests, fuzz targets, and the checks of the sources.

A test that passes leaves its output as NAME.log, and runs again only when something that it
depends on changes. One that fails leaves NAME.failed and shows it.
"""
import os
import subprocess

from SCons.Action import Action

SOURCE_FOLDERS = ('core', 'transport', 'sim', 'tools', 'tests')
LIMIT_S = 600       # for one test program; a unit test has less
UNIT_LIMIT_S = 60
FULL_FACTOR = 6     # EDDY_FULL=1 scales the seeds, and so the time
SANITIZER_OPTIONS = {
    'ASAN_OPTIONS': 'detect_stack_use_after_return=1:strict_string_checks=1',
    'UBSAN_OPTIONS': 'print_stacktrace=1',
    'TSAN_OPTIONS': 'halt_on_error=1:second_deadlock_stack=1',
}


def full():
    """Whether the long form of the tests was asked for."""
    return os.environ.get('EDDY_FULL', '') not in ('', '0')


def run(command, log_path, environment):
    """Runs a command into a log. @return its exit code."""
    with open(log_path, 'wb') as log:
        return subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, env=environment,
                               stdin=subprocess.DEVNULL)


def fixed_addresses(env):
    """What to put before a program that cannot bear the kernel's address randomisation."""
    command = ['setarch', os.uname().machine, '-R']
    if env['variant'] != 'tsan':
        return []
    try:
        works = subprocess.call(command + ['true'], stderr=subprocess.DEVNULL) == 0
    except OSError:
        works = False
    return command if works else []


def run_test(target, source, env):
    """Builder action: the test's log, or an error that shows it."""
    log_path = str(target[0])
    failed_path = os.path.splitext(log_path)[0] + '.failed'
    limit_s = env['limit_s'] * (FULL_FACTOR if full() else 1)
    command = fixed_addresses(env) + ['timeout', '-k', '5', str(limit_s), str(source[0])]
    code = run(command, failed_path, dict(os.environ, **SANITIZER_OPTIONS))
    if code == 0:
        os.replace(failed_path, log_path)
        return 0
    with open(failed_path, 'a', encoding='utf-8') as log:
        log.write('%s: %s\n' % (source[0], 'took longer than %d s' % limit_s if code in (124, 137)
                                else 'exit code %d' % code))
    with open(failed_path, encoding='utf-8', errors='replace') as log:
        print(log.read(), end='')
    return 1


def data_files(env, folder):
    """What the tests of a folder may read: every file there that is no source."""
    top = env.Dir('#tests/' + folder).abspath
    return [env.File(os.path.join(path, name))
            for path, _, names in sorted(os.walk(top)) for name in sorted(names)
            if not name.endswith(('.c', '.h'))]


def add_test(env, folder, program):
    """Runs the program under `scons test` and `scons test-FOLDER`."""
    log = env.Command(str(program[0]) + '.log', program,
                      Action(run_test, 'test    $SOURCE'),
                      limit_s=UNIT_LIMIT_S if folder == 'unit' else LIMIT_S)
    env.Depends(log, env.Value('full' if full() else 'quick'))
    env.Depends(log, data_files(env, folder))
    env.Alias('test-' + folder, log)
    env.Alias('tests', program)


def run_fuzz(target, source, env):
    """Builder action: fuzzes for fuzz_seconds, on a corpus kept under the build folder."""
    program = str(source[0])
    corpus = program + '.corpus'
    os.makedirs(corpus, exist_ok=True)
    code = run([program, '-max_total_time=%d' % env['fuzz_seconds'], '-timeout=10',
                '-rss_limit_mb=2048', '-artifact_prefix=%s.' % program, corpus],
               program + '.failed', dict(os.environ, **SANITIZER_OPTIONS))
    if code == 0:
        os.replace(program + '.failed', str(target[0]))
        return 0
    with open(program + '.failed', encoding='utf-8', errors='replace') as log:
        print(''.join(log.readlines()[-60:]), end='')
    return 1


def add_fuzz_target(env, program):
    """Builds the program, and runs it if fuzz_seconds says so, under `scons fuzz`."""
    env.Alias('fuzz', program)
    if env['fuzz_seconds'] > 0:
        log = env.Command(str(program[0]) + '.log', program,
                          Action(run_fuzz, 'fuzz    $SOURCE'))
        env.AlwaysBuild(log)
        env.Alias('fuzz', log)


def sources(env, *endings):
    """Every file of the project that ends so."""
    found = []
    for top in SOURCE_FOLDERS:
        for folder, _, names in sorted(os.walk(top)):
            found += [env.File(os.path.join(folder, name)) for name in sorted(names)
                      if name.endswith(endings)]
    return found


def add_checks(env):
    """`scons tidy`, `scons format`, and `scons check` for both and the tests."""
    tidy = env.Command(
        env['build_dir'] + '/tidy.log', sources(env, '.c', '.h', '.cpp', '.py', 'SConscript'),
        [Action('python3 tools/tidy.py --self-test > $TARGET'
                ' || { grep -A1 "^not" $TARGET; exit 1; }', 'tidy    $TARGET'),
         Action('python3 tools/tidy.py', None)])
    layout = env.Command(
        env['build_dir'] + '/format.log', sources(env, '.c', '.h', '.cpp'),
        Action('clang-format --dry-run --Werror $SOURCES > $TARGET 2>&1'
               ' || { sed -n "s/ error: .*/ run clang-format -i/p" $TARGET | sort -u -t: -k1,1;'
               ' exit 1; }', 'format  $TARGET'))
    env.Depends(layout, '.clang-format')
    env.Alias('tidy', tidy)
    env.Alias('format', layout)
    env.Alias('check', ['test', 'tidy', 'format'])


def generate(env):
    env.AddMethod(add_test, 'AddTest')
    env.AddMethod(add_fuzz_target, 'AddFuzzTarget')
    env.AddMethod(add_checks, 'AddChecks')


def exists(env):
    return True
