/**
 * What eddy_shutdown promises, watched at one node of a cluster from the call to the end of its
 * manager. Each promise is counted where it was put to the test.
 */
#ifndef ED_TEST_PARTING_H
#define ED_TEST_PARTING_H

#include "tests/support/cluster.h"

/** name, what is counted */
#define ED_PROMISE_MAP(X)                                                                          \
    X(NOBODY_NEW, "strangers who asked in vain")                                                   \
    X(NOTHING_MORE, "sends and connects that were refused")                                        \
    X(ALL_FLUSHED, "messages that were pending, and arrived")                                      \
    X(ALL_COUNTED, "messages that were counted as undelivered")                                    \
    X(ALL_TOLD, "connections that ended, once each")                                               \
    X(ONE_END, "ends of all events")                                                               \
    X(NOTHING_LEFT, "managers that gave all back")                                                 \
    X(IN_TIME, "managers that were over by the deadline")

typedef enum ed_promise {
#define X(name, text) ED_PROMISE_##name,
    ED_PROMISE_MAP(X)
#undef X
        ED_PROMISE_COUNT
} ed_promise;

/** How often each was put to the test, and kept. */
typedef struct ed_promises {
    uint64_t kept[ED_PROMISE_COUNT];
} ed_promises;

/** One node that shuts down. */
typedef struct ed_parting {
    ed_node *node;
    ed_promises *promises;
    uint64_t deadline_ns;
    size_t known; /* its connections when it was asked to end */
    struct {
        bool connected;
        uint64_t pending; /* messages that were accepted and not acknowledged */
    } before[ED_NODE_ENDPOINTS_MAX];
    uint64_t asked;        /* by strangers, since */
    uint64_t last_to_mute; /* datagrams to `mute` at the deadline */
    const ed_node *mute;   /* that says nothing any more; NULL: none */
} ed_parting;

/** Asks the node to end, and takes what was said before. */
void ed_parting_begin(ed_parting *parting, ed_node *node, ed_promises *promises, uint32_t flush_ms);

/** Asks again: that can only bring the end nearer. */
void ed_parting_hurry(ed_parting *parting, uint32_t flush_ms);

/** Shows it a datagram that is being sent. */
void ed_parting_observe(ed_parting *parting, const eddy_datagram *datagram, uint64_t now_ns);

/** Its manager is over: checks all promises, and closes it. */
void ed_parting_check(ed_parting *parting);

#endif
