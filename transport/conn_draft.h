/**
 * A packet while it is put together: first what must be in it, then as many messages as fit; then
 * it is sealed, and noted as sent. conn_send.c decides what leaves.
 */
#ifndef ED_CONN_DRAFT_H
#define ED_CONN_DRAFT_H

#include "transport/conn.h"
#include "transport/packet.h"

enum { ED_OLDEST_LOOKS_MAX = 512 }; /* messages that are looked at for what to repeat */

typedef struct ed_draft {
    uint8_t *data; /* EDDY_DATAGRAM_SIZE_MAX bytes */
    ed_packet packet;
    ed_writer w; /* over the plaintext */
    ed_sent record;
    ed_sent_ref refs[ED_FRAME_MESSAGES_MAX];
    size_t ref_count;
    size_t message_count;
    uint8_t *last_at; /* where the last message's frame begins; NULL: the last frame is none */
    ed_message_frame last;
    uint8_t *first_at; /* and the first one's; NULL: there is none. Behind it is nothing else */
} ed_draft;

/**
 * Begins the next packet: its number, its key, its header. It has room for what the path takes.
 * @param data EDDY_DATAGRAM_SIZE_MAX bytes.
 */
void ed_draft_begin(ed_draft *d, ed_conn *conn, uint8_t *data, uint64_t now_ns);

/** Notes ed_sent_flag bits of it. */
void ed_draft_flag(ed_draft *d, uint8_t flags);

/** Makes the datagram at most `room` bytes. @return false if not even the shortest fits. */
bool ed_draft_limit(ed_draft *d, size_t room);

/** So that an answer to a server which has lost its state is shorter than its cause. */
void ed_draft_pad_client(ed_draft *d);

/** Makes the datagram just so large, whatever the path takes. Nothing goes in any more. */
void ed_draft_fill(ed_draft *d, size_t size);

/** Seals and records. @return the datagram's size. */
size_t ed_draft_finish(ed_draft *d, ed_conn *conn, uint64_t now_ns);

/** The ACK that is owed. */
void ed_draft_put_ack(ed_draft *d, ed_conn *conn, uint64_t now_ns);

/** The same, if there is room, beside the one that is owed: that may take another path. */
void ed_draft_put_ack_copy(ed_draft *d, ed_conn *conn, uint64_t now_ns);

/** PING, which asks for an acknowledgement. */
void ed_draft_put_ping(ed_draft *d, ed_conn *conn);

/** The answer what time it is, if one is owed; and the question, if it is time to ask. */
void ed_draft_put_answer(ed_draft *d, ed_conn *conn, uint64_t now_ns);
void ed_draft_put_question(ed_draft *d, ed_conn *conn, uint64_t now_ns);

/** The newest grant. */
void ed_draft_put_credit(ed_draft *d, ed_conn *conn);

/** Whether one more message may go in, and there is a place to remember it. */
bool ed_draft_has_place(const ed_draft *d, ed_conn *conn);

/** Puts in a message, a part of one, or the news that one was given up. */
void ed_draft_put(ed_draft *d, ed_conn *conn, const ed_outgoing *next);

/** Puts in what fits of a part that was sent before. @return false: nothing of it. */
bool ed_draft_put_again(ed_draft *d, ed_conn *conn, ed_part *part);

/** Writes a message alone, as one that follows the last if it does. */
void ed_draft_put_frame(ed_draft *d, const ed_message_frame *message);

/**
 * Repeats what is unacknowledged longest, of what no packet since `before_ns` carries: it is what
 * the receiver waits for.
 * @return false if there was nothing to repeat: of all that was begun, the rest has yet to be sent.
 */
bool ed_draft_put_oldest(ed_draft *d, ed_conn *conn, uint64_t before_ns);

/** What is to leave next, as far as it fits. */
void ed_draft_put_messages(ed_draft *d, ed_conn *conn);

/** Of that only what is urgent. */
void ed_draft_put_urgent(ed_draft *d, ed_conn *conn);

/**
 * The newest messages go along again, before those that are in already, as they come before these
 * in their lanes: what is lost is there before anybody misses it.
 */
void ed_draft_put_copies(ed_draft *d, ed_conn *conn, uint64_t now_ns);

#endif
