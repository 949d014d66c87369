/**
 * One end of a connection, scripted: it shakes hands as the protocol says, and then seals whatever
 * it is told to. For tests and fuzz targets that are a manager's other end; all keys are
 * ed_test_*'s and fixed ones. What a manager says to it has to be right, which is asserted.
 */
#ifndef ED_TEST_PEER_H
#define ED_TEST_PEER_H

#include "transport/handshake.h"
#include "transport/protect.h"

enum {
    ED_PEER_FRAMES_MAX = 64,    /* bytes of frames that it says at once */
    ED_PEER_CREDIT = 20 * 1024, /* that it grants at first, */
    ED_PEER_MESSAGE = 6 * 1024, /* and the largest message that it takes */
};

typedef struct ed_peer {
    bool is_client;
    ed_mode mode;
    const eddy_entropy *entropy;
    uint8_t nonce[ED_NONCE_SIZE];
    uint8_t cookie[ED_COOKIE_SIZE];
    ed_noise noise; /* as it is after INITIATE */
    ed_keys keys;
    uint32_t id;
    uint64_t number;   /* the next that it says */
    uint64_t heard;    /* the largest number that it heard */
    uint64_t question; /* of the last PATH_CHALLENGE that it heard */
    bool has_cookie;
    bool has_noise;
    bool has_keys;
    uint8_t initiate[ED_INITIATE_SIZE]; /* a client's, while it has noise */
    uint8_t frames[ED_PEER_FRAMES_MAX]; /* in its last packet */
    size_t frames_size;
} ed_peer;

/** @param is_client it connects to a server with ed_test_secret(); otherwise it is such a server.
 */
void ed_peer_init(ed_peer *peer, bool is_client, ed_mode mode, const eddy_entropy *entropy);

/** The public key of those that are clients. */
eddy_key ed_peer_client_key(void);

/** Begins anew, as one that has lost its state. */
void ed_peer_forget(ed_peer *peer);

/** Takes a datagram, whatever it is. */
void ed_peer_hear(ed_peer *peer, const void *data, size_t size, uint64_t now_ns);

/* What it says: each returns the size, 0: nothing; `data` has room for ED_DATAGRAM_SIZE. */

/** A client's HELLO, or INITIATE if it has a cookie. */
size_t ed_peer_shake(ed_peer *peer, uint8_t *data);

/** A server's RETRY with that cookie; if the topmost bit is set, REJECT. */
size_t ed_peer_greet(const ed_peer *peer, uint8_t value, uint8_t *data);

/** A server's ACCEPT. */
size_t ed_peer_accept(ed_peer *peer, uint8_t refusal, uint8_t *data, uint64_t now_ns);

/** A packet of those frames, with one byte changed (by 0: none) before it is sealed. */
size_t ed_peer_seal(ed_peer *peer, ed_span frames, uint16_t at, uint8_t change, uint8_t *data);

/** Takes new keys, whether it is time or not. */
void ed_peer_change_keys(ed_peer *peer, uint64_t now_ns);

#endif
