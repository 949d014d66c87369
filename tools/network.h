/** A bad network in front of a live socket, as options of a command. */
#ifndef ED_TOOL_NETWORK_H
#define ED_TOOL_NETWORK_H

#include "core/eddy.h"
#include "sim/conditioner.h"
#include "tools/options.h"

/** In the units that the options keep. Probabilities hold each way. */
typedef struct ed_network {
    uint64_t loss_ppm;
    uint64_t rtt_us;    /* half of it each way */
    uint64_t jitter_us; /* the mean of what is added each way */
    uint64_t duplicate_ppm;
    uint64_t reorder_ppm;
    uint64_t seed;
} ed_network;

enum {
    ED_NETWORK_PPM_MAX = 1000 * 1000,
    ED_NETWORK_US_MAX = 60 * 1000 * 1000,
    ED_NETWORK_TEXT_SIZE = 256,
};

/** Rows of a table of options. */
#define ED_NETWORK_PERCENT(NAME, TARGET, HELP)                                                     \
    ED_NUMBER(NAME, "PERCENT", TARGET, ED_PPM_PER_PERCENT, 0, ED_NETWORK_PPM_MAX, HELP)
#define ED_NETWORK_MS(NAME, TARGET, HELP)                                                          \
    ED_NUMBER(NAME, "MS", TARGET, ED_US_PER_MS, 0, ED_NETWORK_US_MAX, HELP)
#define ED_NETWORK_OPTIONS(NETWORK)                                                                \
    ED_NETWORK_PERCENT("loss", &(NETWORK)->loss_ppm, "datagrams lost, each way"),                  \
        ED_NETWORK_MS("rtt", &(NETWORK)->rtt_us, "round trip"),                                    \
        ED_NETWORK_MS("jitter", &(NETWORK)->jitter_us, "mean of what is added each way"),          \
        ED_NETWORK_PERCENT("duplicate", &(NETWORK)->duplicate_ppm, "datagrams that come twice"),   \
        ED_NETWORK_PERCENT("reorder", &(NETWORK)->reorder_ppm, "datagrams that come late"),        \
        ED_NUMBER("seed", "N", &(NETWORK)->seed, ED_PER_ONE, 0, UINT64_MAX,                        \
                  "the luck of the network")

/** Whether there is anything for it to do. */
bool ed_network_is_clean(const ed_network *network);

/** Says in words what it does. @return `text`. */
const char *ed_network_describe(const ed_network *network, char text[ED_NETWORK_TEXT_SIZE]);

/**
 * Opens a UDP socket on any port, behind the network. The manager that gets the socket closes it;
 * then the conditioner is to be destroyed.
 * @return EDDY_OK, or why there is none, with the outputs untouched.
 */
EDDY_MUST_CHECK eddy_status ed_network_open(const ed_network *network, ed_conditioner **conditioner,
                                            eddy_socket *socket);

#endif
