/**
 * The connection manager: maps addresses and ids to connections, and moves the program's commands
 * and the socket's datagrams over two unbounded channels, of which it holds only the inner ends. It
 * knows nothing of the protocol: what a connection is comes as a table of calls.
 *
 * One thread at a time. Nothing in a poll looks at all connections: only at those that have a
 * command, a datagram or a deadline.
 *
 * Between eddy_send and eddy_next a message is copied three times by us, and twice by the system:
 *
 * 1. The program's memory into a block: the call returns before the message leaves, and it may have
 *    to leave again. A broadcast makes one such copy in each shard.
 * 2. The block into a datagram, which is sealed where it lies; again each time that it is sent.
 * 3. The datagram into the kernel, and out of it at the other end: these are the system's.
 * 4. The datagram, opened where it lies, into a block: messages wait for those before them and for
 *    the program, and must not hold on to a receive buffer. eddy_next hands out this block, and
 *    eddy_release gives it back.
 *
 * One in several parts is copied once more, when it is whole, into one piece. Between two ends of a
 * pair there is only the first.
 */
#ifndef ED_MANAGER_H
#define ED_MANAGER_H

#include "core/channel.h"
#include "core/eddy.h"
#include "transport/ending.h"
#include "transport/returns.h"
#include "transport/slots.h"

enum {
    ED_MANAGER_BATCH = 64,         /* datagrams, commands or events handled at once */
    ED_MANAGER_RECEIVE_MAX = 2048, /* datagrams taken in one poll; the rest waits for the next */
    ED_MANAGER_COMMAND_MAX = 16384,
    ED_MANAGER_DATAGRAM_SIZE = EDDY_DATAGRAM_SIZE_MAX, /* the largest that a connection transmits */
};

/** Which end dialled. An address may be known once on each side. */
typedef enum ed_side {
    ED_SIDE_INCOMING = 0,
    ED_SIDE_OUTGOING = 1,
} ed_side;

/** Where a datagram belongs, as far as can be told from its bytes. */
typedef struct ed_route {
    enum {
        ED_ROUTE_NOWHERE = 0,
        ED_ROUTE_ID,           /* to the incoming connection with this wire id */
        ED_ROUTE_ID_OR_NEW,    /* the same; if there is none, it asks for admission */
        ED_ROUTE_KNOWN,        /* to the connection with its remote address, on `side` */
        ED_ROUTE_KNOWN_OR_NEW, /* the same; a stranger's asks for admission */
        ED_ROUTE_NEW,          /* it asks for admission, whoever sent it */
    } kind;
    uint32_t id;
    ed_side side;
} ed_route;

typedef enum ed_admission {
    ED_ADMIT_NO = 0,
    ED_ADMIT_REPLY,    /* not yet: answer, and remember nothing */
    ED_ADMIT_CREATE,   /* make a connection */
    ED_ADMIT_CONTINUE, /* it is for the connection that is chosen */
} ed_admission;

typedef enum ed_phase {
    ED_PHASE_HALF_OPEN, /* incoming and unconfirmed */
    ED_PHASE_OPEN,
    ED_PHASE_ENDED, /* its last event is taken; it only answers the peer, and may be replaced */
    ED_PHASE_OVER,  /* to be destroyed */
} ed_phase;

/** What admission may go by, and the connection that it chooses. */
typedef struct ed_load {
    bool may_create;      /* there is a slot, and the half-open ones are below their cap */
    bool is_full;         /* no slot for an incoming connection is free */
    bool shutting_down;   /* nobody is admitted */
    const void *existing; /* the incoming connection of this address, or NULL */
    bool may_wait;        /* CREATE: beside `existing`, while it is not known whether that lives */
    /* CONTINUE: whose the datagram is. CREATE: who gives way, of whom the program has not heard; 0:
       nobody. */
    eddy_connection chosen;
} ed_load;

/** What an admitted newcomer is to the connection which its address has. */
typedef enum ed_succession {
    ED_SUCCEEDS_NOT = 0, /* its handshake began sooner */
    ED_SUCCEEDS_LATER,   /* if it turns out that nobody is there any more: that was asked */
    ED_SUCCEEDS_NOW,
} ed_succession;

typedef struct ed_birth {
    eddy_connection handle;
    uint32_t wire_id;
    ed_side side;
    eddy_address remote;
    const eddy_datagram *datagram; /* the one that was admitted; NULL on the outgoing side */
    const void *existing; /* the incoming connection of its address, or NULL: see ed_succession */
    void *command;        /* the CONNECT; NULL on the incoming side */
} ed_birth;

typedef enum ed_command_kind {
    ED_COMMAND_CONNECT = 1,
    ED_COMMAND_TO_CONNECTION,
    ED_COMMAND_RESOLVED, /* an address of a connection that was dialled without one */
} ed_command_kind;

/** How every item of the send channel begins. */
typedef struct ed_command {
    ed_command_kind kind;
    uint32_t more;              /* RESOLVED: how many other addresses follow */
    eddy_connection connection; /* CONNECT: taken by the caller with ed_slots_take_outgoing */
    /* CONNECT: without a family it is the key that no other connection has, until the connection
       has found its peer at one of those that RESOLVED brings. RESOLVED: without a family where
       there is none. */
    eddy_address remote;
} ed_command;

/** A datagram that a connection transmits. */
typedef struct ed_output {
    eddy_datagram datagram;     /* data has ED_MANAGER_DATAGRAM_SIZE bytes of room */
    const eddy_socket *through; /* NULL: the manager's socket; else the connection's own */
} ed_output;

/** What a connection is, to the manager. `context` is one for all of a manager's connections. */
typedef struct ed_connection_type {
    size_t connection_size;
    size_t command_size; /* of an item of the send channel, ed_command included */
    size_t event_size;   /* of an item of the event channel */

    ed_route (*route)(void *context, const eddy_datagram *datagram);
    /** Judges a newcomer; a reply is at most `*reply_size` bytes, and never longer than its cause.
     */
    ed_admission (*admit)(void *context, const eddy_datagram *datagram, ed_load *load,
                          uint8_t *reply, size_t *reply_size, uint64_t now_ns);
    /**
     * After CREATE: there is a connection of the newcomer by now, or none after all, so what
     * `admit` kept is of no more use. NULL: it keeps nothing.
     */
    void (*forget_newcomer)(void *context);
    /** Initialises in place. On failure nothing is left to destroy. */
    eddy_status (*create)(void *context, void *connection, const ed_birth *birth, uint64_t now_ns);
    /**
     * There will be no connection: takes the CONNECT over. @return what is left of the dial, which
     * takes what else was said to it, by drop_command, and then tells its end.
     */
    void *(*fail_connect)(void *context, void *command, eddy_status why);
    /** Whether all that was said to it has come. NULL: it has. */
    bool (*may_tell_failed)(void *context, eddy_connection handle);
    /** Takes the next event of what is left. @return whether that was the last: nothing is left. */
    bool (*failed_event)(void *failed, void *event);
    /**
     * An address of a connection that was dialled without one: EDDY_OK, or why it cannot be used,
     * as EDDY_ERESOLVE, EDDY_EEXIST or EDDY_ENOMEM. `more` others follow. NULL: there are none
     * such.
     */
    void (*resolved)(void *connection, const eddy_address *remote, uint32_t more,
                     eddy_status status, uint64_t now_ns);
    void (*destroy)(void *connection);
    /** A datagram of its is about to be received, or it is about to be served. NULL: so be it. */
    void (*expect)(const void *connection);
    /** Judges an admitted datagram. NULL: it succeeds at once. */
    ed_succession (*supersedes)(void *connection, const eddy_datagram *datagram, uint64_t now_ns);
    void (*receive)(void *connection, const eddy_datagram *datagram, uint64_t now_ns);
    /** The same for a datagram of the connection's own socket. NULL: it has none. */
    void (*receive_extra)(void *connection, const eddy_datagram *datagram, uint64_t now_ns);
    const eddy_socket *(*extra_socket)(void *connection); /* NULL: it has none */
    /** Does what `count` commands say, one after the other; takes their payloads over. */
    void (*send)(void *connection, const void *commands, size_t count, uint64_t now_ns);
    /** From now on the program hears of no beginning. NULL: nothing to do. */
    void (*stop_admitting)(void *connection, uint64_t now_ns);
    /** Ends it: it flushes, closes and is over by `until_ns`. Perhaps again, with an earlier one.
     */
    void (*shutdown)(void *connection, uint64_t until_ns, uint64_t now_ns);
    /** The peer began anew: ends this one, unless both go on. */
    void (*replace)(void *connection, uint64_t now_ns);
    void (*expire)(void *connection, uint64_t now_ns);
    bool (*transmit)(void *connection, ed_output *output, uint64_t now_ns);
    /** A datagram of that size to its address did not leave this machine. NULL: so be it. */
    void (*too_big)(void *connection, size_t size, uint64_t now_ns);
    /** The socket has no room for what it may have to transmit in this poll. NULL: so be it. */
    void (*held_back)(void *connection, uint64_t now_ns);
    /** Takes its next events, `most` at most. @return how many; less than `most`: that was all. */
    size_t (*events)(void *connection, void *events, size_t most);
    /** Its last event waits for what other threads are saying: it stays at work. NULL: never. */
    bool (*awaits_senders)(const void *connection);
    uint64_t (*next_ns)(const void *connection);
    ed_phase (*phase)(const void *connection);
    /**
     * Whether the program knows of it: then its slot is kept until the program has taken the last
     * event, which is given back with ed_return_mark_last. NULL: the program knows of none.
     */
    bool (*is_known)(const void *connection);
    eddy_address (*remote)(const void *connection);     /* NULL: it never changes */
    void (*begin_poll)(void *context, uint64_t now_ns); /* NULL: nothing to do */
    void (*end_commands)(void *context); /* all that waited were taken. NULL: nothing to do */
    /** Before the program hears of what was done. NULL: nothing to do. */
    void (*end_work)(void *context);
    /** All has left and was told: what may be done while others work. NULL: nothing to do. */
    void (*reckon_ahead)(void *context);
    /**
     * The program is done with messages: takes their blocks over, which are linked by `next`.
     * Needed where there are returns.
     * @param connection whose it was; NULL: it is gone.
     * @return whether the connection may have something to give out.
     */
    bool (*returned)(void *context, void *connection, ed_block *blocks, uint64_t now_ns);
    /** No connection is left. @return whether the events may end, too. NULL: they may. */
    bool (*may_end)(void *context);
    /** Takes over what found no connection. @param failed of a dial that failed, or NULL. */
    void (*drop_command)(void *context, void *command, void *failed);
    void (*drop_event)(void *context, void *event); /* that nobody will take */
} ed_connection_type;

typedef struct ed_manager ed_manager;

/** What a manager is made of; all of it outlives the manager but the two channel ends. */
typedef struct ed_manager_parts {
    const ed_connection_type *type;
    void *type_context;
    const eddy_allocator *allocator;
    const eddy_entropy *entropy;
    const eddy_socket *socket;
    ed_slots *slots;
    ed_channel *commands; /* the manager becomes a receiver of it */
    ed_channel *events;   /* the manager becomes a sender to it, until it is done */
    ed_returns *returns;  /* NULL: the program gives nothing back */
    ed_ending *ending;    /* NULL: it ends when the senders leave `commands`, and not before */
    eddy_stats *stats;
    uint32_t half_open_max;
} ed_manager_parts;

/** @return NULL out of memory, and then it holds neither channel end. */
ed_manager *ed_manager_create(const ed_manager_parts *parts);

/** Destroys all connections without a word, and leaves the channels. NULL is fine. */
void ed_manager_destroy(ed_manager *manager);

/**
 * Does all that is due. `now_ns` never goes backwards.
 * @return when to poll again if nothing arrives before; `now_ns` itself if there is more to do.
 */
uint64_t ed_manager_poll(ed_manager *manager, uint64_t now_ns);

/** The same, but takes in no datagrams, and so lets no deadline pass. */
uint64_t ed_manager_flush(ed_manager *manager, uint64_t now_ns);

/** Whether datagrams wait for room in the socket. */
bool ed_manager_wants_send(const ed_manager *manager);

/**
 * Whether it has shut down, as it was asked to by `ending`, or as nobody was left to send it
 * commands, which is the same without time to flush. From the poll on that takes this no stranger
 * is answered; the commands before it are done; each connection ends; then it sends no more events.
 * All this by the time that was given, or as soon after as there is memory for the events.
 */
bool ed_manager_is_done(const ed_manager *manager);

/** The connection may have something to give out: the poll that goes on, or the next, asks it. */
void ed_manager_touch(ed_manager *manager, eddy_connection handle);

/** The connection's own socket has something to receive: the next poll reads it. */
void ed_manager_readable(ed_manager *manager, eddy_connection handle);

/** The connection of a handle, or NULL if that is stale. Valid until the next poll. */
void *ed_manager_connection(const ed_manager *manager, eddy_connection handle);

uint32_t ed_manager_connection_count(const ed_manager *manager);
uint32_t ed_manager_half_open_count(const ed_manager *manager);

#endif
