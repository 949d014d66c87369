"""What programs link, what install puts where, and how uninstall takes it away."""
import os

from SCons.Action import Action

# Only programs that use C++ keep it; found by its file, because C's users lack the other name.
CPLUSPLUS = '-Wl,--push-state,--as-needed,-l:libstdc++.so.6,--pop-state'


def with_eddy(env, first=()):
    """An environment whose programs link libeddy statically, after the libraries in `first`."""
    own = [env[name] for name in ('libeddy_sim', 'libeddy') if name in env]
    return env.Clone(LIBS=list(first) + own + env['LIBS'])


def with_whole_eddy(env, first=()):
    """The same, with libeddy optimized as a whole, for programs that add env['eddy_whole']."""
    own = [env[name] for name in ('libeddy_sim',) if name in env]
    return env.WholeLink().Clone(LIBS=list(first) + own + env['LIBS'])


def write_pc(target, source, env):
    """Builder action: eddy.pc of this prefix, version and allocator."""
    with open(str(source[0]), encoding='utf-8') as template:
        text = template.read()
    private = ' '.join(['-l' + library for library in env['link_private']])
    # g++ moves a plain -lc to the end of the line; it does not look behind -Wl.
    private = private.replace('-lc ', CPLUSPLUS + ',-lc ')
    for name, value in (('prefix', env['prefix']), ('version', env['version']),
                        ('private', private)):
        text = text.replace('@%s@' % name, value)
    with open(str(target[0]), 'w', encoding='utf-8') as out:
        out.write(text)


def remove_installed(target, source, env):
    """Builder action: removes what install made, and the folders that this empties."""
    folders = set()
    for path in env['installed_paths']:
        if os.path.lexists(path):
            os.remove(path)
            print('remove  ' + path)
        folders.add(os.path.dirname(path))
    # A real prefix such as /usr/local keeps its own folders, even empty; a staging one does not.
    root = os.path.normpath(env['destdir'] or env['prefix'])
    for folder in sorted(folders, key=len, reverse=True):
        while folder != root and folder.startswith(root) and os.path.isdir(folder) \
                and not os.listdir(folder) and (env['destdir'] or folder.endswith('pkgconfig')):
            os.rmdir(folder)
            folder = os.path.dirname(folder)


def put(env, folder, nodes):
    """Installs nodes into a folder below the prefix, and remembers them for uninstall."""
    made = env.Install(env['destdir'] + env['prefix'] + '/' + folder, nodes)
    env['installed_paths'] += [node.abspath for node in made]
    env.Alias('install', made)


def install_eddy(env):
    """Installs the libraries, the public header and eddy.pc."""
    pc = env.Command('eddy.pc', '#tools/eddy.pc.in', Action(write_pc, 'write   $TARGET'))
    env.Depends(pc, env.Value([env['prefix'], env['version'], env['link_private']]))
    put(env, 'include', env.Glob('#core/eddy*.h'))
    put(env, 'lib/pkgconfig', pc)
    put(env, 'lib', env.get('libeddy', []))
    if 'libeddy_shared' not in env:
        return
    folder = env['destdir'] + env['prefix'] + '/lib'
    env.Alias('install', env.InstallVersionedLib(folder, env['libeddy_shared']))
    major = env['version'].split('.')[0]
    env['installed_paths'] += [os.path.join(folder, 'libeddy.so' + suffix)
                               for suffix in ('', '.' + major, '.' + env['version'])]


def install_program(env):
    """Installs the eddy program."""
    put(env, 'bin', env['eddy_program'])


def add_uninstall(env):
    """`scons uninstall`: no product of -c, which would also delete what was built."""
    env.AlwaysBuild(env.Alias('uninstall', [], Action(remove_installed, None)))


def generate(env):
    env['installed_paths'] = []
    env.AddMethod(with_eddy, 'WithEddy')
    env.AddMethod(with_whole_eddy, 'WithWholeEddy')
    env.AddMethod(install_eddy, 'InstallEddy')
    env.AddMethod(install_program, 'InstallProgram')
    env.AddMethod(add_uninstall, 'AddUninstall')


def exists(env):
    return True
