/** What the files of the manager share: its state, and the calls between them. */
#ifndef ED_MANAGER_STATE_H
#define ED_MANAGER_STATE_H

#include "core/base.h"
#include "core/deadline.h"
#include "core/list.h"
#include "core/map.h"
#include "transport/manager.h"

enum {
    ED_MANAGER_KEY_SIZE = sizeof(eddy_address) + 1,
    ED_MANAGER_EXTRA_MAX = 256, /* datagrams of one connection's own socket in one poll */
};

#define ED_MANAGER_RETRY_NS                                                                        \
    (10 * ED_NS_PER_MS) /* after there was no memory for events, or no room in the socket */

/** An address where a connection that was dialled without one may find its peer. */
typedef struct ed_manager_alias {
    struct ed_manager_alias *next;
    uint8_t key[ED_MANAGER_KEY_SIZE];
} ed_manager_alias;

/** One connection, as the manager sees it: what each datagram touches, in a line of the cache. */
typedef struct ed_manager_slot {
    void *connection; /* NULL: the slot is free, or its dial has failed */
    eddy_connection handle;
    ed_list_node work;                /* in ed_manager.work while it may have something to give */
    uint8_t key[ED_MANAGER_KEY_SIZE]; /* its address, in the map of addresses, */
    bool is_mapped;                   /* unless another with the same is there */
    bool is_half_open;
    ed_side side;
} ed_manager_slot;

static_assert(sizeof(void *) < 8 || sizeof(ed_manager_slot) == 64, "a line of the cache");

/** What few touch of it. */
typedef struct ed_manager_aside {
    union {
        ed_manager_alias *aliases; /* also in the map; until it is found by one address alone */
        void *failed; /* without a connection: what is left of a dial, until its end is told */
    };
    union {
        ed_list_node ready;  /* in ed_manager.ready while its own socket is to be read */
        ed_list_node ended;  /* in ed_manager.ended once the program has heard the last of it */
        ed_list_node untold; /* in ed_manager.untold while `failed` is there */
    };
} ed_manager_aside;

struct ed_manager {
    ed_manager_parts parts;
    ed_manager_slot *slots;
    ed_manager_aside *asides; /* of the slots */
    uint32_t slot_count;
    ed_map *addresses; /* remote address and side -> slot */
    ed_deadlines *deadlines;
    ed_list work;
    ed_list ready;
    ed_list untold;
    ed_list ended; /* incoming; the oldest makes room for a newcomer where all places are taken */
    uint32_t connection_count;
    uint32_t half_open_count;
    bool is_ending; /* asked to: what was said before is done first */
    bool shutting_down;
    uint64_t shutdown_until_ns;
    bool commands_ended; /* the channel is closed, and empty */
    bool waits_to_end;   /* for something that gives no word when it has come */
    bool is_done;
    bool is_touched;    /* a connection was, and it may have been served before in this poll */
    bool has_datagrams; /* the socket may have more than the last poll took */
    bool is_blocked;    /* the socket had no room for all that was sent last */

    void *commands;  /* ED_MANAGER_BATCH items */
    uint8_t *events; /* ED_MANAGER_BATCH items, event_count of them not yet pushed */
    size_t event_count;
    eddy_datagram out[ED_MANAGER_BATCH]; /* out_count of them not yet sent */
    uint8_t *out_data;
    eddy_datagram in[ED_MANAGER_BATCH]; /* that are handled now */
    size_t out_count;
};

static inline ed_manager_aside *ed_manager_aside_of(const ed_manager *m,
                                                    const ed_manager_slot *slot)
{
    return &m->asides[slot - m->slots];
}

static inline ed_manager_slot *ed_manager_slot_of(const ed_manager *m,
                                                  const ed_manager_aside *aside)
{
    return &m->slots[aside - m->asides];
}

/* manager.c: the table of connections. */

/** The connection with that remote address on that side, or NULL. */
ed_manager_slot *ed_manager_find_address(const ed_manager *m, const eddy_address *remote,
                                         ed_side side);

/** The connection of a handle, or NULL if that is stale. */
ed_manager_slot *ed_manager_find_handle(const ed_manager *m, eddy_connection handle);

/** What is left of the dial of a handle that failed, or NULL. */
void *ed_manager_find_failed(const ed_manager *m, eddy_connection handle);

/** The incoming connection of a wire id, or NULL. */
ed_manager_slot *ed_manager_find_wire_id(const ed_manager *m, uint32_t id);

/** It may have something to give out at the end of this poll. */
void ed_manager_add_work(ed_manager *m, ed_manager_slot *slot);

/** Makes the connection in the slot of its handle. @return EDDY_OK, or why there is none. */
EDDY_MUST_CHECK eddy_status ed_manager_create_connection(ed_manager *m, const ed_birth *birth,
                                                         uint64_t now_ns);

/** A datagram came to the connection: it may have another remote address by now. */
void ed_manager_follow_connection(ed_manager *m, ed_manager_slot *slot);
/**
 * From now on the connection is found by that address instead, whoever was found by it before.
 * @return EDDY_OK, or EDDY_ENOMEM with nothing changed.
 */
EDDY_MUST_CHECK eddy_status ed_manager_set_address(ed_manager *m, ed_manager_slot *slot,
                                                   const eddy_address *remote);

/**
 * Until it has an address of its own, the connection is found by this one, too.
 * @return EDDY_OK, or EDDY_ENOMEM with nothing changed.
 */
EDDY_MUST_CHECK eddy_status ed_manager_add_address(ed_manager *m, ed_manager_slot *slot,
                                                   const eddy_address *remote);

/** It does not count as half-open any more. */
void ed_manager_end_half_open(ed_manager *m, ed_manager_slot *slot);

void ed_manager_destroy_connection(ed_manager *m, ed_manager_slot *slot);

/* manager_end.c: how it ends. */

/** Takes the request to end, if there is one. */
void ed_manager_take_ending(ed_manager *m, uint64_t now_ns);

/** All that was said before the request to end is done: the connections end now. */
void ed_manager_shut_down(ed_manager *m, uint64_t until_ns, uint64_t now_ns);

/** When to try again what there was no room for; but not beyond the end. */
uint64_t ed_manager_retry_ns(const ed_manager *m, uint64_t now_ns);

/** Ends the events, if no connection is left. @return whether there is more to do at once. */
bool ed_manager_check_done(ed_manager *m, uint64_t now_ns);

/* manager_receive.c: what comes in. */

/** Takes what the program gave back. */
void ed_manager_take_returns(ed_manager *m, uint64_t now_ns);

/** Takes what the program said. @return whether there may be more. */
bool ed_manager_take_commands(ed_manager *m, uint64_t now_ns);

/** Takes what has arrived. @return whether there may be more. */
bool ed_manager_take_datagrams(ed_manager *m, uint64_t now_ns);

/** Reads the sockets that belong to connections, of those that are said to be readable. */
void ed_manager_take_extra(ed_manager *m, uint64_t now_ns);

/* manager_send.c: what goes out. */

/** Sends what is queued. @return whether the queue has room now. */
bool ed_manager_flush_out(ed_manager *m);

/** Tells connections which of their datagrams were too large to leave. */
void ed_manager_take_too_big(ed_manager *m, uint64_t now_ns);

/** Pushes the events that are gathered. @return whether there is room for more. */
bool ed_manager_flush_events(ed_manager *m);

/** All has come that was said to dials that failed: tells their ends. @return whether to all. */
bool ed_manager_tell_failed(ed_manager *m);

/** Takes out of every connection at work all that it has to give. @return whether that was all. */
bool ed_manager_serve_all(ed_manager *m, uint64_t now_ns);

#endif
