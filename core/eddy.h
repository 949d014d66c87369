/**
 * eddy: a reliable-UDP connection manager for games.
 *
 * This header, with the four that it includes, is the whole public contract; eddy_channel.h and
 * eddy_loop.h, beside it, are for threads of a game. It needs nothing but the C library, and
 * compiles as C11 and as C++17. Times named `_ns` are nanoseconds of a monotonic clock; `_ms` are
 * milliseconds; sizes are bytes.
 *
 * Threads: every function may be called from any thread at any time unless its comment says
 * otherwise. Nothing here prints, and nothing here blocks unless its comment says so.
 *
 * Processes: a manager stays with the process that opened it. In a child that was forked its keys
 * are gone, and what returns a status says EDDY_EFORKED: open another there. What copies counters
 * gives zeros, and what releases, or shuts down, does nothing.
 */
#ifndef EDDY_H
#define EDDY_H

#include "eddy_base.h"
#include "eddy_config.h"
#include "eddy_keys.h"
#include "eddy_stats.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------- manager, connections -- */

/** A manager owns a socket, or one for each of its shards, and all connections that use them. */
typedef struct eddy_manager eddy_manager;

/** A connection's handle. 0 is never one; a stale one is refused, never followed. */
typedef uint64_t eddy_connection;

/** How a message is delivered. */
typedef enum eddy_guarantee {
    EDDY_UNRELIABLE = 0,           /* at most once, in any order */
    EDDY_UNRELIABLE_SEQUENCED = 1, /* at most once, never an older one after a newer one */
    EDDY_RELIABLE_UNORDERED = 2,   /* exactly once, as soon as it comes */
    EDDY_RELIABLE_ORDERED = 3,     /* exactly once, in the order of its stream */
    EDDY_RELIABLE_SEQUENCED = 4,   /* the newest arrives; older ones arrive before it or never */
} eddy_guarantee;

#define EDDY_STREAM_COUNT 256 /* streams of each guarantee; each has an order of its own */

/** The lowest cap on a rate, in bytes per second: a datagram. */
#define EDDY_RATE_MIN 1200

/**
 * A datagram has at most EDDY_DATAGRAM_SIZE_MIN bytes, which every path takes, until it is known
 * that the path takes more, and then at most EDDY_DATAGRAM_SIZE_MAX: what Ethernet takes over IPv6,
 * and PPPoE over IPv4. Loopback and jumbo frames would take more, but what is left to win there is
 * little: most of the cost is of the bytes.
 */
#define EDDY_DATAGRAM_SIZE_MIN 1200
#define EDDY_DATAGRAM_SIZE_MAX 1452

/** A message up to this size travels in one datagram; a larger one in several. */
#define EDDY_PIECE_SIZE_MAX 1150

/** The largest unreliable message, whatever config.max_message_size is. */
#define EDDY_UNRELIABLE_SIZE_MAX (16 * 1024)

/** The most that config.max_message_size may be. */
#define EDDY_MESSAGE_SIZE_LIMIT (32 * 1024 * 1024)

/** What a message is charged besides its size, so that empty ones cost, too. */
#define EDDY_MESSAGE_CHARGE 64

/** Why a connection ended: name, value, text. */
#define EDDY_END_MAP(X)                                                                            \
    X(EDDY_END_CLOSED_LOCAL, 1, "closed by this end")  /* eddy_disconnect, eddy_shutdown */        \
    X(EDDY_END_CLOSED_REMOTE, 2, "closed by the peer") /* `code` and `reason` are what it gave */  \
    X(EDDY_END_IDLE, 3, "nothing was heard from the peer") /* for idle_timeout_ms */               \
    /* For handshake_timeout_ms. To who does not have these a server is silent; else `refusal` */  \
    /* may say why, as a hint that is not signed. */                                               \
    X(EDDY_END_NO_ANSWER, 4,                                                                       \
      "the peer did not answer: is it there, and are key, room and protocol id right?")            \
    X(EDDY_END_REFUSED, 5, "refused by the peer")      /* `refusal` says why */                    \
    X(EDDY_END_PROTOCOL, 6, "the protocol was broken") /* by the peer, or it says by us */         \
    X(EDDY_END_MEMORY, 7, "out of memory")             /* here or there */                         \
    X(EDDY_END_REPLACED, 8, "the peer lost its state and connected anew")                          \
    X(EDDY_END_DUPLICATE, 9, "there is a connection to that address already")                      \
    X(EDDY_END_UNDECIDED, 10, "the request to connect was not answered in time") /* by us */       \
    X(EDDY_END_UNRESOLVED, 11, "the host name has no address that the socket reaches")             \
    X(EDDY_END_FORGOTTEN, 12, "the peer has lost its state, and does not know us any more")

typedef enum eddy_end {
#define X(name, value, text) name = (value),
    EDDY_END_MAP(X)
#undef X
} eddy_end;

/** The text of an end; "unknown end" for a value that is none. Never NULL; static. */
EDDY_API const char *eddy_end_text(eddy_end end);

/** Why the peer refused. */
typedef enum eddy_refusal {
    EDDY_NOT_REFUSED = 0,
    EDDY_REFUSED_FULL = 1,       /* all its places are taken */
    EDDY_REFUSED_BY_PROGRAM = 2, /* `code` and `reason` are what its eddy_refuse gave */
    EDDY_REFUSED_MODE = 3,       /* it does not accept the mode */
    EDDY_REFUSED_KEY = 4,        /* it does not know the client's key */
    EDDY_REFUSED_TOKEN = 5,      /* the connect token was altered, or is for another server */
    EDDY_REFUSED_EXPIRED = 6,    /* the connect token has expired */
    EDDY_REFUSED_USED = 7,       /* the connect token was used before */
    EDDY_REFUSED_LIMIT = 8,      /* too many, or too fast, from that address */
    EDDY_REFUSED_VERSION = 9,    /* it speaks other versions of the protocol */
} eddy_refusal;

/** The text of a refusal; "unknown refusal" for a value that is none. Never NULL; static. */
EDDY_API const char *eddy_refusal_text(eddy_refusal refusal);

typedef enum eddy_event_type {
    EDDY_EVENT_NONE = 0,
    EDDY_CONNECTED = 1,
    EDDY_DISCONNECTED = 2, /* the last event of its connection, exactly once; until it is taken
                              the connection counts in max_connections or max_outgoing. One that
                              we dialled and the peer closed counts for up to 3 s after that close,
                              as it still answers the peer */
    EDDY_MESSAGE = 3,
    EDDY_WRITABLE = 4,        /* there is room again, after eddy_send said EDDY_EAGAIN */
    EDDY_RECEIPT = 5,         /* what became of a message that was sent with a receipt */
    EDDY_MOVED = 6,           /* the peer has another address, and has proved it */
    EDDY_CONNECT_REQUEST = 7, /* somebody wants to connect: answer by eddy_accept or eddy_refuse */
} eddy_event_type;

#define EDDY_REASON_SIZE 64 /* bytes of a close reason, its NUL included */

#define EDDY_CONNECT_PAYLOAD_MAX 256 /* bytes that may go with a request to connect */

/** What the other end has proved. */
typedef struct eddy_peer {
    eddy_mode mode;      /* that was used */
    eddy_key key;        /* of a server; of a client in EDDY_MODE_MUTUAL, otherwise zeros. In
                            EDDY_MODE_OPEN a server's is worth what the program makes of it: compare
                            it with that of the time before */
    uint64_t client_id;  /* EDDY_MODE_TOKEN, at the server: what the backend gave, */
    const uint8_t *data; /* and its user data. NULL: none; else valid until eddy_release */
    size_t data_size;
} eddy_peer;

/** EDDY_CONNECTED. Of an incoming connection that was asked about, `peer` came with the request. */
typedef struct eddy_event_connected {
    eddy_address remote;
    bool incoming;
    eddy_peer peer;
    /** What came with the request, if the event is the first of it: incoming, and not `ask`. */
    const uint8_t *payload; /* NULL: none; else valid until eddy_release */
    size_t payload_size;
} eddy_event_connected;

/**
 * EDDY_CONNECT_REQUEST, with config.ask: to be answered within 5 s, or it ends in EDDY_DISCONNECTED
 * with EDDY_END_UNDECIDED. The peer may say the same things again and again: that is one request.
 */
typedef struct eddy_event_request {
    eddy_address remote;
    eddy_peer peer;
    const uint8_t *payload; /* NULL: none; else valid until eddy_release */
    size_t payload_size;
} eddy_event_request;

/** EDDY_DISCONNECTED. */
typedef struct eddy_event_disconnected {
    eddy_end end;
    eddy_refusal refusal; /* of EDDY_END_REFUSED, or EDDY_NOT_REFUSED */
    uint32_t code;        /* the application's own, from eddy_disconnect or eddy_refuse */
    uint64_t undelivered; /* reliable messages accepted and not known to have arrived */
    char reason[EDDY_REASON_SIZE];
} eddy_event_disconnected;

/** EDDY_MESSAGE. */
typedef struct eddy_event_message {
    const uint8_t *data; /* aligned to 16 bytes; valid until eddy_release */
    size_t size;
    eddy_guarantee guarantee;
    uint8_t stream;
    /** Ordered streams: how many messages right before this one expired at the sender. */
    uint32_t skipped;
} eddy_event_message;

/**
 * What became of a message, as far as its sender knows. Of an unreliable one that is not all: one
 * that is ACKED may have been dropped there as the program does not read, and one that is LOST may
 * have come, if what was lost is the word that it has.
 */
typedef enum eddy_outcome {
    EDDY_OUTCOME_ACKED = 1,   /* it arrived: the peer has said so */
    EDDY_OUTCOME_LOST = 2,    /* it was dropped here, or on its way, and will not be sent again */
    EDDY_OUTCOME_EXPIRED = 3, /* its time was over, or its connection; whether it came is unknown */
    EDDY_OUTCOME_TOO_BIG = 4, /* it is larger than the peer takes, and was not sent */
} eddy_outcome;

/**
 * EDDY_RECEIPT. There is none of what is sent too late: nothing follows EDDY_DISCONNECTED. The
 * other end says what came in what it sends anyway. Where it has nothing to send it says so within
 * 25 ms, and of unreliable messages alone, which nobody would send again, within 100: so much later
 * than after a round trip the receipt may come.
 */
typedef struct eddy_event_receipt {
    uint64_t receipt; /* as given in eddy_send_options */
    eddy_outcome outcome;
} eddy_event_receipt;

/** EDDY_MOVED. Of several moves between two looks at the events only the last may be told. */
typedef struct eddy_event_moved {
    eddy_address remote; /* where the peer is now */
} eddy_event_moved;

/**
 * One event. Give it back with eddy_release when done: a message has something to release, and so
 * has an event with a payload. There is room for the payloads of max_connections newcomers: each
 * that is kept longer than its connection may keep a newcomer with a payload out.
 */
typedef struct eddy_event {
    eddy_event_type type;
    eddy_connection connection;
    void *user_data; /* of the connection, as of now: see eddy_set_connection_data */
    union {
        eddy_event_connected connected;
        eddy_event_disconnected disconnected;
        eddy_event_message message;
        eddy_event_receipt receipt;
        eddy_event_moved moved;
        eddy_event_request request;
    };
    void *block; /* eddy's own */
} eddy_event;

/**
 * Opens a manager: binds its socket and, with config.pump, starts its thread.
 * @param config NULL for the default. Copied.
 * @return EDDY_OK; EDDY_ECONFIG, EDDY_EADDRESS, EDDY_EINUSE, EDDY_EPERM, EDDY_ENOADDR,
 * EDDY_ESYSTEM, EDDY_ESUPPORT (config.cipher; config.shards, where the system cannot steer what
 * comes to several sockets of one port) or EDDY_ENOMEM, with `*manager` NULL.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_open(eddy_manager **manager, const eddy_config *config);

/**
 * Calls eddy_shutdown, waits until it is done, and frees the manager and all that belongs to it;
 * events not taken are gone, those taken are to be released before. Blocks for at most `flush_ms`
 * and a moment. Without a pump nothing is flushed here: call eddy_shutdown and poll until eddy_next
 * returns EDDY_ECLOSED before. No other thread may be inside a call on this manager. NULL is fine.
 * @return EDDY_OK; EDDY_EAGAIN if messages accepted for sending may not have arrived.
 */
EDDY_API eddy_status eddy_close(eddy_manager *manager, uint32_t flush_ms);

/**
 * Ends, by itself from here on, in `flush_ms` at most (EDDY_FOREVER: as long as it takes). From the
 * return on no stranger is answered, no EDDY_CONNECTED and no EDDY_CONNECT_REQUEST is made, and
 * sends and connects say EDDY_ECLOSED. Every connection sends what was accepted before, closes with
 * `code` 0, and ends in one EDDY_DISCONNECTED, whose `undelivered` counts what its peer has not
 * acknowledged. After the last of them eddy_next says EDDY_ECLOSED. With time to flush the peers
 * that answer are told by one copy of the end or by up to three; at the deadline what is left of
 * the three leaves at once. Only where there is no memory for events it takes longer: until there
 * is. Calling again can only bring the end nearer. May wait for the end of a poll.
 */
EDDY_API void eddy_shutdown(eddy_manager *manager, uint32_t flush_ms);

/**
 * Begins to connect to "HOST:PORT" in EDDY_MODE_PINNED. Messages may be sent at once; they leave
 * when the connection stands. Ends in EDDY_CONNECTED or in EDDY_DISCONNECTED. Never blocks: a host
 * name is looked up on a thread of its own. Of its first four addresses that the socket reaches,
 * IPv6 and IPv4 in turn, the next one is asked where those before have been silent for 250 ms, and
 * who answers first is the peer; no other learns more than that somebody asks. Where there is none
 * within handshake_timeout_ms, that is EDDY_END_UNRESOLVED; then the handshake has as much time
 * again.
 * @param server_key the text of the server's public key, as its program prints it.
 * @return EDDY_OK; EDDY_EADDRESS, EDDY_EKEY, EDDY_EINVAL (no text, or port 0), EDDY_ELIMIT
 * (max_outgoing), EDDY_ENOMEM or EDDY_ECLOSED, with `*connection` 0.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_connect(eddy_manager *manager, const char *host_port,
                                                  const char *server_key,
                                                  eddy_connection *connection);

/** How to connect. Zeroed: nothing is known of the server, so `mode` must say that this is meant.
 */
typedef struct eddy_connect_options {
    eddy_mode mode;             /* 0: TOKEN with a token, PINNED with a server's key */
    const eddy_key *server_key; /* PINNED, MUTUAL: its public key. MUTUAL shows config.secret_key */
    const char *token;          /* TOKEN: its text, as the backend gave it */
    size_t token_server;        /* which of the token's servers to try, 0: the first */
    const void *payload;        /* for the other end's program to judge by. Copied */
    size_t payload_size;        /* at most EDDY_CONNECT_PAYLOAD_MAX */
    void *user_data;            /* as eddy_set_connection_data does, before the first event */
} eddy_connect_options;

/**
 * As eddy_connect.
 * @param host_port NULL with a token: the address in that.
 * @return also EDDY_ETOOBIG (payload), EDDY_ETOKEN, and EDDY_EINVAL (no mode, or one without what
 * it needs; a size and no payload).
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_connect_with(eddy_manager *manager, const char *host_port,
                                                       const eddy_connect_options *options,
                                                       eddy_connection *connection);

/** As eddy_connect_with, to an address at hand. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_connect_address(eddy_manager *manager,
                                                          const eddy_address *remote,
                                                          const eddy_connect_options *options,
                                                          eddy_connection *connection);

/**
 * The public key that clients need: of config.secret_key, or of the one that was made. The latter
 * is zeros in a child made by fork, if the manager does not accept.
 */
EDDY_API eddy_key eddy_public_key(const eddy_manager *manager);

/**
 * Makes two connections of this manager that are each other's peer, such as a host's own player and
 * its server, without datagrams, handshake or encryption. Both get EDDY_CONNECTED: `*a` as the end
 * that dialled, `*b` as the one that was, and of no remote address. What is sent on one comes out
 * of eddy_next for the other at once, in order and whatever the guarantee, without a poll. It is
 * charged to send_budget until it is released, and no EDDY_WRITABLE follows an EDDY_EAGAIN. Ending
 * one ends both. Counters do not see them; what asks about the path says EDDY_ESUPPORT.
 * @return EDDY_OK; EDDY_ELIMIT (two of max_outgoing), EDDY_ENOMEM or EDDY_ECLOSED, with both 0.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_connect_pair(eddy_manager *manager, eddy_connection *a,
                                                       eddy_connection *b);

/**
 * Lets the peer of an EDDY_CONNECT_REQUEST in: EDDY_CONNECTED follows when it answers, otherwise
 * EDDY_DISCONNECTED (EDDY_END_NO_ANSWER after 5 s). Messages may be sent at once.
 * @return EDDY_OK; EDDY_ECONNECTION; EDDY_ESTATE (not a request, or answered before); EDDY_ENOMEM
 * or EDDY_ECLOSED, and then nothing has changed.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_accept(eddy_manager *manager, eddy_connection connection);

/**
 * Turns the peer of an EDDY_CONNECT_REQUEST away; it ends with EDDY_REFUSED_BY_PROGRAM. Here the
 * connection ends as all do, in one EDDY_DISCONNECTED (EDDY_END_CLOSED_LOCAL); for 5 s more its
 * place is kept to say the same to a peer that did not hear, but not counted in max_per_address.
 * eddy_disconnect does the same.
 * @param reason at most EDDY_REASON_SIZE - 1 bytes arrive; NULL: none.
 * @return as eddy_accept.
 */
EDDY_API eddy_status eddy_refuse(eddy_manager *manager, eddy_connection connection, uint32_t code,
                                 const char *reason);

/**
 * Sends a copy of the message on a stream of its guarantee.
 * @return EDDY_OK; EDDY_EINVAL (guarantee), EDDY_ETOOBIG, EDDY_ECONNECTION, EDDY_EAGAIN (a budget
 * of manager, connection or stream is used up; EDDY_WRITABLE follows when half of it is free) or
 * EDDY_ECLOSED, and then nothing was accepted. A message accepted on a connection that ends before
 * it arrived is counted in `undelivered`.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_send(eddy_manager *manager, eddy_connection connection,
                                               eddy_guarantee guarantee, uint8_t stream,
                                               const void *data, size_t size);

/** How one message is sent. Zeroed: as eddy_send does. */
typedef struct eddy_send_options {
    uint32_t expire_ms; /* from the next poll on; then it is not sent any more. 0: never */
    bool now_or_never;  /* unreliable only: dropped unless the next poll puts it in a datagram */
    uint64_t receipt;   /* not 0: an EDDY_RECEIPT with this number says what became of it */
    bool quiet_receipt; /* no EDDY_RECEIPT: eddy_stream_stats.newest_receipt alone tells. With
                           numbers that grow that is the newest message which is known to have
                           arrived: what a snapshot may be told as the difference from */
} eddy_send_options;

/** As eddy_send. EDDY_EINVAL also for now_or_never on a reliable guarantee. */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_send_with(eddy_manager *manager,
                                                    eddy_connection connection,
                                                    eddy_guarantee guarantee, uint8_t stream,
                                                    const void *data, size_t size,
                                                    const eddy_send_options *options);

/** A message to be sent. */
typedef struct eddy_message {
    eddy_connection connection;
    eddy_guarantee guarantee;
    uint8_t stream;
    const void *data; /* copied */
    size_t size;
    eddy_send_options options;
} eddy_message;

/**
 * Sends several messages, to one connection or to many, as eddy_send_with does one after the other
 * up to the first that is refused: so nothing that a stream accepts has a gap before it. Costs far
 * less than as many calls. Go on behind the one that was refused, or with it, later.
 * @param status EDDY_OK when all were accepted; else why the first that was not; NULL: not asked.
 * @return how many were accepted.
 */
EDDY_API size_t eddy_send_batch(eddy_manager *manager, const eddy_message *messages, size_t count,
                                eddy_status *status);

/**
 * Sends the same message to several connections, which share one copy of it, or one in each shard.
 * @param statuses what eddy_send would have said for each; NULL: not asked.
 * @return how many accepted it.
 */
EDDY_API size_t eddy_broadcast(eddy_manager *manager, const eddy_connection *connections,
                               size_t count, eddy_guarantee guarantee, uint8_t stream,
                               const void *data, size_t size, eddy_status *statuses);

enum {
    EDDY_PRIORITY_COUNT = 8,
    EDDY_PRIORITY_DEFAULT = 4,
    EDDY_WEIGHT_DEFAULT = 16,
};

/** How the streams of one number, of all guarantees, share a connection. Zeroed: the defaults. */
typedef struct eddy_stream_options {
    uint8_t priority; /* 1 first, 7 last, 0: EDDY_PRIORITY_DEFAULT; each waits for those before */
    uint8_t weight;   /* share among streams of one priority; 0: EDDY_WEIGHT_DEFAULT */
    size_t budget;    /* of what is accepted and not acknowledged on these streams, reckoned as
                         send_budget; 0: no limit of their own */
    bool no_copies;   /* small reliable messages do not go along again before they are known to be
                         lost, even where the path loses, or nothing is known of it yet */
} eddy_stream_options;

/**
 * Applies to what is sent from now on.
 * @return EDDY_OK, EDDY_EINVAL, EDDY_ECONNECTION, EDDY_ENOMEM or EDDY_ECLOSED.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_set_stream(eddy_manager *manager,
                                                     eddy_connection connection, uint8_t stream,
                                                     const eddy_stream_options *options);

/**
 * Caps what a connection sends from the next poll on, in place of config.rate_max: all datagrams
 * with what is in them, less the handshake's. Over a short time it may be ten datagrams more. Acks
 * and probes are never held back, but the messages behind them wait longer.
 * @param rate_max bytes per second; 0: no cap; else at least EDDY_RATE_MIN.
 * @return EDDY_OK, EDDY_EINVAL, EDDY_ECONNECTION, EDDY_ENOMEM or EDDY_ECLOSED.
 */
EDDY_API eddy_status eddy_set_rate(eddy_manager *manager, eddy_connection connection,
                                   uint64_t rate_max);

/**
 * Ends a connection: sends what was accepted, for at most `flush_ms`, then tells the peer.
 * @param reason at most EDDY_REASON_SIZE - 1 bytes arrive; NULL: none.
 * @return EDDY_OK, EDDY_ECONNECTION, EDDY_ENOMEM or EDDY_ECLOSED.
 */
EDDY_API eddy_status eddy_disconnect(eddy_manager *manager, eddy_connection connection,
                                     uint32_t code, const char *reason, uint32_t flush_ms);

/**
 * Takes the next event. Blocks for at most `timeout_ms` (0: not at all; EDDY_FOREVER).
 * @return EDDY_OK; EDDY_EAGAIN when none came; EDDY_ECLOSED when none will; then `*event` is of
 * type EDDY_EVENT_NONE.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_next(eddy_manager *manager, eddy_event *event,
                                               uint32_t timeout_ms);

/**
 * For small clients with one connection: takes events until one of `type` comes, and releases those
 * before it. Blocks for at most `timeout_ms` in all.
 * @return EDDY_OK; EDDY_EAGAIN when it did not come; EDDY_ECLOSED when it will not: `*event` is
 * then the EDDY_DISCONNECTED that came instead, or of type EDDY_EVENT_NONE.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_await(eddy_manager *manager, eddy_event_type type,
                                                eddy_event *event, uint32_t timeout_ms);

/** As eddy_next, without waiting, up to `count` events. @return how many. */
EDDY_API size_t eddy_next_batch(eddy_manager *manager, eddy_event *events, size_t count);

/** Gives an event's memory back and makes it EDDY_EVENT_NONE. An empty event is fine. */
EDDY_API void eddy_release(eddy_manager *manager, eddy_event *event);

/** The same for `count` events, for far less than as many calls cost. */
EDDY_API void eddy_release_batch(eddy_manager *manager, eddy_event *events, size_t count);

/** What stands in config.user_data. */
EDDY_API void *eddy_user_data(const eddy_manager *manager);

/**
 * Gives a connection something of the program's own, which every event of it that is taken from now
 * on carries, EDDY_DISCONNECTED too: there it may be freed. A new connection has NULL. eddy never
 * looks behind the pointer.
 * @return EDDY_OK or EDDY_ECONNECTION.
 */
EDDY_API eddy_status eddy_set_connection_data(eddy_manager *manager, eddy_connection connection,
                                              void *user_data);

/** What was set; NULL if the handle is stale. */
EDDY_API void *eddy_connection_data(eddy_manager *manager, eddy_connection connection);

/**
 * A descriptor that is readable while eddy_next has something to return, and then until it says
 * EDDY_EAGAIN: so look until then before you sleep on it. -1: none here.
 */
EDDY_API int eddy_event_fd(eddy_manager *manager);

/**
 * Without a pump: does all that is due at `now_ns`, with up to 2,048 datagrams. One thread at a
 * time. A clock that has been set back is taken to go on from where it was. @return when to call
 * again at the latest, by the same clock, if no datagram comes before: `now_ns` or less, there may
 * be more to do at once; UINT64_MAX never.
 */
EDDY_API uint64_t eddy_poll(eddy_manager *manager, uint64_t now_ns);

/**
 * The same without a look for what has come, and so without a timeout but that of messages: sends
 * what was asked for since the poll at once, for less. The thread that polls, alone, may call it.
 * @return as eddy_poll.
 */
EDDY_API uint64_t eddy_flush(eddy_manager *manager, uint64_t now_ns);

/**
 * Without a pump, for a thread that polls by eddy_now_ns: sleeps until there is something to do for
 * the next eddy_poll, or `timeout_ms` have passed. Wakes when a datagram comes, when there is room
 * to send again, when the time that eddy_poll returned has come, and when another thread sends. It
 * may also wake for nothing. The thread that polls, alone, may call it.
 * @return EDDY_OK; EDDY_ESTATE with a pump; EDDY_ESUPPORT if config.socket cannot wait;
 * EDDY_ESYSTEM without a descriptor to wake by; EDDY_EFORKED.
 */
EDDY_API eddy_status eddy_wait(eddy_manager *manager, uint32_t timeout_ms);

/** The clock of the pump, for programs that poll themselves. */
EDDY_API uint64_t eddy_now_ns(void);

/** The address that the manager's socket is bound to. */
EDDY_API eddy_address eddy_local_address(const eddy_manager *manager);

/* ------------------------------------------------------------------------ looking at connections
 */

/*
 * What follows looks at the connections themselves, as they are after the last poll. So each of
 * these calls may have to wait for the end of a poll that is going on, but for nothing else.
 */

/** Where a connection stands. */
typedef enum eddy_state {
    EDDY_STATE_NONE = 0,       /* the handle is stale */
    EDDY_STATE_REQUESTED = 1,  /* it is incoming, and the program has not decided about it */
    EDDY_STATE_CONNECTING = 2, /* it was dialled or let in, and the other end has to confirm */
    EDDY_STATE_CONNECTED = 3,
    EDDY_STATE_CLOSING = 4, /* what was accepted is sent, or the end is being told */
} eddy_state;

EDDY_API eddy_state eddy_connection_state(eddy_manager *manager, eddy_connection connection);

/**
 * Lists the connections that the program has heard of and not yet of their end: those it dialled,
 * and those of an EDDY_CONNECT_REQUEST or EDDY_CONNECTED event, which may still wait to be taken.
 * @param handles room for `capacity`; NULL with a capacity of 0. In no order that means anything.
 * @return how many there are, also where that is more than there was room for.
 */
EDDY_API size_t eddy_connections(eddy_manager *manager, eddy_connection *handles, size_t capacity);

/**
 * The address of the other end, as it is now.
 * @return EDDY_OK; EDDY_ECONNECTION; EDDY_EAGAIN (dialled, and no poll has seen it yet, or none of
 * the name's addresses has answered); `*address` is then untouched.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_peer_address(eddy_manager *manager,
                                                       eddy_connection connection,
                                                       eddy_address *address);

/** What the other end's clock says. */
typedef struct eddy_peer_time {
    uint64_t now_ns;
    uint64_t error_ns; /* the truth is at most so far from that */
} eddy_peer_time;

/**
 * What the clock says by which the other end polls, when ours says `now_ns`: for a game, the
 * server's time. It never goes back for a `now_ns` that does not, but runs a sixteenth faster or
 * slower until it is right again; or, where it is wrong by more than a second, leaps ahead or
 * stands still. The error is at best half of the shortest round trip, and grows between answers
 * by 500 millionths of the time: so much the two clocks may differ in speed. Answers come along
 * with other traffic, at most one a second, and a keepalive is enough. What happens during a poll
 * counts as at its `now_ns`: to one that takes long add its length. May wait for the end of a poll.
 * @param now_ns by the clock of our polls, which is eddy_now_ns() with a pump.
 * @return EDDY_OK; EDDY_ECONNECTION; EDDY_EAGAIN (not known yet); `*time` is then untouched. The
 * two of eddy_connect_pair have one clock.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_clock(eddy_manager *manager, eddy_connection connection,
                                                uint64_t now_ns, eddy_peer_time *time);

/* -------------------------------------------------------------------------------- statistics -- */

/*
 * These are as of the last poll, and each of these calls may have to wait for the end of one.
 */

/** Copies the counters: the sums of all shards. */
EDDY_API void eddy_get_stats(eddy_manager *manager, eddy_stats *stats);

/** Copies the counters of one shard. @return EDDY_OK, EDDY_EINVAL (shard) or EDDY_EFORKED. */
EDDY_API eddy_status eddy_get_shard_stats(eddy_manager *manager, uint32_t shard, eddy_stats *stats);

/** How many shards there are: config.shards, and at least one. */
EDDY_API uint32_t eddy_shard_count(const eddy_manager *manager);

/** Which of them a connection belongs to, for as long as it lasts. */
EDDY_API uint32_t eddy_shard_of(eddy_connection connection);

/**
 * Copies the figures of a connection.
 * @return EDDY_OK; EDDY_ECONNECTION; EDDY_EAGAIN (dialled, and no poll has seen it yet); `*stats`
 * is then untouched.
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_get_connection_stats(eddy_manager *manager,
                                                               eddy_connection connection,
                                                               eddy_connection_stats *stats);

/**
 * Copies the figures of a stream, zeros if it was never used.
 * @return as eddy_get_connection_stats; EDDY_EINVAL (guarantee).
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_get_stream_stats(eddy_manager *manager,
                                                           eddy_connection connection,
                                                           eddy_guarantee guarantee, uint8_t stream,
                                                           eddy_stream_stats *stats);

/** Copies how often each check of EDDY_CHECK_MAP has refused something. */
EDDY_API void eddy_get_refusals(eddy_manager *manager, uint64_t counts[EDDY_CHECK_COUNT]);

/** What a check demands; "unknown check" for a value that is none. Never NULL; static. */
EDDY_API const char *eddy_check_text(eddy_check check);

/** Copies the socket's counters. */
EDDY_API void eddy_get_socket_stats(eddy_manager *manager, eddy_socket_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
