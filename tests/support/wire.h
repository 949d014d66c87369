/**
 * Managers on a wire that an attacker owns, in virtual time: he sees, alters and keeps back what
 * is sent, and puts in what he likes, from any address. Their programs only count what they are
 * told.
 */
#ifndef ED_TEST_WIRE_H
#define ED_TEST_WIRE_H

#include "core/alloc.h"
#include "core/base.h"
#include "sim/flight.h"
#include "transport/packet.h"

enum {
    ED_WIRE_HOSTS_MAX = 128,
    ED_WIRE_SIZE_MAX = 1500,
    ED_WIRE_DELAY_MS = 1,  /* of what hosts send, unless it is set, */
    ED_WIRE_RUSH_US = 300, /* and of what is forged: it overtakes that */
};

struct ed_wire;
struct ed_wire_inbox;

/** A manager and its program. */
typedef struct ed_wire_host {
    struct ed_wire *wire;
    eddy_config config;
    eddy_address address;
    ed_counting_alloc memory;
    eddy_socket socket;
    eddy_entropy entropy;
    uint64_t draws;        /* the state of the entropy */
    size_t stuck_size;     /* draws of this size are always the same; 0: none are */
    eddy_manager *manager; /* NULL: it is not running */
    uint64_t next_ns;      /* when it wants to run */
    struct ed_wire_inbox *inbox;
    /* What its program was told since it was added. */
    uint64_t events;
    uint64_t requests;
    uint64_t connected;
    uint64_t disconnected;
    uint64_t messages;
    uint64_t connected_ns; /* the latest */
    eddy_connection newest;
    eddy_peer peer; /* of the latest EDDY_CONNECTED; its data are gone */
    eddy_event_disconnected end;
} ed_wire_host;

/** A datagram, in its sender's view: `local` sends it, `remote` is where it goes. */
typedef struct ed_wire_copy {
    eddy_datagram datagram; /* its data are `data` */
    uint8_t data[ED_WIRE_SIZE_MAX];
} ed_wire_copy;

/**
 * What the attacker does with a datagram that a host sends. He may alter it and its size, up to
 * ED_WIRE_SIZE_MAX, and use the wire. @return false to keep it back.
 */
typedef bool (*ed_wire_tap)(void *context, eddy_datagram *datagram);

enum { ED_WIRE_KINDS = 8 };

typedef struct ed_wire {
    const char *name; /* in front of every complaint */
    uint64_t seed;
    uint64_t now_ns;
    uint64_t delay_ns; /* of what hosts send */
    ed_flight *flight;
    uint64_t ordinal;
    ed_wire_tap tap; /* NULL: none */
    void *tap_context;
    ed_wire_host hosts[ED_WIRE_HOSTS_MAX];
    size_t host_count;
    uint64_t to_nobody;                 /* datagrams to addresses without a host */
    uint64_t delivered;                 /* datagrams that hosts have taken */
    ed_wire_copy newest[ED_WIRE_KINDS]; /* as they were sent, before the tap */
} ed_wire;

void ed_wire_open(ed_wire *wire, const char *name, uint64_t seed);

/** Ends all managers as a crash would, and checks that their memory is back. */
void ed_wire_close(ed_wire *wire);

/** A server with the test's key, or a client; the same cipher everywhere, no pump. */
eddy_config ed_wire_server_config(void);
eddy_config ed_wire_client_config(void);

/** An address of their own for each number; public ones. */
eddy_address ed_wire_address(uint32_t number);

/** Starts a manager. */
ed_wire_host *ed_wire_add(ed_wire *wire, const eddy_config *config, const eddy_address *address);
void ed_wire_start(ed_wire_host *host);
void ed_wire_crash(ed_wire_host *host);

/** Dials. NULL for `options`: with the test's public key. @return what eddy_connect_address says.
 */
eddy_status ed_wire_connect(ed_wire_host *host, const eddy_address *to,
                            const eddy_connect_options *options);

/** A server, and a client that is connected to it. */
void ed_wire_add_pair(ed_wire *wire, ed_wire_host **server, ed_wire_host **client);

/** Sends a reliable message on the newest connection. */
eddy_status ed_wire_say(ed_wire_host *host, const char *text);

/** Both ends send one on the newest connection, and it must arrive within a second. */
void ed_wire_check_alive(ed_wire_host *one, ed_wire_host *other);

/** Lets a host run at once: it was given work. */
void ed_wire_touch(ed_wire_host *host);

/** Puts a datagram in, in its supposed sender's view; it arrives when the wire next runs. */
void ed_wire_put(ed_wire *wire, const eddy_datagram *datagram);

/** The same of bytes from one address to another; after ED_WIRE_RUSH_US. */
void ed_wire_forge(ed_wire *wire, const eddy_address *from, const eddy_address *to,
                   const void *data, size_t size);

/** The newest that was sent of a form; packets: as the server or the client sends them. */
const ed_wire_copy *ed_wire_newest(const ed_wire *wire, ed_form form);
const ed_wire_copy *ed_wire_newest_packet(const ed_wire *wire, bool from_client);

/** From now on there is none of that form. */
void ed_wire_newest_clear(ed_wire *wire, ed_form form);

/** Runs for so long; 0: what is due now. */
void ed_wire_run_for(ed_wire *wire, uint64_t duration_ns);

/** Runs until the host has so many connections behind it. @return false after `limit_ns`. */
bool ed_wire_await_connected(ed_wire *wire, const ed_wire_host *host, uint64_t count,
                             uint64_t limit_ns);

eddy_stats ed_wire_stats(const ed_wire_host *host);

/** What a check has refused, at that host. */
uint64_t ed_wire_refusals(const ed_wire_host *host, eddy_check check);

#endif
