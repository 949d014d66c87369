/**
 * A client that knows the protocol and its keys, and says whatever a test likes: it shakes hands
 * like any other, and from then on sends frames made by hand. On a host of a virtual world.
 */
#ifndef ED_TEST_ROGUE_H
#define ED_TEST_ROGUE_H

#include "sim/world.h"
#include "tests/support/conn_bed.h"
#include "transport/frame.h"

enum {
    ED_ROGUE_FRAMES_MAX = ED_DATAGRAM_SIZE - ED_PACKET_HEADER_SIZE_MAX - ED_TAG_SIZE,
};

struct ed_rogue;

/** Takes the frames of one packet. */
typedef void (*ed_rogue_hear)(struct ed_rogue *rogue, uint64_t number, ed_span frames,
                              uint64_t now_ns);

typedef struct ed_rogue {
    ed_world *world;
    ed_conn_bed bed;
    ed_conn conn; /* what it was before; now only its keys and id are used */
    eddy_socket socket;
    ed_host *host;
    eddy_address address;
    eddy_address server;
    bool is_free;        /* the handshake is over */
    uint64_t number;     /* that its next packet takes */
    uint64_t next_heard; /* one above the largest number that came */
    ed_ranges heard;     /* numbers, in */
    ed_range places[ED_RANGES_MAX];
    uint64_t heard_count; /* packets of the server that it could open */
    uint64_t heard_bytes;
    uint64_t said_count;
    uint64_t said_bytes;
    bool was_closed; /* the server said CLOSE */
    ed_close close;
    ed_rogue_hear hear; /* NULL: it takes no notice */
    void *context;      /* the test's own */
} ed_rogue;

/** Connects from `address` to a server with ed_test_secret(). Fails the test if it may not. */
void ed_rogue_open(ed_rogue *rogue, ed_world *world, const eddy_address *address,
                   const eddy_address *server);
void ed_rogue_close(ed_rogue *rogue);

/** The same without a network: two connections, of which the client is made to say what we like. */
typedef struct ed_duel {
    ed_conn_bed bed;
    ed_conn client;
    ed_conn server;
    ed_path from;    /* the client, as the server sees it */
    uint64_t number; /* that the client's next packet takes */
    uint64_t now_ns;
} ed_duel;

/** Connects them. */
void ed_duel_open(ed_duel *duel);
void ed_duel_close(ed_duel *duel);

/** The server receives a packet. */
void ed_duel_say(ed_duel *duel, ed_span frames);

/** The least of `count` times that it takes to receive such a packet. */
uint64_t ed_duel_least_time_ns(ed_duel *duel, ed_span frames, int count);

/** Seals frames as a client's packet. `data` has ED_DATAGRAM_SIZE bytes. @return the size. */
size_t ed_rogue_seal(const ed_conn *client, uint64_t number, ed_span frames, uint8_t *data);

/** Sends a packet of its next number. */
void ed_rogue_say(ed_rogue *rogue, const void *frames, size_t size);

/** From now on it sends from there. What is on its way to where it was is lost. */
void ed_rogue_move(ed_rogue *rogue, const eddy_address *to);

/** Says what a writer holds. */
void ed_rogue_say_written(ed_rogue *rogue, const ed_writer *w);

/** Says ACK of a range, with a delay. */
void ed_rogue_ack(ed_rogue *rogue, uint64_t first, uint64_t last, uint64_t delay_us);

/** Says honestly what it has heard. */
void ed_rogue_ack_heard(ed_rogue *rogue, uint64_t delay_us);

/** Lets the world go on. */
void ed_rogue_run_for(ed_rogue *rogue, uint64_t duration_ns);

#endif
