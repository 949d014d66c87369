/** Counters and figures: of a manager, a connection, a stream. Part of <eddy.h>. */
#ifndef EDDY_STATS_H
#define EDDY_STATS_H

#include "eddy_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a socket has done since it was opened. */
typedef struct eddy_socket_stats {
    uint64_t sent_datagrams;
    uint64_t sent_bytes;
    uint64_t sent_calls; /* system calls, so sent_datagrams / sent_calls is the batch size */
    uint64_t received_datagrams;
    uint64_t received_bytes;
    uint64_t received_calls;
    uint64_t refused;     /* ECONNREFUSED and other news of an unreachable peer */
    uint64_t no_buffers;  /* ENOBUFS: the datagram was dropped */
    uint64_t too_big;     /* EMSGSIZE: the datagram was dropped */
    uint64_t would_block; /* the kernel's buffer was full; the datagram was kept */
    uint64_t other_errors;
    uint64_t segment_retries; /* segmentation offload failed; sent again one by one */
    uint64_t truncated;       /* longer than any eddy datagram may be */
    bool segmentation;        /* UDP_SEGMENT is in use */
    bool coalescing;          /* UDP_GRO is in use */
    bool batching;            /* sendmmsg and recvmmsg are in use */
    bool split;               /* handshakes have a queue of their own */
} eddy_socket_stats;

/** What a manager has seen. Counters only grow. */
#define EDDY_STATS_MAP(X)                                                                          \
    X(received_datagrams, "datagrams that arrived")                                                \
    X(received_bytes, "bytes in them")                                                             \
    X(sent_datagrams, "datagrams handed to the socket")                                            \
    X(sent_bytes, "bytes in them")                                                                 \
    X(dropped_unknown, "datagrams of no known kind, or for no known connection")                   \
    X(dropped_malformed, "datagrams that do not parse")                                            \
    X(dropped_forged, "datagrams whose tag is wrong")                                              \
    X(dropped_replayed, "packets that had come before, or too long ago")                           \
    X(dropped_cookie, "requests whose cookie is wrong or too old")                                 \
    X(dropped_limit, "newcomers above a limit")                                                    \
    X(dropped_memory, "packets that there was no memory to keep")                                  \
    X(replied_stateless, "replies to strangers")                                                   \
    X(resets_sent, "packets of forgotten connections answered by a reset")                         \
    X(refused, "newcomers told that they may not connect")                                         \
    X(connections_opened, "connections that reached EDDY_CONNECTED")                               \
    X(connections_closed, "connections that ended after that")                                     \
    X(messages_sent, "messages accepted from the program")                                         \
    X(messages_delivered, "messages given to the program")                                         \
    X(messages_resent, "copies of reliable messages sent again")                                   \
    X(messages_duplicate, "reliable messages that arrived again")                                  \
    X(messages_undelivered,                                                                        \
      "reliable messages whose connection ended before they were acknowledged")                    \
    X(messages_shed, "unreliable messages dropped at the sender, oldest first")                    \
    X(messages_shed_received, "unreliable messages dropped because the program does not read")     \
    X(messages_stale, "sequenced messages that came after a newer one")                            \
    X(messages_incomplete, "unreliable messages of which not all parts came")                      \
    X(messages_expired, "messages whose time was over before they were acknowledged")              \
    X(messages_superseded, "reliable sequenced messages lost, and not sent again for a newer one") \
    X(messages_skipped, "reliable messages that the peer gave up")                                 \
    X(messages_reassembled, "messages put together of several parts")                              \
    X(sends_refused, "sends that were told EDDY_EAGAIN")                                           \
    X(credits_sent, "grants of credit to the peer")                                                \
    X(packets_lost, "packets declared lost")                                                       \
    X(packets_spurious, "packets declared lost that were acknowledged later")                      \
    X(probes_sent, "packets sent to ask for an acknowledgement")                                   \
    X(size_probes_sent, "packets sent to see whether a larger datagram passes")                    \
    X(size_probes_lost, "of these, declared lost")                                                 \
    X(black_holes, "times that large datagrams did not pass any more")                             \
    X(keepalives_sent, "pings sent because nothing was heard")                                     \
    X(paths_challenged, "addresses that a peer's packets came from, asked whether it is there")    \
    X(paths_validated, "of these, the ones where it is: the connection has moved")                 \
    X(paths_refused, "of these, the ones where it is not, or that did not answer")                 \
    X(paths_ignored, "packets from further addresses, and challenges, above a limit")              \
    X(commands_stale, "sends and disconnects for a connection that had ended")

typedef struct eddy_stats {
#define X(name, text) uint64_t name;
    EDDY_STATS_MAP(X)
#undef X
} eddy_stats;

/**
 * Every check of what the network says, once: name, number, what it demands. A datagram that does
 * not pass is refused, and counted under the check. Numbers are never used again.
 */
#define EDDY_CHECK_MAP(X)                                                                          \
    /* handshake */                                                                                \
    X(EDDY_CHECK_HELLO_SIZE, 1, "HELLO has its size")                                              \
    X(EDDY_CHECK_HELLO_FORM, 2, "HELLO has its form")                                              \
    X(EDDY_CHECK_HELLO_MAC, 3, "HELLO knows the server's key")                                     \
    X(EDDY_CHECK_GAME, 4, "the protocol id is this game's")                                        \
    X(EDDY_CHECK_MODE, 5, "the mode is one that the server accepts")                               \
    X(EDDY_CHECK_ANSWER_FORM, 6, "RETRY, REJECT or VERSIONS has its size")                         \
    X(EDDY_CHECK_ANSWER_MAC, 7, "such an answer is to us, by who knows the key")                   \
    X(EDDY_CHECK_INITIATE_FORM, 8, "INITIATE has its size and form")                               \
    X(EDDY_CHECK_COOKIE, 9, "the cookie is ours, for this address, and young")                     \
    X(EDDY_CHECK_INITIATE_SEAL, 10, "INITIATE is authentic, and made with the same room key")      \
    X(EDDY_CHECK_INITIATE_FIELDS, 11, "what INITIATE seals makes sense")                           \
    X(EDDY_CHECK_ACCEPT_FORM, 12, "ACCEPT has its size and form")                                  \
    X(EDDY_CHECK_ACCEPT_NONCE, 13, "ACCEPT echoes the nonce")                                      \
    X(EDDY_CHECK_ACCEPT_SEAL, 14, "ACCEPT is authentic")                                           \
    X(EDDY_CHECK_ACCEPT_FIELDS, 15, "what ACCEPT seals makes sense")                               \
    X(EDDY_CHECK_OPEN_PRIVATE, 16, "mode OPEN is for private addresses")                           \
    X(EDDY_CHECK_SUITE, 17, "a cipher suite that both have")                                       \
    X(EDDY_CHECK_CLIENT_KEY, 18, "the client's key is on the list")                                \
    X(EDDY_CHECK_TOKEN, 19, "the connect token is for this server, and not altered")               \
    X(EDDY_CHECK_TOKEN_TIME, 20, "the connect token has not expired")                              \
    X(EDDY_CHECK_TOKEN_USED, 21, "the connect token is used for the first time")                   \
    X(EDDY_CHECK_RATE, 22, "an address does not ask too often")                                    \
    X(EDDY_CHECK_CAP, 23, "an address has not too many connections")                               \
    X(EDDY_CHECK_WORK, 24, "there is time for another Diffie-Hellman")                             \
    X(EDDY_CHECK_PORT, 25, "the source port is of no service that would answer")                   \
    X(EDDY_CHECK_REPLIES, 26, "there is time for another reply to a stranger")                     \
    X(EDDY_CHECK_HALF_OPEN, 36, "there is room for another that has not confirmed")                \
    X(EDDY_CHECK_CROWD, 80, "an address has not too many that have not confirmed")                 \
    X(EDDY_CHECK_POINT, 37, "a public key is a point with which a secret can be made")             \
    X(EDDY_CHECK_TOKEN_ROOM, 38, "there is room to note another connect token")                    \
    X(EDDY_CHECK_TOKEN_START, 39,                                                                  \
      "the connect token was issued since the server runs, if asked for")                          \
    X(EDDY_CHECK_TICKET, 27, "the ticket is ours, for this address, and has not expired")          \
    X(EDDY_CHECK_TICKET_USED, 28, "the ticket is used for the first time")                         \
    X(EDDY_CHECK_INITIATE_MAC, 29, "INITIATE knows the server's key")                              \
    /* packets */                                                                                  \
    X(EDDY_CHECK_PACKET_FORM, 30, "the packet has its form")                                       \
    X(EDDY_CHECK_PACKET_REPLAY, 31, "the packet has not come before, nor too late")                \
    X(EDDY_CHECK_PACKET_SEAL, 32, "the packet is authentic")                                       \
    X(EDDY_CHECK_RESET, 33, "a stateless reset has the token")                                     \
    X(EDDY_CHECK_RESETS, 34, "there is time for another reset")                                    \
    X(EDDY_CHECK_RESETS_EACH, 81, "a network does not have too many resets sent to it")            \
    X(EDDY_CHECK_STRAY, 35, "a server's packet is for a client of that server; not counted")       \
    /* frames: what breaks these ends the connection */                                            \
    X(EDDY_CHECK_FRAME_TYPE, 40, "the frame is of a known type")                                   \
    X(EDDY_CHECK_FRAME_END, 41, "the frame ends within the packet, and is written in one way")     \
    X(EDDY_CHECK_FRAME_STATE, 42, "the frame may arrive now")                                      \
    X(EDDY_CHECK_MESSAGE_COUNT, 43, "a packet has not too many messages")                          \
    X(EDDY_CHECK_ACK_RANGES, 44, "the ranges of an ACK are few, and lie one below the other")      \
    X(EDDY_CHECK_ACK_UNSENT, 45, "what is acknowledged was sent")                                  \
    X(EDDY_CHECK_SKIP_FORM, 46, "a SKIP is of a reliable message, with its charge")                \
    X(EDDY_CHECK_CLOSE_FORM, 47, "a CLOSE has a known cause, and a short reason")                  \
    X(EDDY_CHECK_MESSAGE_FORM, 48, "a MESSAGE has a known guarantee, and no field for nothing")    \
    X(EDDY_CHECK_PART_PLACE, 49, "a part lies within its message")                                 \
    X(EDDY_CHECK_ACK_SKIPPED, 50, "what is acknowledged was not left out on purpose")              \
    X(EDDY_CHECK_ACK_DELAY, 51, "no acknowledgement was held back for longer than 25 ms")          \
    X(EDDY_CHECK_TIME, 52, "an answer what time it is was held no longer than the round trip")     \
    X(EDDY_CHECK_MESSAGE_NEXT, 53, "a MESSAGE told by the one before it is behind a whole one")    \
    /* delivery */                                                                                 \
    X(EDDY_CHECK_MESSAGE_SIZE, 60, "a message is not larger than we take, and in parts if large")  \
    X(EDDY_CHECK_SEQUENCE, 61, "a sequence is near those that have come")                          \
    X(EDDY_CHECK_CREDIT, 62, "no more is sent than was granted")                                   \
    X(EDDY_CHECK_ONE_PIECE, 63, "what came in parts does not come in one piece, too")              \
    X(EDDY_CHECK_PARTS_AGREE, 64, "the parts of a message agree about it")                         \
    X(EDDY_CHECK_SKIP_CHARGE, 65, "a SKIP charges what is known of its message, at least")         \
    /* paths */                                                                                    \
    X(EDDY_CHECK_CHALLENGE, 70, "a datagram asks no more than once about its path")                \
    X(EDDY_CHECK_PATH_RATE, 71, "a peer does not move too often")                                  \
    X(EDDY_CHECK_PATH_ANSWER, 72, "a path is answered with what it was asked")

#define EDDY_CHECK_COUNT 128 /* of numbers; most are of no check yet */

typedef enum eddy_check {
#define X(name, number, text) name = (number),
    EDDY_CHECK_MAP(X)
#undef X
} eddy_check;

/** What one connection has seen. Times and sizes are as of now; counters only grow. */
#define EDDY_CONNECTION_STATS_MAP(X)                                                               \
    /* the path; times are 0 before the first sample */                                            \
    X(rtt_smoothed_ns, "round trip, smoothed, without the peer's waiting")                         \
    X(rtt_latest_ns, "the newest sample")                                                          \
    X(rtt_min_ns, "the least sample")                                                              \
    X(rtt_variation_ns, "mean deviation of the samples")                                           \
    X(window, "bytes that may be in flight")                                                       \
    X(in_flight, "bytes sent and neither acknowledged nor lost")                                   \
    X(pacing_rate, "bytes per second that may leave")                                              \
    X(path_rate, "bytes per second that the path delivers, as far as it was put to use")           \
    X(path_rtt_ns, "round trip that the path has now, with an empty queue")                        \
    X(path_queue_ns, "how long what is sent waits in the path")                                    \
    X(datagram_size, "bytes that a datagram of ours may have")                                     \
    X(size_probes_sent, "packets sent to see whether a larger datagram passes")                    \
    X(size_probes_lost, "of these, declared lost")                                                 \
    X(black_holes, "times that large datagrams did not pass any more")                             \
    /* sending */                                                                                  \
    X(sent_datagrams, "datagrams sent, the handshake's too")                                       \
    X(sent_bytes, "bytes in them")                                                                 \
    X(packets_sent, "packets sent")                                                                \
    X(packets_lost, "of these, declared lost")                                                     \
    X(packets_spurious, "of these, acknowledged later")                                            \
    X(probes_sent, "packets sent to ask for an acknowledgement")                                   \
    X(messages_sent, "messages accepted from the program")                                         \
    X(messages_resent, "copies of reliable messages sent again")                                   \
    X(messages_shed, "unreliable messages dropped at the sender, oldest first")                    \
    X(queued_size, "bytes of heap that is accepted and not settled, as for send_budget")           \
    X(queue_ns, "how long the message that waits longest to be sent has waited")                   \
    X(send_credit, "bytes of reliable messages that the peer has room for now")                    \
    /* receiving */                                                                                \
    X(received_datagrams, "datagrams that came for it")                                            \
    X(received_bytes, "bytes in them")                                                             \
    X(messages_delivered, "messages given to the program")                                         \
    X(messages_duplicate, "reliable messages that arrived again")                                  \
    X(unreleased_size,                                                                             \
      "bytes given to the program and not released, messages with EDDY_MESSAGE_CHARGE")

typedef struct eddy_connection_stats {
#define X(name, text) uint64_t name;
    EDDY_CONNECTION_STATS_MAP(X)
#undef X
} eddy_connection_stats;

/** What the streams of one guarantee and number have done, in both directions. */
#define EDDY_STREAM_STATS_MAP(X)                                                                   \
    X(messages_sent, "messages of which at least a part has left")                                 \
    X(messages_resent, "copies sent again, of parts each")                                         \
    X(queued_size, "bytes of heap that is accepted and not settled, as for send_budget")           \
    X(newest_receipt, "the highest receipt of a message that has arrived; 0: none has")            \
    X(messages_delivered, "messages given to the program")

typedef struct eddy_stream_stats {
#define X(name, text) uint64_t name;
    EDDY_STREAM_STATS_MAP(X)
#undef X
} eddy_stream_stats;

#ifdef __cplusplus
}
#endif

#endif
