#include "tools/large.h"

#include <string.h>

#include "core/base.h"
#include "core/crypto.h"

enum { RECEIVE_BUDGET_MESSAGES = 4 }; // that eddy_config_check asks for

void ed_checksum(uint8_t checksum[ED_CHECKSUM_SIZE], const void *data, size_t size)
{
    ed_blake2b(checksum, ED_CHECKSUM_SIZE, data, size, NULL, 0);
}

void ed_large_fill(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

void ed_large_sent(ed_large *large, const uint8_t *data, size_t size, uint64_t now_ns,
                   uint8_t checksum[ED_CHECKSUM_SIZE])
{
    ED_ASSERT(large->sent == 0);
    ed_checksum(checksum, data, size);
    large->sent = 1;
    large->sent_ns = now_ns;
}

void ed_large_answered(ed_large *large, const eddy_event_message *message,
                       const uint8_t checksum[ED_CHECKSUM_SIZE], uint64_t now_ns)
{
    bool is_right = large->sent > large->arrived && message->guarantee == ED_LARGE_GUARANTEE &&
                    message->size == ED_CHECKSUM_SIZE &&
                    memcmp(message->data, checksum, ED_CHECKSUM_SIZE) == 0;

    if (!is_right) {
        large->damaged++;
        return;
    }
    large->arrived++;
    large->time_ns = now_ns - large->sent_ns;
    ED_ASSERT(large->arrived <= large->sent);
}

bool ed_large_is_owed(const ed_large *large)
{
    return large->arrived + large->damaged < large->sent;
}

bool ed_large_is_kept(const ed_large *large)
{
    return large->size == 0 ||
           (large->sent > 0 && large->arrived == large->sent && large->damaged == 0);
}

uint64_t ed_large_bits_per_s(const ed_large *large)
{
    uint64_t time_us = large->time_ns / ED_NS_PER_US;

    return large->arrived == 0
               ? 0
               : large->size * 8 * (ED_NS_PER_S / ED_NS_PER_US) / ed_max_u64(time_us, 1);
}

const char *ed_large_news(const ed_large *large)
{
    if (large->size == 0)
        return "";
    return large->arrived == 0 ? "  0/1 large" : "  1/1 large";
}

void ed_large_merge(ed_large *into, const ed_large *from)
{
    into->size = ed_max_u64(into->size, from->size);
    into->sent += from->sent;
    into->arrived += from->arrived;
    into->damaged += from->damaged;
    into->time_ns = ed_max_u64(into->time_ns, from->time_ns);
}

static size_t at_least(size_t budget, size_t needed)
{
    return budget < needed ? needed : budget;
}

void ed_large_allow(eddy_config *config, size_t size)
{
    config->max_message_size = size;
    config->connection_send_budget = at_least(config->connection_send_budget, 2 * size);
    config->send_budget = at_least(config->send_budget, 2 * size);
    config->receive_budget = at_least(config->receive_budget, RECEIVE_BUDGET_MESSAGES * size);
}
