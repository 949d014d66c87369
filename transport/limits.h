/** Every constant of the protocol and every limit of this implementation of it, once. */
#ifndef ED_LIMITS_H
#define ED_LIMITS_H

#include "core/base.h"
#include "core/budget.h"
#include "core/eddy.h"

enum {
    /* PROTOCOL.md 1: datagrams */
    ED_PROTOCOL_VERSION = 1,
    ED_DATAGRAM_SIZE = 1200, /* what every path takes, and the size of HELLO and INITIATE */

    /* PROTOCOL.md 2: packets */
    ED_TAG_SIZE = 16,
    ED_PACKET_ID_SIZE = 4,
    ED_PACKET_NUMBER_SIZE_MIN = 2, /* the smallest we send; 1-4 are accepted */
    ED_PACKET_NUMBER_SIZE_MAX = 4,
    ED_PACKET_HEADER_SIZE_MAX = 1 + ED_PACKET_ID_SIZE + ED_PACKET_NUMBER_SIZE_MAX,
    ED_PACKET_PLAIN_SIZE_MIN = 3,   /* so that header protection has 16 bytes to sample */
    ED_CLIENT_PACKET_SIZE_MIN = 44, /* a client's packet without messages is padded to this */
    ED_MASK_SAMPLE_AT = 4,          /* from where the number begins */
    ED_RESET_SIZE_MIN = 38, /* so that it may be a packet: 21, rounded up against guessing */
    ED_RESET_SIZE_MAX = ED_CLIENT_PACKET_SIZE_MIN - 1,

    /* PROTOCOL.md 3: handshake */
    ED_HELLO_SIZE = ED_DATAGRAM_SIZE,
    ED_RETRY_SIZE = 48,
    ED_INITIATE_SIZE = ED_DATAGRAM_SIZE,
    ED_REJECT_SIZE = 48,
    ED_VERSIONS_SIZE = 48,
    ED_ACCEPT_SIZE = 204,
    ED_ACCEPT_SIZE_MAX = ED_ACCEPT_SIZE + 48, /* in mode OPEN it carries the server's key */
    ED_NONCE_SIZE = 16,
    ED_COOKIE_SIZE = 24,
    ED_EPHEMERAL_SIZE = 32,
    ED_CAPSULE_SIZE = 356, /* what a connect token has for one server */
    ED_RESET_TOKEN_SIZE = 16,
    ED_VERSIONS_MAX = 8,      /* that a client lists, */
    ED_VERSIONS_TOLD_MAX = 6, /* and a server */
    ED_ATTEMPTS_MAX = 8,      /* cookies that a client tries at the same time */
    ED_COOKIE_TICKS_PER_S = 16,
    ED_COOKIE_AGE_MAX_S = 10,
    ED_COOKIE_SECRET_LIFE_S = 64,
    ED_TICKET_LIFE_S = 24 * 60 * 60,

    /* PROTOCOL.md 4: frames */
    ED_FRAME_MESSAGES_MAX = 128, /* messages in one datagram */
    ED_FRAGMENT_UNIT = 128,      /* every part of a message but the last: a multiple of it */
    ED_PART_SIZE_MIN = 512,      /* every part, the last as well: less costs more than it brings */
    ED_ACK_RANGES_MAX = 32,

    /* delivery */
    ED_STREAM_COUNT = 256,
    ED_LANE_WINDOW_BITS = 13,
    ED_LANE_WINDOW = 1 << ED_LANE_WINDOW_BITS, /* messages of one lane that may be outstanding */
    ED_LANE_BURST_MAX = 24,                    /* new messages of one lane in one packet */
    ED_SEQUENCE_SHORT_OUTSTANDING = 1 << 14,   /* beyond this many, a sequence takes four bytes */
    ED_PAGE_UNITS = 11, /* units of a message in parts that are kept together */
    ED_PAGE_SIZE = ED_PAGE_UNITS * ED_FRAGMENT_UNIT,
    ED_PARTS_RATE_MIN = EDDY_RATE_MIN / 2, /* bytes per second: slower ones may be in others' way */
    ED_STARTED_MAX = 2,           /* reliable messages of which some parts have been sent */
    ED_CREDIT_INITIAL = 16 << 10, /* bytes of reliable messages granted in the handshake, */
    ED_CREDIT_INITIAL_MIN = ED_BUDGET_WINDOW_MIN, /* or less, if there may be many connections */
    ED_UNRELIABLE_QUEUE_MAX =
        256 << 10, /* bytes waiting to be sent; above, the oldest is dropped */
    ED_KEPT_RINGS_SIZE_MAX =
        ED_BUDGET_RINGS, /* bytes of rings that a connection keeps for the next gap */
    ED_PARTIAL_MAX = 8,  /* unreliable messages of a connection that wait for parts */

    /* recovery */
    ED_ACK_PROMPT_MAX = 2,  /* unacknowledged packets that ask for haste: then at once */
    ED_ACK_PATIENT_MAX = 8, /* and so for so many of any kind, */
    ED_ACK_PATIENT_SIZE = 2 * ED_DATAGRAM_SIZE, /* or so many bytes: the window waits for them */

    /* PROTOCOL.md 7: paths */
    ED_CONTEST_PTOS =
        3, /* a peer whose address begins anew has so many probe timeouts to object, */
    ED_CONTEST_MS = 500, /* but where one is shorter not more than this: it may have restarted */
    ED_PATH_PTOS = 3,    /* a candidate has so many probe timeouts to answer, and */
    ED_PATH_PATIENCE_MS = 1000, /* at least this; doubled for each that did not, */
    ED_PATH_DOUBLINGS_MAX = 3,  /* so often */
    ED_PATH_HOLD_MS = 100,      /* between one candidate and the next, at least */
    ED_PATH_DEBTS_MAX = 2,      /* challenges of the peer that wait for their answer */

    /* PROTOCOL.md 7.1: the size of datagrams */
    ED_MTU_TRIES = 3, /* probes of one size that are lost before it counts as refused */
    ED_MTU_STEP = ED_FRAGMENT_UNIT, /* what is less is not searched for */
    ED_MTU_DOUBTS_MAX = 8,          /* large packets lost in a row before the path is in doubt */

    /* tokens */
    ED_TOKEN_VERSION = 1,
    ED_TOKEN_HEADER_SIZE = 72,
    ED_TOKEN_ENTRY_SIZE = 60 + ED_CAPSULE_SIZE, /* for one server */
    ED_TOKEN_SIZE_MAX = ED_TOKEN_HEADER_SIZE + EDDY_TOKEN_SERVERS_MAX * ED_TOKEN_ENTRY_SIZE,
    ED_TOKEN_CLOCK_S = 5, /* the issuer's clock may be so far ahead of the server's */
    ED_USED_MAX = 65536,  /* tokens that a server remembers until they expire */

    /* close */
    ED_CLOSE_COPIES = 3,
    ED_RACE_MAX = 4, /* addresses of a name that are tried */
};

#define ED_PACKET_NUMBER_LAST ((UINT64_C(1) << 60) - 1) /* the connection ends before it */
#define ED_KEY_PACKETS (UINT64_C(1) << 22)     /* sent with one key; then it is time for the next */
#define ED_KEY_PACKETS_MAX (UINT64_C(1) << 23) /* for AES-GCM, RFC 9001 section 6.6 */
#define ED_KEY_LIFE_NS (600 * ED_NS_PER_S)     /* and so is after this time */
#define ED_FORGED_MAX (UINT64_C(1) << 35)      /* packets that are not authentic: then it ends */
#define ED_PARTS_LIFE_NS (60 * ED_NS_PER_S)    /* and as long as the largest takes at that rate */
#define ED_MTU_RAISE_NS (600 * ED_NS_PER_S)    /* after a search, until the next one */
#define ED_MTU_REST_NS (60 * ED_NS_PER_S)      /* the same after large packets were lost */
#define ED_REST_NS (5 * ED_NS_PER_S) /* how often it is seen whether a burst's memory may go */
#define ED_ACK_DELAY_NS (25 * ED_NS_PER_MS)
#define ED_ACK_PATIENCE_NS (100 * ED_NS_PER_MS)     /* where nothing would be sent again */
#define ED_HANDSHAKE_RESEND_NS (250 * ED_NS_PER_MS) /* doubles from here */
#define ED_RACE_NEXT_NS (250 * ED_NS_PER_MS)        /* after one, if it has not answered */
#define ED_HALF_OPEN_NS (5 * ED_NS_PER_S)
#define ED_ANSWERED_NS                                                                             \
    (2 * ED_NS_PER_S)                   /* one with a token answers its whole handshake so long    \
                                         */
#define ED_HALF_OPEN_MIN_NS ED_NS_PER_S /* then it gives way to who has no other, */
#define ED_HALF_OPEN_MORE_NS                                                                       \
    (3 * ED_NS_PER_S)                    /* and then to who has: nobody can keep all places young */
#define ED_REFUSING_NS (5 * ED_NS_PER_S) /* longer than a client waits between two INITIATEs */

static_assert(EDDY_DATAGRAM_SIZE_MIN == ED_DATAGRAM_SIZE, "what may be configured");
static_assert(EDDY_PIECE_SIZE_MAX + ED_PACKET_HEADER_SIZE_MAX + ED_TAG_SIZE + 1 + 1 + 4 <=
                  ED_DATAGRAM_SIZE,
              "the largest message fits one datagram with the largest headers");

#endif
