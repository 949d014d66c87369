/** The reliable connection as the manager's first connection type. */
#ifndef ED_RELIABLE_H
#define ED_RELIABLE_H

#include "core/map.h"
#include "transport/conn.h"
#include "transport/door.h"
#include "transport/local.h"
#include "transport/manager.h"

/** What a command says to a connection. */
typedef enum ed_operation {
    ED_OPERATION_NONE = 0, /* of CONNECT and RESOLVED */
    ED_OPERATION_SEND,
    ED_OPERATION_CLOSE,
    ED_OPERATION_ADMIT,
    ED_OPERATION_REFUSE,
    ED_OPERATION_SET_RATE,
    ED_OPERATION_SET_STREAM,
    ED_OPERATION_COUNT
} ed_operation;

/** An item of the send channel. */
typedef struct ed_reliable_command {
    ed_command head;
    /* SEND: the message; CLOSE, REFUSE: the reason with its NUL, or NULL; CONNECT: reserved for
       its DISCONNECTED. Owned. */
    ed_block *block;
    union {
        ed_block *receipt; /* SEND: see ed_message. Owned */
        ed_block *dial;    /* CONNECT: ed_dial. Owned */
        uint64_t flush_ns; /* CLOSE */
        uint64_t budget;   /* SET_STREAM */
        uint64_t rate_max; /* SET_RATE: bytes per second */
    };
    union {
        uint32_t code;      /* CLOSE, REFUSE */
        uint32_t expire_ms; /* SEND; 0: never */
    };
    uint8_t operation; /* ed_operation */
    uint8_t guarantee;
    uint8_t stream;
    bool now_or_never;
    uint8_t priority; /* SET_STREAM */
    uint8_t weight;
    bool no_copies;
} ed_reliable_command;

/** The context of the type: what all connections of one manager share, and nobody else. */
typedef struct ed_reliable {
    ed_conn_shared shared;
    ed_door *door;         /* which other managers may share */
    uint64_t turn_ns;      /* when it is to be looked after again */
    ed_admitted *admitted; /* who is being judged, until there is a connection, or none after all */
    uint64_t now_s;        /* the time of day, as of this poll */
    uint64_t started_s;    /* the same, of the first; 0 before that */
    ed_map *begun;         /* the origin of one that is not confirmed -> its slot */
    ed_list half_open;     /* of ed_conn.half_open, the oldest first */
    ed_purse purse;
    ed_openings openings;
    ed_credit_pool room;
    uint64_t queued_cost;
    ed_settled settled;
    ed_list refused;     /* of ed_conn.refused */
    bool was_crowded;    /* when it was looked at last, more than half of the send budget was used,
                            or less than one of them needs was free */
    ed_manager *manager; /* set once there is one */
    ed_local *pairs;     /* that end with it; NULL: there are none */
    bool accepts;
    eddy_connection greets; /* who has said HELLO in this poll, the last of them; 0: nobody */
} ed_reliable;

/** The token of one who was let in by it. */
static inline ed_used_token ed_admitted_token(const ed_admitted *admitted)
{
    return (ed_used_token){.id = admitted->capsule.id,
                           .holder = admitted->origin,
                           .expires_s = admitted->capsule.expires_s};
}

/** What is the same for an INITIATE that comes again from where it came from, and for no other. */
void ed_reliable_origin(const ed_reliable *reliable, uint8_t origin[ED_MAC_SIZE],
                        const ed_initiate *initiate, const eddy_address *remote);

/** Whether the newcomer who is judged, or was just admitted, shows the token that this one came by.
 */
bool ed_reliable_has_token_of_newcomer(const ed_conn *conn);

/** Whether a connection goes on beside the newcomer at its address who was just admitted. */
bool ed_reliable_stays(const ed_conn *conn);

/**
 * @param door outlives it, and the manager.
 * @return EDDY_OK, or EDDY_ENOMEM with something that ed_reliable_free takes.
 */
EDDY_MUST_CHECK eddy_status ed_reliable_init(ed_reliable *reliable, const ed_conn_shared *shared,
                                             ed_door *door);

void ed_reliable_free(ed_reliable *reliable); /* after its manager; zeroed is fine */

extern const ed_connection_type ed_reliable_type;

/* Between the three files. */

static inline ed_reliable *ed_reliable_of(const ed_conn *conn)
{
    return ED_CONTAINER(conn->shared->refused, ed_reliable, refused);
}

/* reliable_birth.c: these stand in the table of calls. */
EDDY_MUST_CHECK eddy_status ed_reliable_create(void *context, void *connection,
                                               const ed_birth *birth, uint64_t now_ns);
void ed_reliable_forget_newcomer(void *context);
void *ed_reliable_fail_connect(void *context, void *item, eddy_status why);
ed_succession ed_reliable_supersedes(void *connection, const eddy_datagram *datagram,
                                     uint64_t now_ns);

/** A token is used up by a connection that stood: its holder may try again otherwise. */
void ed_reliable_give_token_back(const ed_conn *conn);

/* reliable_command.c */

/** Does what the commands say, one after the other, and takes their blocks over. */
void ed_reliable_obey(ed_conn *conn, const ed_reliable_command *commands, size_t count,
                      uint64_t now_ns);

/** Of a connection that there is not: see `drop_command` of ed_connection_type. */
void ed_reliable_drop_command(void *context, void *item, void *failed);

#endif
