#include "tools/network.h"

#include <stdio.h>

#include "core/alloc.h"
#include "transport/udp.h"

/** How long a datagram is held back so that others overtake it: a few ticks of a game. */
#define REORDER_EXTRA_NS (20 * ED_NS_PER_MS)

bool ed_network_is_clean(const ed_network *network)
{
    return network->loss_ppm == 0 && network->rtt_us == 0 && network->jitter_us == 0 &&
           network->duplicate_ppm == 0 && network->reorder_ppm == 0;
}

const char *ed_network_describe(const ed_network *network, char text[ED_NETWORK_TEXT_SIZE])
{
    char loss[ED_NUMBER_TEXT_SIZE];
    char rtt[ED_NUMBER_TEXT_SIZE];
    char jitter[ED_NUMBER_TEXT_SIZE];
    char duplicate[ED_NUMBER_TEXT_SIZE];
    char reorder[ED_NUMBER_TEXT_SIZE];

    (void)snprintf(text, ED_NETWORK_TEXT_SIZE,
                   "%s ms round trip, %s ms jitter; each way %s %% lost,\n"
                   "%s %% twice, %s %% out of order; seed %llu",
                   ed_number_print(rtt, network->rtt_us, ED_US_PER_MS),
                   ed_number_print(jitter, network->jitter_us, ED_US_PER_MS),
                   ed_number_print(loss, network->loss_ppm, ED_PPM_PER_PERCENT),
                   ed_number_print(duplicate, network->duplicate_ppm, ED_PPM_PER_PERCENT),
                   ed_number_print(reorder, network->reorder_ppm, ED_PPM_PER_PERCENT),
                   (unsigned long long)network->seed);
    return text;
}

static ed_link_config link_config(const ed_network *network)
{
    ed_link_config config = ed_link_config_default();

    config.delay_ns = network->rtt_us * ED_NS_PER_US / 2;
    config.jitter_ns = network->jitter_us * ED_NS_PER_US;
    config.loss_ppm = (uint32_t)network->loss_ppm;
    config.duplicate_ppm = (uint32_t)network->duplicate_ppm;
    config.reorder_ppm = (uint32_t)network->reorder_ppm;
    config.reorder_extra_ns = REORDER_EXTRA_NS;
    return config;
}

eddy_status ed_network_open(const ed_network *network, ed_conditioner **conditioner,
                            eddy_socket *socket)
{
    const eddy_allocator *allocator = ed_alloc_default();
    ed_link_config config = link_config(network);
    eddy_socket inner;
    eddy_status status = ed_link_config_check(&config, NULL);

    ED_ASSERT(status == EDDY_OK); // the options' bounds are within the link's
    status = ed_udp_open(&inner, allocator, NULL, NULL);
    if (status != EDDY_OK)
        return status;
    ed_conditioner *made =
        ed_conditioner_create(allocator, &inner, &config, &config, network->seed, NULL);
    if (made == NULL) {
        inner.close(inner.context);
        return EDDY_ENOMEM;
    }
    *conditioner = made;
    *socket = ed_conditioner_socket(made);
    return EDDY_OK;
}
