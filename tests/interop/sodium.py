"""What transport/PROTOCOL.md is made of: libsodium's primitives, and BLAKE2b of the library."""
import ctypes
import ctypes.util
import hashlib
import os

_library = ctypes.CDLL(ctypes.util.find_library('sodium') or 'libsodium.so.23')
if _library.sodium_init() < 0:
    raise OSError('libsodium does not start')

has_aes = _library.crypto_aead_aes256gcm_is_available() == 1
TAG = 16


def mac(key, data):
    """SipHash-2-4 with 128-bit result."""
    out = ctypes.create_string_buffer(16)
    _library.crypto_shorthash_siphashx24(out, data, ctypes.c_ulonglong(len(data)), key)
    return out.raw


def blake(size, data, key=b''):
    return hashlib.blake2b(data, digest_size=size, key=key).digest()


def public_key(secret):
    out = ctypes.create_string_buffer(32)
    _library.crypto_scalarmult_curve25519_base(out, secret)
    return out.raw


def shared_secret(secret, public):
    """X25519. @return None if the other's key is of low order."""
    out = ctypes.create_string_buffer(32)
    done = _library.crypto_scalarmult_curve25519(out, secret, public)
    return out.raw if done == 0 else None


def random(size):
    return os.urandom(size)


class Cipher:
    """One of libsodium's, by its name."""

    def __init__(self, name):
        self._seal = getattr(_library, 'crypto_aead_%s_encrypt' % name)
        self._open = getattr(_library, 'crypto_aead_%s_decrypt' % name)

    def seal(self, key, nonce, header, data):
        out = ctypes.create_string_buffer(len(data) + TAG)
        self._seal(out, None, data, ctypes.c_ulonglong(len(data)), header,
                   ctypes.c_ulonglong(len(header)), None, nonce, key)
        return out.raw

    def open(self, key, nonce, header, sealed):
        """@return None if it is not authentic."""
        if len(sealed) < TAG:
            return None
        out = ctypes.create_string_buffer(max(1, len(sealed) - TAG))
        done = self._open(out, None, None, sealed, ctypes.c_ulonglong(len(sealed)), header,
                          ctypes.c_ulonglong(len(header)), nonce, key)
        return out.raw[:len(sealed) - TAG] if done == 0 else None


chacha = Cipher('chacha20poly1305_ietf')
xchacha = Cipher('xchacha20poly1305_ietf')
aes = Cipher('aes256gcm')
