"""Compiler flags, the check for libraries, and short lines for what the build does."""
import os
import platform

WARNINGS = '''
    -Wall -Wextra -Wformat=2 -Wshadow -Wconversion -Wsign-conversion -Wcast-qual -Wpointer-arith
    -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wnull-dereference -Wdouble-promotion -Wimplicit-fallthrough -Wswitch-enum -Werror
'''.split()
# No -Wlogical-op: it rejects `EAGAIN || EWOULDBLOCK`, which POSIX lets differ and Linux does not.
WARNINGS_OF = {
    'gcc': '''
        -Wduplicated-cond -Wduplicated-branches -Walloca -Wtrampolines -Warith-conversion
        -Wstringop-overflow=4 -Wcast-align=strict
    '''.split(),
    'clang': ['-Wcast-align'],
}
# A sanitizer's own checks look to gcc like paths that hold null or uninitialised values.
GCC_SANITIZED = '-Wno-null-dereference -Wno-maybe-uninitialized -Wno-stringop-overflow'.split()

HARDEN = '''
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
'''.split()
HARDEN_OF = {
    'gcc': ['-ftrivial-auto-var-init=zero'],
    'clang': ['-ftrivial-auto-var-init=zero',
              '-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang'],
}
# What gcc chooses for every x86, `rep stos`, takes longer to begin than a small struct to clear.
CLEAR = '-mmemset-strategy=vector_loop:256:noalign,libcall:-1:noalign'
GCC_KEY_FILES = ['-fzero-call-used-regs=used-gpr']  # leaves no key in a register
GENERATE = '''
    -fno-strict-aliasing -fno-strict-overflow -fno-delete-null-pointer-checks -fno-plt -fPIC
    -fvisibility=hidden -ffunction-sections
'''.split()
WHOLE = '-flto=auto'
LINK = '-Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed,--gc-sections'

# libc stands before mimalloc because both define malloc and the first in line wins.
LIBRARIES = ['sodium', 'c', 'mimalloc']
TOOL_LIBRARIES = ['jansson', 'edit']  # of the eddy program alone
NEEDED = {  # library: (header, a function of it, Debian's package)
    'sodium': ('sodium.h', 'sodium_init', 'libsodium-dev'),
    'mimalloc': ('mimalloc.h', 'mi_version', 'libmimalloc-dev'),
    'jansson': ('jansson.h', 'json_object', 'libjansson-dev'),
    'edit': ('histedit.h', 'history_init', 'libedit-dev'),
}
SAY = {  # what the build does: how a line about it reads
    'CC': 'compile $TARGET', 'SHCC': 'compile $TARGET', 'LINK': 'link    $TARGET',
    'SHLINK': 'link    $TARGET', 'AR': 'archive $TARGET', 'RANLIB': 'index   $TARGET',
}


def add_flags(env):
    """Sets the flags of the chosen variant and compiler."""
    compiler = env['compiler']
    own = list(env['variant_flags'])
    release = env['variant'] == 'release'
    env.Replace(CCFLAGS=['-std=c11'] + own + GENERATE + WARNINGS + WARNINGS_OF[compiler],
                CPPDEFINES=['_GNU_SOURCE'], LINKFLAGS=own + ['-pie', LINK])
    if env['sanitized'] and compiler == 'gcc':
        env.Append(CCFLAGS=GCC_SANITIZED)
    if release:
        env.Append(CCFLAGS=HARDEN + HARDEN_OF[compiler])
    if release and platform.machine() == 'x86_64':
        env.Append(CCFLAGS=['-fcf-protection=full'] + ([CLEAR] if compiler == 'gcc' else []))
    if env['system_alloc']:
        env.Append(CPPDEFINES=['ED_ALLOC_SYSTEM'])
    if env['keylog']:
        env.Append(CPPDEFINES=['ED_KEYLOG'])
    libraries = [lib for lib in LIBRARIES if not (lib == 'mimalloc' and env['system_alloc'])]
    env.Replace(LIBS=libraries, link_private=libraries, tool_libraries=list(TOOL_LIBRARIES))
    env['key_flags'] = GCC_KEY_FILES if release and compiler == 'gcc' else []
    env['has_keys'] = False
    # gcc alone: what clang leaves for the link needs a plugin of LLVM's, or its linker.
    env['optimizes_whole'] = release and compiler == 'gcc'
    if not env['verbose']:
        env.Replace(**{tool + 'COMSTR': line for tool, line in SAY.items()})


def check_libraries(env):
    """Ends the build, naming what to install, unless all that we link is there."""
    plain = env.Clone(CCFLAGS=[], LINKFLAGS=[], LIBS=[])
    configure = plain.Configure(conf_dir=env['build_dir'] + '/conf',
                                log_file=env['build_dir'] + '/conf/log')
    wanted = env['LIBS'] + env['tool_libraries']
    missing = [package for library, (header, function, package) in NEEDED.items()
               if library in wanted and not configure.CheckLibWithHeader(
                   library, header, 'c', '%s();' % function, autoadd=False)]
    # A peer of the benchmarks; without it they say so.
    if configure.CheckLibWithHeader('enet', 'enet/enet.h', 'c', 'enet_initialize();',
                                    autoadd=False):
        env.Append(CPPDEFINES=['ED_HAVE_ENET'])
        env['tool_libraries'].append('enet')
    configure.Finish()
    if missing:
        print('scons: install %s first (tools/test does)' % ' '.join(missing))
        env.Exit(2)


def compile_all(env, pattern, key_files=()):
    """Objects of every source that the pattern finds."""
    keyed = env.Clone(has_keys=True)
    keyed.Append(CCFLAGS=env['key_flags'])
    return [(keyed if source.name in key_files else env).Object(source)
            for source in env.Glob(pattern, source=True, strings=False)]


def compile_whole(env, objects):
    """Objects of CompileAll, again, but with their code left to the link of a WholeLink.

    They are for what we link: another compiler, and even another gcc, cannot read them. Those with
    keys stay as they are, because what is inlined into other files would miss their flags.
    """
    if not env['optimizes_whole']:
        return objects
    whole = env.Clone()
    whole.Append(CCFLAGS=[WHOLE])
    return [node if node[0].get_env()['has_keys'] else
            whole.Object(os.path.splitext(node[0].abspath)[0] + '.whole.o', node[0].sources[0])
            for node in objects]


def whole_link(env):
    """An environment that links objects of CompileWhole, optimizing over all of them."""
    if not env['optimizes_whole']:
        return env.Clone()
    flags = [flag for flag in env['CCFLAGS'] if not flag.startswith('-W')]
    return env.Clone(LINKFLAGS=flags + [WHOLE] + env['LINKFLAGS'])


def generate(env):
    env.AddMethod(add_flags, 'AddFlags')
    env.AddMethod(check_libraries, 'CheckLibraries')
    env.AddMethod(compile_all, 'CompileAll')
    env.AddMethod(compile_whole, 'CompileWhole')
    env.AddMethod(whole_link, 'WholeLink')


def exists(env):
    return True
