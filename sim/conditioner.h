/**
 * A socket with a bad network in front of it: it decorates another socket with one link for what is
 * sent and one for what arrives. The verdicts are those of the same links in virtual time, for the
 * same datagrams at the same times. One thread at a time, as any socket.
 */
#ifndef ED_SIM_CONDITIONER_H
#define ED_SIM_CONDITIONER_H

#include "core/eddy.h"
#include "sim/link.h"

/** The direction of the conditioner's links, which are number 0 of their seed. */
typedef enum ed_conditioner_side {
    ED_CONDITIONER_OUT = 0,
    ED_CONDITIONER_IN = 1,
} ed_conditioner_side;

/** Where the time comes from; it never goes back. */
typedef struct ed_time_source {
    void *context;
    uint64_t (*now_ns)(void *context);
} ed_time_source;

typedef struct ed_conditioner ed_conditioner;

/**
 * @param inner copied. Closing the conditioner's socket closes it; destroying does not.
 * @param clock copied; NULL: ed_clock_now_ns.
 * @return NULL out of memory, or when a config does not pass its check.
 */
ed_conditioner *ed_conditioner_create(const eddy_allocator *allocator, const eddy_socket *inner,
                                      const ed_link_config *out, const ed_link_config *in,
                                      uint64_t seed, const ed_time_source *clock);

/** The socket must no longer be in use. NULL is fine. */
void ed_conditioner_destroy(ed_conditioner *conditioner);

/**
 * The table, valid until destruction. What is due leaves in `send`, `receive` and `wait`, whose
 * timeout is shortened to the next delivery; it cannot wait if the inner socket cannot. `close`
 * sends what is still on its way out at once: nobody would be there to send it later.
 */
eddy_socket ed_conditioner_socket(ed_conditioner *conditioner);

/** The link of a side: to read, to block or to configure anew, on the socket's thread. */
ed_link *ed_conditioner_link(ed_conditioner *conditioner, ed_conditioner_side side);

#endif
