/** The reliable connection as the manager's first connection type, and who may become one. */
#ifndef ED_RELIABLE_H
#define ED_RELIABLE_H

#include "transport/conn.h"
#include "transport/cookie.h"
#include "transport/manager.h"

/** What a command says to a connection. */
typedef enum ed_operation {
    ED_OPERATION_NONE = 0, /* of CONNECT and SHUTDOWN */
    ED_OPERATION_SEND,
    ED_OPERATION_CLOSE,
    ED_OPERATION_ADMIT,
    ED_OPERATION_REFUSE,
    ED_OPERATION_RATE,
    ED_OPERATION_COUNT
} ed_operation;

/** An item of the send channel. */
typedef struct ed_reliable_command {
    ed_command head;
    /* Owned. SEND: the message; CLOSE, REFUSE: the reason with its NUL, or NULL; CONNECT: the
       payload, or NULL */
    ed_block *block;
    union {
        uint64_t flush_ns; /* CLOSE */
        uint64_t rate_max; /* RATE: bytes per second */
    };
    uint32_t code;
    uint8_t operation; /* ed_operation */
    uint8_t guarantee;
    uint8_t stream;
} ed_reliable_command;

/** The context of the type: what all connections of one manager share. */
typedef struct ed_reliable {
    ed_conn_shared shared;
    ed_cookie_jar cookies;
    bool accepts;
} ed_reliable;

void ed_reliable_init(ed_reliable *reliable, const ed_conn_shared *shared, uint64_t now_ns);

extern const ed_connection_type ed_reliable_type;

#endif
