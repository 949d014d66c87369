# Sourced by tools/test and tools/demo: installs, through apt, what a build needs and is missing.
# shellcheck shell=bash

# Whether a header, a program (no slash, no dot) or one of libFuzzer's archives is there.
have() {
    case $1 in
    *.h) [ -e "/usr/include/$1" ] || [ -e "/usr/local/include/$1" ] ;;
    fuzzer) compgen -G "$(clang -print-resource-dir 2>&1)/lib/*/libclang_rt.fuzzer*" >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# Each argument is THING=PACKAGE. Ends the script if something stays missing.
install_missing() {
    local row missing=() as_root=()
    for row in "$@"; do
        have "${row%%=*}" || missing+=("${row#*=}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "missing: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    if have apt-get; then
        echo "running: ${as_root[*]} apt-get install ${missing[*]}"
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    fi
    for row in "$@"; do
        have "${row%%=*}" && continue
        echo "cannot go on without ${row#*=}: please install it" >&2
        exit 2
    done
}

build_needs=(gcc=gcc scons=scons python3=python3 sodium.h=libsodium-dev
    mimalloc.h=libmimalloc-dev jansson.h=libjansson-dev
    histedit.h=libedit-dev stdio.h=libc6-dev)
# libclang-rt-dev brings the sanitizers and the fuzzer of the clang that `clang` brings.
test_needs=(g++=g++ clang=clang clang-format=clang-format pkg-config=pkg-config
    cmocka.h=libcmocka-dev enet/enet.h=libenet-dev fuzzer=libclang-rt-dev timeout=coreutils
    nm=binutils valgrind=valgrind)
full_needs=(gcov=gcc llvm-cov=llvm)
