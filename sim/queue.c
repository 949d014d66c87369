#include "sim/queue.h"

#include "core/base.h"

#define BIT_NS_PER_BYTE (8 * ED_NS_PER_S) /* bits of a byte, times ns of a second */

bool ed_queue_pass(ed_queue *queue, const ed_link_config *config, size_t size, uint64_t now_ns,
                   uint64_t *depart_ns)
{
    uint64_t rate = config->rate_bps;
    if (rate == 0) {
        *depart_ns = now_ns;
        return true;
    }

    bool idle = queue->free_ns < now_ns;
    uint64_t start_ns = idle ? now_ns : queue->free_ns;
    // A remainder of another rate is a fraction of another size; less than 1 ns either way.
    uint64_t carried = idle || queue->remainder >= rate ? 0 : queue->remainder;
    uint64_t work = (size + config->overhead_size) * BIT_NS_PER_BYTE + carried;
    uint64_t free_ns = start_ns + work / rate;

    // Both sides in time rather than in bytes: what waits is what the rate still has to do.
    uint64_t room_ns = config->queue_size * BIT_NS_PER_BYTE / rate;
    if (start_ns > now_ns && free_ns - now_ns > room_ns)
        return false;

    queue->free_ns = free_ns;
    queue->remainder = work % rate;
    ED_ASSERT(queue->free_ns >= now_ns);
    *depart_ns = queue->remainder == 0 ? free_ns : free_ns + 1; // it has left once all of it has
    return true;
}
