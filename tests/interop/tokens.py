"""Connect tokens: transport/PROTOCOL.md, section 3.7."""
import base64
import collections
import socket

from sodium import blake, random, xchacha
from wire import Reader, number

Claim = collections.namedtuple('Claim', 'client_id issued expires data')


def token_key(issuer, server_id):
    return blake(32, b'eddy token key' + number(server_id, 8), issuer)


def psk_of(token_psk, server_id, nonce):
    return blake(32, number(server_id, 8) + nonce, token_psk)


def _header(protocol_id, server_id, key_and_expires):
    return b'eddytok1' + number(protocol_id, 8) + number(server_id, 8) + key_and_expires


def seal_capsule(key, protocol_id, server_id, claim, psk, nonce):
    clear = bytes(4) + number(claim.expires, 8)
    sealed = number(claim.client_id, 8) + number(claim.issued, 8) + psk
    sealed += bytes([len(claim.data)]) + bytes(23) + claim.data.ljust(232, b'\0')
    return clear + nonce + xchacha.seal(key, nonce, _header(protocol_id, server_id, clear), sealed)


def open_capsule(key, protocol_id, server_id, capsule):
    """@return (Claim, psk); None: it is not for us."""
    clear, nonce, sealed = capsule[:12], capsule[12:36], capsule[36:]
    opened = xchacha.open(key, nonce, _header(protocol_id, server_id, clear), sealed)
    if opened is None:
        return None
    r = Reader(opened)
    client_id, issued, psk, size = r.number(8), r.number(8), r.take(32), r.number(1)
    r.take(23)
    return Claim(client_id, issued, int.from_bytes(clear[4:], 'little'), r.take(size)), psk


def issue(issuer, protocol_id, claim, address, server_id, public):
    """@return the text of a token for one server at (IP, port)."""
    token_psk, nonce = random(32), random(24)
    capsule = seal_capsule(token_key(issuer, server_id), protocol_id, server_id, claim,
                           psk_of(token_psk, server_id, nonce), nonce)
    token = b'EDTK' + number(1, 4) + number(protocol_id, 8) + number(claim.issued, 8)
    token += number(claim.expires, 8) + b'\x01' + bytes(7) + token_psk
    token += b'\x04\0' + number(address[1], 2) + socket.inet_aton(address[0]).ljust(16, b'\0')
    token += number(server_id, 8) + public + capsule
    return base64.urlsafe_b64encode(token).rstrip(b'=').decode()
