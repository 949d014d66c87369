/**
 * A client by hand: somebody on the wire who speaks as far as he likes, from any address, and
 * remembers what an attacker needs.
 */
#ifndef ED_TEST_STRANGER_H
#define ED_TEST_STRANGER_H

#include "tests/support/wire.h"
#include "transport/handshake.h"

typedef struct ed_stranger {
    eddy_address address;
    ed_mode mode;
    uint8_t suites; /* that he offers; 0: ChaCha20 */
    uint64_t protocol_id;
    uint64_t client_time_us; /* what his clock is said to be */
    uint8_t nonce[ED_NONCE_SIZE];
    uint8_t cookie[ED_COOKIE_SIZE];
    uint8_t ephemeral[ED_KEY_SIZE]; /* secret; what he draws for his next INITIATE */
    const uint8_t *server_key;      /* NULL: the test's, unless the mode is OPEN */
    const uint8_t *capsule;         /* in mode TOKEN */
    const uint8_t *shared;          /* the psk; NULL: zeros */
    const ed_noise_pair *own;       /* in mode MUTUAL */
    ed_noise noise;                 /* of his newest INITIATE */
} ed_stranger;

/** One of a number, at ed_wire_address() of it, in mode PINNED, with a nonce of his own. */
ed_stranger ed_stranger_of(uint32_t number);

/** Writes his HELLO. @return ED_HELLO_SIZE. */
size_t ed_stranger_hello(const ed_stranger *stranger, uint8_t *data);

/** Writes his INITIATE. @return ED_INITIATE_SIZE. */
size_t ed_stranger_initiate(ed_stranger *stranger, uint8_t *data);

/** Makes the mac of an INITIATE right again, which anybody can who knows the server's key. */
void ed_stranger_repair(const ed_stranger *stranger, uint8_t *data);

/** Takes the cookie out of a RETRY to him. @return whether it is one. */
bool ed_stranger_take_cookie(ed_stranger *stranger, const eddy_datagram *reply);

/** Says HELLO to a server on the wire, and waits for the cookie. @return whether there is one. */
bool ed_stranger_greet(ed_stranger *stranger, ed_wire *wire, const ed_wire_host *server);

/** The same without a word on the wire: the cookie that the server would give him now. */
void ed_stranger_draw_cookie(ed_stranger *stranger, const ed_wire_host *server);

/** Sends his INITIATE, and lets the wire run until it is there. */
void ed_stranger_knock(ed_stranger *stranger, ed_wire *wire, const ed_wire_host *server);

#endif
