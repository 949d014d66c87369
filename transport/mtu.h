/**
 * How large a datagram the path takes, found by trying (after RFC 8899). It begins with what every
 * path takes, ED_DATAGRAM_SIZE. Once that has been filled and more waits, a packet that says
 * nothing is sent with the largest size, and after it halves of what is left in between; what is
 * acknowledged is the size from then on. No word of the network is believed, only what arrives, and
 * that this machine has nowhere to send one so large.
 *
 * A path may come to take less without saying so. Then the large packets are lost and the small
 * ones are not: so many in a row, for so long, that neither chance nor a full queue explains it.
 *
 * State alone: what is sent, and when, is conn_mtu.c's part. A packet larger than ED_DATAGRAM_SIZE
 * is a large one.
 */
#ifndef ED_MTU_H
#define ED_MTU_H

#include "transport/limits.h"
#include "transport/sent.h"

typedef struct ed_mtu {
    uint32_t size;       /* bytes that a datagram may have */
    uint32_t limit;      /* that it may ever have: by configuration, and the peer */
    uint32_t refused;    /* the least that did not pass; limit + 1: none is known */
    uint32_t probe_size; /* of the probe in flight; 0: none is */
    uint32_t tries;      /* probes of the size in question that were lost */
    bool is_searching;
    uint8_t doubts;   /* see below */
    uint64_t next_ns; /* when the next probe may leave, or the next search begin */
    uint64_t first;   /* packets with lower numbers say nothing of the path as it is */
    /* `doubts`: large packets lost with none acknowledged that was sent after the first of them. */
    uint64_t doubt_first;    /* number of the first */
    uint64_t doubt_first_ns; /* when that left */
    uint64_t passed;         /* the newest large packet that was acknowledged, or `first` */
    uint64_t small_ns;       /* when the newest small packet left that was acknowledged */
    uint64_t small_since_ns; /* the same, when it was first one after doubt_first; ED_NEVER_NS */
} ed_mtu;

/** Nothing is known of the path. @param limit at least ED_DATAGRAM_SIZE, which means: no search. */
void ed_mtu_init(ed_mtu *mtu, uint32_t limit);

/** The path is another one: begins anew. @param first the number of the next packet. */
void ed_mtu_restart(ed_mtu *mtu, uint64_t first);

/** What is in flight counts no more, but the path is the same. @param first as above. */
void ed_mtu_forget_flight(ed_mtu *mtu, uint64_t first);

/** A datagram was as large as may be, and more waits. @return whether a search begins. */
bool ed_mtu_on_full(ed_mtu *mtu, uint64_t now_ns);

/** The size of the probe that is to leave now; 0: none is. */
uint32_t ed_mtu_due(const ed_mtu *mtu, uint64_t now_ns);

/** When ed_mtu_due is worth asking; ED_NEVER_NS: not before something else happens. */
uint64_t ed_mtu_next_ns(const ed_mtu *mtu);

/** The probe that is due has left. @param gap_ns until the next may, at least. */
void ed_mtu_on_probe_sent(ed_mtu *mtu, uint64_t gap_ns, uint64_t now_ns);

/** A packet was acknowledged, be it a probe or not. @return whether `size` has grown. */
bool ed_mtu_on_acked(ed_mtu *mtu, const ed_sent *packet, uint64_t now_ns);

/** A packet was lost, be it a probe or not. */
void ed_mtu_on_lost(ed_mtu *mtu, const ed_sent *packet, uint64_t now_ns);

/**
 * This machine has let a packet of that size not out. A probe of it need not be waited for; if it
 * was no probe, it is as with a black hole.
 * @param first the number of the next packet. @return whether `size` has shrunk.
 */
bool ed_mtu_on_refused(ed_mtu *mtu, size_t size, uint64_t first, uint64_t now_ns);

/**
 * To be asked when packets were lost: whether large ones do not pass any more. Then they need not:
 * `size` is ED_DATAGRAM_SIZE at once, and no search begins for ED_MTU_REST_NS.
 * @param first the number of the next packet.
 */
bool ed_mtu_is_black_hole(ed_mtu *mtu, uint64_t pto_ns, uint64_t first, uint64_t now_ns);

/** Whether the figures can have come about. */
bool ed_mtu_valid(const ed_mtu *mtu);

#endif
