/** How a manager is set up: its settings, and what it may be given in place of its own. */
#ifndef EDDY_CONFIG_H
#define EDDY_CONFIG_H

#include "eddy_keys.h"
#include "eddy_stats.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ----------------------------------------------------------------------- what may be replaced */

/** One datagram on its way in or out. */
typedef struct eddy_datagram {
    eddy_address remote;
    eddy_address local; /* the address it came to or leaves from; family NONE: any */
    uint8_t *data;
    size_t size;
    uint8_t ecn; /* the two ECN bits of RFC 3168; 0 where they are not read */
} eddy_datagram;

/**
 * A datagram socket, as calls over batches. It belongs to one manager; calls never overlap, and
 * none may call the manager: it waits for them.
 */
typedef struct eddy_socket {
    void *context;
    /**
     * Takes up to `count` datagrams that have arrived; 0 when there are none. Their data belong to
     * the socket and stay valid until the next call of `receive`.
     */
    size_t (*receive)(void *context, eddy_datagram *datagrams, size_t count);
    /**
     * Sends from the front of the batch. @return how many were taken (sent, or dropped and
     * counted); fewer than `count` when there is no room now.
     */
    size_t (*send)(void *context, const eddy_datagram *datagrams, size_t count);
    /** The address it is bound to. */
    eddy_address (*local)(void *context);
    /**
     * Sleeps until there is something to receive, room to send (if `want_send`), `wake_fd` is
     * readable (if not negative), or `timeout_ns` has passed. NULL: cannot wait (no pump).
     */
    void (*wait)(void *context, int wake_fd, bool want_send, uint64_t timeout_ns);
    /**
     * Takes word of up to `count` datagrams that `send` took and dropped, as this machine lets none
     * so large out: their remote addresses and sizes, each told once. Called by the thread that
     * sends, after it has. @return how many. NULL: it never knows.
     */
    size_t (*too_big)(void *context, eddy_datagram *datagrams, size_t count);
    void (*stats)(void *context, eddy_socket_stats *stats); /* NULL: keeps none */
    void (*close)(void *context);                           /* NULL: nothing to close */
} eddy_socket;

/** How host names become addresses. */
typedef struct eddy_resolver {
    void *context;
    /**
     * Finds addresses of "HOST:PORT", the best in front. Called on threads of its own, perhaps of
     * several at once, and may return long after eddy_close: so `context` stays good for as long.
     * @return EDDY_OK with `*count` of them, at most `capacity`; or any other status.
     */
    eddy_status (*resolve)(void *context, const char *host_port, eddy_address *addresses,
                           size_t capacity, size_t *count);
} eddy_resolver;

typedef enum eddy_log_level {
    EDDY_LOG_ERROR = 1,
    EDDY_LOG_WARN = 2,
    EDDY_LOG_INFO = 3,
    EDDY_LOG_DEBUG = 4,
} eddy_log_level;

/** Topics are bits, so that a sink can choose. */
typedef enum eddy_log_topic {
    EDDY_LOG_SOCKET = 1,
    EDDY_LOG_HANDSHAKE = 2,
    EDDY_LOG_CONNECTION = 4,
    EDDY_LOG_MANAGER = 8,
    EDDY_LOG_ALL_TOPICS = 15,
} eddy_log_topic;

/** Receives one line without a newline. Called on the manager's thread, or on those of its shards,
 * several at once; must not call eddy. */
typedef void (*eddy_log_function)(void *context, eddy_log_level level, eddy_log_topic topic,
                                  const char *text);

/* ------------------------------------------------------------------------------------ config -- */

/** How congestion is controlled. */
typedef enum eddy_congestion {
    EDDY_CONGESTION_NEW_RENO = 0, /* RFC 9002 section 7: gives way to every loss */
    EDDY_CONGESTION_MODEL = 1,    /* by the path's round trip with and without a queue: keeps
                                     queues short, and bears loss that is not for want of room.
                                     The default */
} eddy_congestion;

/** How the two ends prove who they are. All is encrypted, with fresh keys, in each of them. */
typedef enum eddy_mode {
    EDDY_MODE_OPEN = 1,   /* the client knows nothing of the server: for a LAN, and development */
    EDDY_MODE_PINNED = 2, /* the client knows the server's public key */
    EDDY_MODE_MUTUAL = 4, /* and the server knows the client's */
    EDDY_MODE_TOKEN = 8,  /* the client has a connect token of a backend that the server trusts */
} eddy_mode;

/** How packets are sealed. */
typedef enum eddy_cipher {
    EDDY_CIPHER_BEST = 0,     /* AES-256-GCM where both ends have it in hardware, else the other */
    EDDY_CIPHER_CHACHA20 = 1, /* ChaCha20-Poly1305 */
    EDDY_CIPHER_AES256 = 2,   /* AES-256-GCM, or no connection */
} eddy_cipher;

#define EDDY_SHARDS_MAX 64 /* the most that config.shards may be */

typedef struct eddy_config {
    const char *bind;     /* "HOST:PORT", ":PORT" (both families); NULL: any port, both families */
    bool accept;          /* whether others may connect to us */
    bool ask;             /* whether the program decides about each of them: EDDY_CONNECT_REQUEST */
    bool pump;            /* whether eddy runs a thread of its own; otherwise call eddy_poll */
    uint32_t shards;      /* threads, each with a socket of its own for a part of the connections:
                             2-EDDY_SHARDS_MAX of a server with a pump and without `socket`; 0, 1:
                             one. Each has an equal part of send_budget, receive_budget and
                             max_half_open */
    uint64_t protocol_id; /* names the game and its version; both ends must agree */
    uint32_t max_connections;      /* incoming connections, 0-65,000 */
    uint32_t max_outgoing;         /* outgoing connections, 0-65,000; 65,000 for both together */
    uint32_t max_half_open;        /* incoming connections not yet confirmed, 1-65,000 */
    uint32_t handshake_timeout_ms; /* 100-600,000 */
    uint32_t idle_timeout_ms;      /* silence that ends a connection; 0: never; else >= 100 */
    uint32_t keepalive_ms;         /* silence that is answered by a ping; 0: never */
    uint64_t rate_max;             /* bytes per second of a connection; 0: no cap; else >= 1,200 */
    uint32_t max_datagram_size;    /* bytes of a datagram, both ways, where the path is found to
                                      take it: EDDY_DATAGRAM_SIZE_MIN, and nothing is tried, to
                                      EDDY_DATAGRAM_SIZE_MAX */
    size_t max_message_size;       /* bytes; both ways: larger ones are neither sent nor taken */
    size_t send_budget;            /* heap for what eddy_send accepted and is not acknowledged: a
                                      message costs its size, at most 35 % of that, and 464 */
    size_t connection_send_budget; /* of one connection, reckoned alike; it has room for a message
                                      of max_message_size */
    size_t receive_budget;         /* bytes received and not yet released by the program: enough are
                                      64 KiB, 4 x max_message_size and 25,000 for each connection
                                      that there may be. Who uses so many streams that there is no
                                      room to know them by ends with EDDY_END_MEMORY */
    size_t unreliable_budget;      /* of these, unreliable ones of one connection; beyond, shed */
    uint32_t modes;                /* eddy_mode bits that are accepted */
    bool open_to_public;           /* EDDY_MODE_OPEN also for addresses that are not private */
    bool strict_tokens;            /* EDDY_MODE_TOKEN: none that was issued before this manager ran,
                                      nor within 5 s from then, as clocks differ. So a restart lets
                                      no token be used twice, and makes whoever waited get a new one
                                    */
    eddy_cipher cipher;
    uint64_t server_id;         /* EDDY_MODE_TOKEN: the backend's number of this server */
    const eddy_key *secret_key; /* of a server; of a client in EDDY_MODE_MUTUAL. NULL: one that
                                   lasts as long as the manager. Each server its own: who sees a
                                   packet for one could have another of the same key reset it.
                                   This and the next: copied */
    const eddy_key *room_key;   /* that both ends must have, but for EDDY_MODE_TOKEN; or NULL. In
                                   EDDY_MODE_OPEN it is proved after a request was told, not before
                                   */
    const eddy_key *token_key;  /* EDDY_MODE_TOKEN: see eddy_key_token. A server that restarts takes
                                   a token that it took before once more, until that expires, but
                                   for `strict_tokens` */
    const eddy_key *client_keys; /* EDDY_MODE_MUTUAL: public keys of who may come; NULL: `ask`
                                    must be set, and the program looks at the key. Copied */
    size_t client_key_count;     /* at most 65,536 */
    uint32_t connect_rate;       /* handshakes that one address may begin a second, after it has
                                    proved to be there; 0: no limit. An IPv6 /64 is one address */
    uint32_t connect_burst;      /* of these at once, 1-65,535; one with a wrong key costs its
                                    address so many, also of those to come */
    uint32_t max_per_address;    /* incoming connections of one address, to 65,535; 0: no limit */
    uint32_t half_open_per_address; /* of these, not yet confirmed, to 65,535; 0: no limit. With all
                                       places taken, too, the oldest gives way to a newcomer: at 1 s
                                       of age, at 3 s where the newcomer's address has others. Not
                                       one that the program was asked about */
    const eddy_prefix *trusted; /* networks without these four limits, and without one of resets:
                                   proxies, cafes. Copied;
                                   the loopback addresses need not be in it */
    size_t trusted_count;       /* at most 1,024 */
    uint32_t reply_rate;        /* replies to strangers a second, of all; 0: no limit */
    uint32_t handshake_rate;    /* handshakes a second that are reckoned through; 0: no limit */
    eddy_congestion congestion;
    eddy_log_level log_level;
    uint32_t log_topics;   /* eddy_log_topic bits */
    eddy_log_function log; /* NULL: no log */
    void *log_context;
    const eddy_allocator *allocator; /* NULL: mimalloc, private to eddy. Copied. Not for looking up
                                        names, which may outlast the manager */
    const eddy_entropy *entropy;     /* NULL: the operating system's. Copied */
    const eddy_calendar *calendar;   /* NULL: the operating system's. Copied */
    const eddy_socket *socket;       /* NULL: UDP. Copied; once open, closed by eddy_close */
    const eddy_resolver *resolver;   /* NULL: the operating system's. Copied */
    void *user_data;                 /* the program's own: what eddy_user_data returns */
} eddy_config;

/** A client's configuration: any port, accepts nobody, with a pump thread; modes: PINNED. */
EDDY_API eddy_config eddy_config_default(void);

/**
 * @return EDDY_OK, or EDDY_ECONFIG with the name of the first bad field in `*field` (static text;
 * `field` may be NULL).
 */
EDDY_API EDDY_MUST_CHECK eddy_status eddy_config_check(const eddy_config *config,
                                                       const char **field);

#ifdef __cplusplus
}
#endif

#endif
