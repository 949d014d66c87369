/**
 * One connection, as a pure state machine: datagrams, messages and the time go in; datagrams,
 * events and a deadline come out. No clock, socket, thread or callback. Split by direction: conn.c
 * holds what belongs to both, conn_name.c which address of a name is dialled, conn_handshake.c the
 * client's and server's first datagrams,
 * conn_request.c what the program decides about a newcomer, conn_path.c where the peer is,
 * conn_mtu.c how large its datagrams are, conn_program.c what the program says, conn_event.c what
 * it is told, conn_receive.c, conn_send.c and conn_expire.c the rest.
 */
#ifndef ED_CONN_H
#define ED_CONN_H

#include "core/log.h"
#include "transport/ack.h"
#include "transport/attempts.h"
#include "transport/congestion.h"
#include "transport/conn_state.h"
#include "transport/event.h"
#include "transport/identity.h"
#include "transport/loss.h"
#include "transport/mtu.h"
#include "transport/pacer.h"
#include "transport/path.h"
#include "transport/peer_clock.h"
#include "transport/race.h"
#include "transport/redundancy.h"
#include "transport/replay.h"
#include "transport/returns.h"
#include "transport/rtt.h"
#include "transport/slots.h"
#include "transport/stream_receive.h"
#include "transport/stream_send.h"
#include "transport/ticket.h"
#include "transport/timers.h"

/** What all connections of a manager share. Outlives them. */
typedef struct ed_conn_shared {
    const eddy_config *config;
    const eddy_allocator *allocator;
    const eddy_entropy *entropy;
    ed_identity *identity;
    uint32_t secrets_at;   /* of the first slot, in the identity */
    ed_openings *openings; /* of these slots */
    ed_purse *purse;       /* of tickets to connect by; NULL: there is none */
    ed_pool *receive_pool;
    ed_pool *payload_pool; /* has room for ed_event_payload_charge() of every incoming slot */
    ed_slots *slots;
    ed_credit_pool *room;  /* for what is received */
    ed_account *accounts;  /* of the slots; NULL: there are none */
    ed_asks *asks;         /* of these, the ones that ask for room; NULL: none does */
    uint64_t *queued_cost; /* ed_send_cost of what all connections have accepted and not settled */
    ed_settled *settled;   /* what they leave to be given back */
    ed_list *refused;      /* of ed_conn.refused: who waits for room in the send budget, or NULL */
    ed_returns *returns;   /* to say that released messages are awaited; NULL: none are */
    ed_pool *notice_pool;  /* of events that may come late */
    ed_pool *event_pool;   /* has room for ed_event_charge() of every slot */
    eddy_stats *stats;
    ed_log *log;
    ed_inbox_parts inbox; /* of what is here: ed_conn_share() */
} ed_conn_shared;

/** All but the last is set. It must not move from here on. */
void ed_conn_share(ed_conn_shared *shared);

/** What the connection of a slot has to keep from others; its owner's from when the slot is taken.
 */
static inline ed_secrets *ed_conn_secrets(const ed_conn_shared *shared, eddy_connection handle)
{
    return &shared->identity->secrets[shared->secrets_at + ed_slot_of(handle)];
}

/**
 * How a client connects. In a block, so what it shares with the server is not in it: from the
 * beginning that lies with the secrets of its slot.
 */
typedef struct ed_dial {
    uint8_t mode;
    uint16_t payload_size;
    uint8_t server_key[ED_KEY_SIZE]; /* OPEN: zeros, and once connected what was told */
    ed_attempts attempts;
    uint8_t capsule[ED_CAPSULE_SIZE];
    uint8_t payload[EDDY_CONNECT_PAYLOAD_MAX];
    ed_race race; /* of the addresses of a name, until one has answered */
} ed_dial;

/** Wipes the block and gives it back. NULL is fine. */
void ed_dial_drop(ed_block *dial);

/** How a connection ended, for its DISCONNECTED event. */
typedef struct ed_conn_end {
    eddy_end end;
    eddy_refusal refusal;
    uint32_t code;
    char reason[EDDY_REASON_SIZE];
} ed_conn_end;

static_assert(sizeof(ed_conn_end) <= sizeof(eddy_event_disconnected), "one fits where that goes");

/** What happens to it, for its statistics; ed_conn_get_stats adds what is known elsewhere. */
typedef struct ed_conn_counts {
    uint64_t received_datagrams;
    uint64_t received_bytes;
    uint64_t messages_delivered;
    uint64_t sent_datagrams;
    uint64_t sent_bytes;
    uint64_t packets_lost;
    uint64_t packets_spurious;
    uint64_t probes_sent;
    uint32_t size_probes_sent; /* a few in ten minutes */
    uint32_t size_probes_lost;
    uint32_t black_holes;
    uint64_t messages_sent;
    uint64_t messages_resent;
    uint64_t messages_duplicate;
} ed_conn_counts;

/** As what the gate counts a server's connection. */
typedef enum ed_counted {
    ED_COUNTED_NOT = 0, /* a client's; or the program refused it */
    ED_COUNTED_HALF_OPEN,
    ED_COUNTED_OPEN,
} ed_counted;

typedef struct ed_conn {
    /* What every look at it touches, in the first lines of the cache; what few do comes last. */
    const ed_conn_shared *shared;
    eddy_connection handle;
    ed_secrets *secrets;
    ed_conn_state state;
    uint32_t id; /* in the client's packets; given by the server */
    bool is_client;
    uint8_t counted;      /* ed_counted */
    bool is_challenged;   /* `arriving` asked, and will be answered: once is enough */
    bool is_repeated;     /* and holds a message that had come before: its sender does not know */
    bool request_pending; /* HELLO, INITIATE or ACCEPT is to be sent */
    bool ping_pending;
    bool app_limited;    /* the program, not the window, decides how much is in flight */
    bool wants_writable; /* the program waits to send what was refused: see `wanted` */
    bool close_pending;  /* a copy of CLOSE is to be sent */
    bool is_out_of_time; /* the manager ends now: what is left to say leaves in this poll */
    bool is_muted;       /* no message is taken any more, but some may still be on their way */
    bool asked_pending;  /* an event is to be told; and so with the next three */
    bool connected_pending;
    bool moved_pending;
    bool disconnected_pending;
    uint8_t probes;        /* that must leave whatever the window says */
    uint64_t contested_ns; /* server: somebody at its address began anew, and it was asked; or 0 */
    const eddy_datagram *arriving; /* whose frames are being taken; NULL: none are */
    uint64_t receiving_packet;     /* and the number of its packet */
    uint64_t path_first; /* packets with lower numbers took another path: no measure of this one */

    /* where the peer is */
    ed_path path;        /* that it began with, and is on while `paths` is NULL */
    ed_paths *paths;     /* since its peer was seen elsewhere; NULL: it never was */
    ed_path_debts debts; /* what the peer asks about paths */

    /* receiving */
    ed_replay replay;
    ed_ack ack;
    ed_inbox inbox;
    uint64_t credit_packet; /* the first that told the newest grant */

    /* sending */
    ed_outbox outbox;
    ed_sent_log sent;
    ed_loss loss;
    ed_rtt rtt;
    ed_mtu mtu;
    const ed_congestion_ops *congestion_ops;
    ed_redundancy redundancy;
    ed_congestion congestion;
    ed_pacer pacer;
    uint64_t rate_max;          /* bytes per second that the pacer may let go; 0: no cap */
    uint64_t ack_ping_next_ns;  /* when an ACK may next ask to be acknowledged itself */
    uint64_t life_ping_next_ns; /* when a packet that cannot be kept is next answered by a PING */

    ed_timers timers;
    ed_peer_clock clock;
    ed_conn_counts counts;
    ed_list_node refused;  /* in ed_conn_shared.refused while wants_writable, or longer */
    uint32_t message_max;  /* that the peer takes; 0: not known yet */
    uint32_t wanted;       /* the program was refused a message of this cost, */
    uint8_t wanted_stream; /* on this stream, and waits if wants_writable */
    bool credit_is_known;  /* the peer has acknowledged credit_packet */
    bool receipts_ended;   /* at the end: what became of each message is told, or queued */

    /* handshake */
    uint8_t mode;     /* ed_mode */
    uint8_t suite;    /* ed_aead; server: chosen */
    uint8_t rejected; /* client: eddy_refusal that a REJECT gave as a hint */
    uint8_t nonce[ED_NONCE_SIZE];
    uint8_t cookie[ED_COOKIE_SIZE]; /* client: of the INITIATE that its opening has written */
    union {
        uint8_t reset_token[ED_RESET_TOKEN_SIZE]; /* client: what a server without state shows */
        uint8_t origin[ED_MAC_SIZE]; /* server: of its INITIATE, in ed_reliable.begun */
    };
    uint8_t token_id[ED_XNONCE_SIZE]; /* server, mode TOKEN: what it has used up */
    ed_list_node half_open; /* server: in ed_reliable.half_open until it has confirmed, if nobody
                               was asked */
    eddy_connection rival;  /* server: not answered before it is known whether that lives; or 0 */
    eddy_address admitted_from; /* server: where INITIATE came from */
    uint64_t started_ns;
    union {
        ed_block *dial;     /* client: ed_dial, until CONNECTED is told */
        ed_block *newcomer; /* server: ed_newcomer, until the first event is told; or NULL */
    };
    uint8_t *accept; /* server: what it answered, until the client confirms; or NULL */

    /* ending */
    ed_block *reason;       /* that we say, with its NUL, and report when we are done; or NULL */
    uint64_t late_count;    /* reliable messages that came too late to be sent */
    uint32_t code;          /* with `reason` */
    uint8_t cause;          /* ed_close_cause */
    bool closes_on_connect; /* the program closed before the connection stood */
    uint8_t close_copies;   /* sent */
    bool close_elsewhere;   /* one more is to be sent to the candidate for the path */
    bool begins_unheard;    /* the manager ends: CONNECTED is not reported any more */
    bool is_asked;          /* CONNECT_REQUEST was or will be reported */
    bool is_opened;         /* CONNECTED was or will be reported */
    uint8_t end;            /* eddy_end, or 0; its ed_conn_end stands in disconnected_block */

    /* reserved, so that these events are never lost; NULL once they are told */
    ed_block *request_block; /* with is_asked */
    ed_block *connected_block;
    ed_block *disconnected_block;
} ed_conn;

/**
 * A client's connection; it says HELLO at the first transmit, or if the family of `remote` is NONE,
 * after ed_conn_resolved. Initialises in place.
 * @param dial a block with an ed_dial, @param last one reserved for DISCONNECTED; both are taken
 * over on success.
 * @return EDDY_OK; EDDY_ENOMEM, or EDDY_ELIMIT if there is no room for what it may receive: with
 * nothing to free. Its payload is the caller's to put in.
 */
EDDY_MUST_CHECK eddy_status ed_conn_init_client(ed_conn *conn, const ed_conn_shared *shared,
                                                eddy_connection handle, const eddy_address *remote,
                                                ed_block *dial, ed_block *last, uint64_t now_ns);

/**
 * A server's, for an INITIATE that was let in; it answers at the first transmit, or with
 * config.ask when the program has decided.
 */
EDDY_MUST_CHECK eddy_status ed_conn_init_server(ed_conn *conn, const ed_conn_shared *shared,
                                                eddy_connection handle, uint32_t id,
                                                const eddy_datagram *datagram,
                                                const ed_admitted *admitted, uint64_t now_ns);

/** Gives back all memory that it holds, but not itself. */
void ed_conn_free(ed_conn *conn);

/* In. */

/** Takes a datagram that was routed here; its data may be overwritten. */
void ed_conn_receive(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns);

/**
 * Accepts messages and takes their blocks over, also on failure.
 * @return EDDY_OK; of the last that was not accepted, EDDY_ENOMEM, EDDY_ETOOBIG for the peer, or
 * EDDY_ESTATE if the connection is closing.
 */
eddy_status ed_conn_send(ed_conn *conn, const ed_message *messages, size_t count, uint64_t now_ns);

/** Streams of this number are shared out so from now on. */
void ed_conn_set_stream(ed_conn *conn, uint8_t stream, const eddy_stream_options *options,
                        uint64_t now_ns);

/** The program was told EDDY_EAGAIN: it wants to know when there is room. */
void ed_conn_want_writable(ed_conn *conn, uint8_t stream, uint64_t charge);

/**
 * The program has given messages back: takes their blocks over, which are linked by `next`.
 * @return whether the peer is to be told.
 */
bool ed_conn_returned(ed_conn *conn, ed_block *blocks, uint64_t now_ns);

/** Grants the peer more, if that is due and there is room. */
void ed_conn_update_credit(ed_conn *conn, uint64_t now_ns);

/** Closes: flushes for at most `flush_ns`, then says CLOSE.
 * @param reason with its NUL, at most EDDY_REASON_SIZE bytes; or NULL. Taken over. */
void ed_conn_close(ed_conn *conn, uint32_t code, ed_block *reason, uint64_t flush_ns,
                   uint64_t now_ns);

/** Its program is told of no beginning any more, and a request is refused. */
void ed_conn_stop_beginning(ed_conn *conn, uint64_t now_ns);

/**
 * Closes as ed_conn_close does, and is over by `until_ns`: what copies of CLOSE are left then leave
 * at once. A second call only hurries.
 */
void ed_conn_shut_down(ed_conn *conn, uint64_t until_ns, uint64_t now_ns);

/** An address of the name, or why that cannot be used. `more` others follow. */
void ed_conn_resolved(ed_conn *conn, const eddy_address *remote, uint32_t more, eddy_status status,
                      uint64_t now_ns);

/** Caps the rate, in bytes per second; 0: no cap. */
void ed_conn_set_rate(ed_conn *conn, uint64_t rate_max, uint64_t now_ns);

/** The program lets a newcomer in. Nothing, if it is no request any more. */
void ed_conn_admit(ed_conn *conn, uint64_t now_ns);

/**
 * The program turns a newcomer away; for `linger_ns` the refusal is repeated to whoever did not
 * hear it. Of one that was refused before, this can only shorten the time.
 */
void ed_conn_refuse(ed_conn *conn, uint32_t code, ed_block *reason, uint64_t linger_ns,
                    uint64_t now_ns);

/** Ends it at once and without a word to the peer. */
void ed_conn_abandon(ed_conn *conn, eddy_end end, uint64_t now_ns);

/** The deadline has come: now_ns >= ed_conn_next_ns(). */
void ed_conn_expire(ed_conn *conn, uint64_t now_ns);

/* Out. */

/**
 * Writes the next datagram, if there is one to send now, and the path that it takes.
 * @param data EDDY_DATAGRAM_SIZE_MAX bytes. @return its size, 0: none.
 */
size_t ed_conn_transmit(ed_conn *conn, ed_path *path, uint8_t *data, uint64_t now_ns);

/** Nothing more leaves in this poll: what was to leave now or never is dropped, and one that has no
 * time left is over. */
void ed_conn_on_all_sent(ed_conn *conn, uint64_t now_ns);

/**
 * Takes the next events, `most` at most; their blocks are the caller's.
 * @return how many; less than `most`: there are no others now.
 */
size_t ed_conn_events(ed_conn *conn, ed_event_item *items, size_t most);

/** When to call ed_conn_expire. UINT64_MAX: nothing to wait for. */
uint64_t ed_conn_next_ns(const ed_conn *conn);

/** Where its datagrams go. */
const ed_path *ed_conn_path(const ed_conn *conn);

/** Whether its peer's packets come from elsewhere by now, and it has not followed yet. */
bool ed_conn_is_moving(const ed_conn *conn);

/** Whether it is over and all its events are taken: it may be freed. */
bool ed_conn_is_over(const ed_conn *conn);

/** Whether it is over for the program, and only answers what still comes from the peer. */
bool ed_conn_is_ended(const ed_conn *conn);

/** Whether its last event waits for what other threads are sending at this very moment. */
bool ed_conn_awaits_senders(const ed_conn *conn);

/** Everything that can be said about it. */
void ed_conn_get_stats(const ed_conn *conn, eddy_connection_stats *stats, uint64_t now_ns);

/** What a stream of a guarantee has done; zeros if it was never used. */
void ed_conn_get_stream_stats(const ed_conn *conn, uint8_t guarantee, uint8_t stream,
                              eddy_stream_stats *stats);

/** Whether the program has heard of it, or is about to, and has not heard of its end. */
bool ed_conn_is_known(const ed_conn *conn);

/* Between the files of the connection. */

/** Whether packets are exchanged: CONNECTED or FLUSHING. */
bool ed_conn_is_open(const ed_conn *conn);

/** Whether it is a client's whose handshake goes on. */
bool ed_conn_is_dialling(const ed_conn *conn);

/** Whether it is a newcomer whose client has not confirmed yet: ASKING or HALF_OPEN. */
bool ed_conn_is_half_open(const ed_conn *conn);

/** Whether it is a newcomer that the program has not let in: ASKING or REFUSING. */
bool ed_conn_is_request(const ed_conn *conn);

/** Whether the program has been told the last of it. */
bool ed_conn_is_reported(const ed_conn *conn);

/** Counts messages that will never leave. */
void ed_conn_count_late(ed_conn *conn, uint64_t count);

/** Notes what the program says on closing or refusing. */
void ed_conn_set_close(ed_conn *conn, uint32_t code, ed_block *reason);

/** What that comes to. */
ed_close ed_conn_said_close(const ed_conn *conn);

/** Steps the state and does what the new state asks for. `end` counts if this is the end. */
void ed_conn_apply(ed_conn *conn, ed_conn_input input, const ed_conn_end *end, uint64_t now_ns);

/** The peer broke the protocol, or memory ran out: says CLOSE, if anyone is listening. */
void ed_conn_fail(ed_conn *conn, ed_close_cause cause, uint64_t now_ns);

/** A client has an address to dial: it asks for a cookie, or goes on with a ticket. */
void ed_conn_greet(ed_conn *conn, uint64_t now_ns);

/** A client's handshake begins: with a ticket, or with HELLO if that is NULL. */
void ed_conn_begin_attempts(ed_conn *conn, const uint8_t *ticket, uint64_t now_ns);

/** HELLO or INITIATE is to leave once more. */
void ed_conn_ask_again(ed_conn *conn);

/** The addresses that are tried, while it is open which is the peer's; NULL: its address is known.
 */
ed_race *ed_conn_race(const ed_conn *conn);

/** The addresses of the name that were asked are silent: the next one is tried. */
void ed_conn_try_next(ed_conn *conn, uint64_t now_ns);

/** Who has answered first is the peer: the others are asked no more. */
void ed_conn_end_race(ed_conn *conn, const eddy_address *remote);

/** RETRY, REJECT, ACCEPT or INITIATE. */
void ed_conn_receive_handshake(ed_conn *conn, const eddy_datagram *datagram, uint64_t now_ns);

/** ACCEPT need not be repeated any more. */
void ed_conn_drop_accept(ed_conn *conn);

/** HELLO has left: reckons of INITIATE what needs no answer. */
void ed_conn_reckon_ahead(ed_conn *conn);

/** HELLO, INITIATE or ACCEPT, if one is to be sent, and where to. @return its size, 0: none. */
size_t ed_conn_transmit_handshake(ed_conn *conn, ed_path *path, uint8_t *data, uint64_t now_ns);

/**
 * Server: somebody at the peer's address has begun anew, or says so, with that nonce. A peer that
 * lives answers a PING; and one that has not confirmed yet, in the same handshake, its ACCEPT.
 * @return whether it has had time for that, and has not.
 */
bool ed_conn_is_deserted(ed_conn *conn, const uint8_t nonce[ED_NONCE_SIZE], uint64_t now_ns);

/** Until when the peer may answer that it lives; `contested_ns` is not 0. */
uint64_t ed_conn_contest_ends_ns(const ed_conn *conn);

/** Server: it is answered once the contest of the rival has ended. */
void ed_conn_wait_for(ed_conn *conn, const ed_conn *rival);

/** Server: its rival is gone: the client, which may have waited long, is answered. */
void ed_conn_outlast(ed_conn *conn, uint64_t now_ns);

/** An authentic packet came. @param is_newest none of a higher number came before. */
void ed_conn_on_arrival(ed_conn *conn, const eddy_datagram *datagram, bool is_newest,
                        uint64_t now_ns);

/** The two frames about paths. */
void ed_conn_on_challenge(ed_conn *conn, uint64_t data);
void ed_conn_on_response(ed_conn *conn, uint64_t data, uint64_t now_ns);

/** Where the peer is; none was known before, or was known to be wrong. */
void ed_conn_init_path(ed_conn *conn, const ed_path *path);

void ed_conn_free_paths(ed_conn *conn);

/** A candidate has not answered. */
void ed_conn_expire_path(ed_conn *conn, uint64_t now_ns);

/** Whether the manager's end has come. */
void ed_conn_check_end(ed_conn *conn, uint64_t now_ns);

/** It closes: nobody is asked any more, and CLOSE goes to the candidate, too. */
void ed_conn_stop_moving(ed_conn *conn);

/** What there is to say about paths, and what goes to the candidate. @return its size, 0: none. */
size_t ed_conn_transmit_path(ed_conn *conn, ed_path *path, uint8_t *data, uint64_t now_ns);

/**
 * Writes a packet of a few frames that nobody repeats, and with them what was received, if there is
 * room. It counts for nothing in recovery and congestion: it may take another path.
 * @param room bytes that the datagram may have. @return its size, 0: no room, or no memory.
 */
size_t ed_conn_write_aside(ed_conn *conn, ed_span frames, size_t room, uint8_t *data,
                           uint64_t now_ns);

/** Writes a CLOSE of at most `room` bytes. @return as above. */
size_t ed_conn_write_close_aside(ed_conn *conn, size_t room, uint8_t *data, uint64_t now_ns);

/** What a lost packet carried is to be sent again. */
void ed_conn_on_packet_lost(ed_conn *conn, const ed_sent *packet, uint64_t now_ns);

/** The handshake is through: the peer takes datagrams of `peer_max` bytes. */
void ed_conn_init_mtu(ed_conn *conn, uint32_t peer_max);

/** Nothing is known of the path any more. */
void ed_conn_restart_mtu(ed_conn *conn);

/** A packet has left, and been acknowledged or lost: what its size says about those that pass. */
void ed_conn_on_size_sent(ed_conn *conn, size_t size, uint64_t now_ns);
void ed_conn_on_size_acked(ed_conn *conn, const ed_sent *packet, uint64_t now_ns);
void ed_conn_on_size_lost(ed_conn *conn, const ed_sent *packet, uint64_t now_ns);

/** A packet was too large to leave this machine. */
void ed_conn_on_size_refused(ed_conn *conn, size_t size, uint64_t now_ns);

/** Some packets were lost: whether the path takes less than it did. */
void ed_conn_check_mtu(ed_conn *conn, uint64_t now_ns);

/** Whether the probe timeout that has come is one whose probe is to be small. */
bool ed_conn_doubts_mtu(const ed_conn *conn);

/** A packet of nothing, to see whether its size passes. @return its size, 0: none is due. */
size_t ed_conn_transmit_size_probe(ed_conn *conn, uint8_t *data, uint64_t now_ns);

/** Whether one more packet without messages may be sealed: there is a number, and a place. */
bool ed_conn_reserve_aside(ed_conn *conn);

/** Sets the recovery deadline by what is in flight. */
void ed_conn_update_recovery(ed_conn *conn);

/** Counts losses and has them repaired. */
void ed_conn_detect_losses(ed_conn *conn, uint64_t now_ns);

uint64_t ed_conn_pto_ns(const ed_conn *conn);

/** All is said that was to be said: a flushing connection may close. */
void ed_conn_check_flushed(ed_conn *conn, uint64_t now_ns);

/** Gives up what the program said is not to be sent any more. */
void ed_conn_give_up_late(ed_conn *conn, uint64_t now_ns);

/** Sets the deadline of what expires. */
void ed_conn_update_expiry(ed_conn *conn);

/** What the pacer may let go, in bytes per second: what the path can carry, up to the cap. */
uint64_t ed_conn_rate(const ed_conn *conn);

/** Whether it is the cap on the rate, and not the path, that holds messages back. */
bool ed_conn_is_capped(const ed_conn *conn);

/** Tells the pacer the rate of now. */
void ed_conn_update_rate(ed_conn *conn, uint64_t now_ns);

#endif
