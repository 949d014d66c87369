#include "transport/sent.h"

#include "core/alloc.h"
#include "core/base.h"

static_assert((ED_SENT_MIN & (ED_SENT_MIN - 1)) == 0 && (ED_SENT_MAX & (ED_SENT_MAX - 1)) == 0,
              "the ring of packets is indexed by a mask");
static_assert((ED_SENT_REFS_MIN & (ED_SENT_REFS_MIN - 1)) == 0 &&
                  (ED_SENT_REFS_MAX & (ED_SENT_REFS_MAX - 1)) == 0,
              "the ring of references is indexed by a mask");
static_assert(sizeof(ed_sent) == 32, "16,384 packets take 512 KiB");
static_assert(sizeof(ed_sent_ref) == 12, "one stands for a packet of small messages");
static_assert((int)ED_SENT_MAX <= UINT16_MAX, "a run has 16 bits");

static ed_sent *packet_at(const ed_sent_log *log, uint64_t number)
{
    return &log->packets[number & (log->capacity - 1)];
}

static ed_sent_ref *ref_at(const ed_sent_log *log, uint32_t place)
{
    return &log->refs[place & (log->ref_capacity - 1)];
}

uint32_t ed_sent_ref_count(const ed_sent_log *log)
{
    return log->ref_next - log->ref_first; // right also where the counters have wrapped
}

/** What can be checked at once, unlike ed_sent_log_valid. */
static bool ends_valid(const ed_sent_log *log)
{
    if (log->first > log->next || log->next - log->first > log->capacity)
        return false;
    if (ed_sent_ref_count(log) > log->ref_capacity)
        return false;
    return log->first == log->next || (packet_at(log, log->first)->number == log->first &&
                                       packet_at(log, log->next - 1)->number == log->next - 1);
}

void ed_sent_log_init(ed_sent_log *log, const eddy_allocator *allocator)
{
    *log = (ed_sent_log){.allocator = allocator};
}

static void free_rings(ed_sent_log *log)
{
    ed_alloc_free(log->allocator, log->packets, log->capacity * sizeof(ed_sent));
    ed_alloc_free(log->allocator, log->refs, log->ref_capacity * sizeof(ed_sent_ref));
    log->packets = NULL;
    log->capacity = 0;
    log->refs = NULL;
    log->ref_capacity = 0;
}

void ed_sent_log_free(ed_sent_log *log)
{
    free_rings(log);
    ed_sent_log_init(log, log->allocator);
}

bool ed_sent_log_is_large(const ed_sent_log *log)
{
    return log->capacity > ED_SENT_QUIET || log->ref_capacity > ED_SENT_QUIET;
}

bool ed_sent_log_rest(ed_sent_log *log)
{
    bool is_quiet = log->next - log->rest_from <= ED_SENT_QUIET;

    log->rest_from = log->next;
    if (!is_quiet || log->first != log->next)
        return false;
    ED_ASSERT(ed_sent_ref_count(log) == 0);
    free_rings(log);
    return true;
}

/** The capacity that `needed` asks for; 0 if that is above `max`. */
static uint32_t capacity_for(size_t needed, uint32_t capacity, uint32_t min, uint32_t max)
{
    capacity = capacity == 0 ? min : capacity;
    while (capacity < needed && capacity < max)
        capacity *= 2;
    return capacity < needed ? 0 : capacity;
}

static eddy_status grow_packets(ed_sent_log *log)
{
    uint32_t capacity =
        capacity_for(ed_sent_count(log) + 1, log->capacity, ED_SENT_MIN, ED_SENT_MAX);

    if (capacity == 0)
        return EDDY_EAGAIN;
    if (capacity == log->capacity)
        return EDDY_OK;
    ed_sent *packets = ed_alloc_array(log->allocator, capacity, sizeof(*packets));
    if (packets == NULL)
        return EDDY_ENOMEM;
    for (uint64_t number = log->first; number < log->next; number++)
        packets[number & (capacity - 1)] = *packet_at(log, number);
    ed_alloc_free(log->allocator, log->packets, log->capacity * sizeof(*packets));
    log->packets = packets;
    log->capacity = capacity;
    return EDDY_OK;
}

static eddy_status grow_refs(ed_sent_log *log, size_t ref_count)
{
    if (ref_count == 0)
        return EDDY_OK;
    uint32_t capacity = capacity_for(ed_sent_ref_count(log) + ref_count, log->ref_capacity,
                                     ED_SENT_REFS_MIN, ED_SENT_REFS_MAX);

    if (capacity == 0)
        return EDDY_EAGAIN;
    if (capacity == log->ref_capacity)
        return EDDY_OK;
    ed_sent_ref *refs = ed_alloc_array(log->allocator, capacity, sizeof(*refs));
    if (refs == NULL)
        return EDDY_ENOMEM;
    for (uint32_t place = log->ref_first; place != log->ref_next; place++)
        refs[place & (capacity - 1)] = *ref_at(log, place);
    ed_alloc_free(log->allocator, log->refs, log->ref_capacity * sizeof(*refs));
    log->refs = refs;
    log->ref_capacity = capacity;
    return EDDY_OK;
}

eddy_status ed_sent_reserve(ed_sent_log *log, size_t ref_count)
{
    ED_CHECKED(ends_valid(log));
    ED_ASSERT(ref_count <= UINT16_MAX);

    // If the second fails the first keeps its larger ring: not a change that anyone can tell.
    eddy_status status = grow_packets(log);
    if (status == EDDY_OK)
        status = grow_refs(log, ref_count);
    if (status == EDDY_OK)
        ed_prefetch(packet_at(log, log->next)); // written when the packet is sealed
    ED_CHECKED(ends_valid(log));
    return status;
}

/** Puts a packet at the new end; its place is reserved. */
static void append(ed_sent_log *log, const ed_sent *packet, ed_sent_state state, size_t ref_count)
{
    ed_sent *place = packet_at(log, log->next);

    *place = *packet;
    place->number = log->next;
    place->state = (uint8_t)state;
    place->flags &= (uint8_t)~ED_SENT_WAS_LOST;
    place->acked_run = 0;
    place->ref_first = log->ref_next;
    place->ref_count = (uint16_t)ref_count;
    log->ref_next += (uint32_t)ref_count;
    log->next++;
}

eddy_status ed_sent_push(ed_sent_log *log, const ed_sent *packet, const ed_sent_ref *refs,
                         size_t ref_count)
{
    // What the peer must answer is in flight by definition (RFC 9002 section 2).
    ED_ASSERT((packet->flags & ED_SENT_ACK_ELICITING) == 0 ||
              (packet->flags & ED_SENT_IN_FLIGHT) != 0);

    eddy_status status = ed_sent_reserve(log, ref_count);
    if (status != EDDY_OK)
        return status;
    for (size_t i = 0; i < ref_count; i++)
        *ref_at(log, log->ref_next + (uint32_t)i) = refs[i];
    append(log, packet, ED_SENT_OUTSTANDING, ref_count);
    ED_CHECKED(ends_valid(log));
    return EDDY_OK;
}

eddy_status ed_sent_skip(ed_sent_log *log, uint64_t now_ns)
{
    eddy_status status = ed_sent_reserve(log, 0);

    if (status != EDDY_OK)
        return status;
    append(log, &(ed_sent){.sent_ns = now_ns}, ED_SENT_SKIPPED, 0);
    log->gap_count++;
    ED_CHECKED(ends_valid(log));
    return EDDY_OK;
}

void ed_sent_plan_gap(ed_sent_log *log, uint64_t draw)
{
    uint32_t more = log->gap_at == 0 ? ED_SENT_GAP_LOG2_MIN : log->gap_log2 + 1;

    log->gap_log2 = more < ED_SENT_GAP_LOG2_MAX ? more : ED_SENT_GAP_LOG2_MAX;
    uint64_t least = UINT64_C(1) << log->gap_log2;
    log->gap_at = log->next + least + (draw & (least - 1));
}

ed_sent *ed_sent_at(const ed_sent_log *log, uint64_t number)
{
    if (number < log->first || number >= log->next)
        return NULL;
    return packet_at(log, number);
}

ed_sent_ref ed_sent_refs(const ed_sent_log *log, const ed_sent *packet, size_t i)
{
    ED_ASSERT(i < packet->ref_count);
    ED_ASSERT(ed_sent_at(log, packet->number) == packet);
    return *ref_at(log, packet->ref_first + (uint32_t)i);
}

ed_sent *ed_sent_first(const ed_sent_log *log)
{
    return ed_sent_at(log, log->first);
}

uint32_t ed_sent_count(const ed_sent_log *log)
{
    return (uint32_t)(log->next - log->first);
}

static bool done_with(const ed_sent *packet, uint64_t below, uint64_t before_ns)
{
    if (packet->state == ED_SENT_ACKED)
        return true;
    if (packet->state == ED_SENT_OUTSTANDING && (packet->flags & ED_SENT_IN_FLIGHT) != 0)
        return false;
    return packet->number < below || packet->sent_ns < before_ns;
}

void ed_sent_trim(ed_sent_log *log, uint64_t below, uint64_t before_ns)
{
    ED_CHECKED(ends_valid(log));

    while (log->first < log->next) {
        ed_sent *packet = packet_at(log, log->first);
        if (!done_with(packet, below, before_ns))
            break;
        ED_ASSERT(packet->ref_first == log->ref_first);
        log->ref_first += packet->ref_count;
        packet->state = ED_SENT_NONE;
        log->first++;
    }
    ED_CHECKED(ends_valid(log));
}

/** Whether the run that an acknowledged packet claims is there, as far as the log still goes. */
static bool run_valid(const ed_sent_log *log, const ed_sent *packet)
{
    for (uint64_t i = 0; i < packet->acked_run && i <= packet->number - log->first; i++)
        if (packet_at(log, packet->number - i)->state != ED_SENT_ACKED)
            return false;
    return packet->acked_run > 0 && packet->acked_run - 1u <= packet->number;
}

static bool packet_valid(const ed_sent_log *log, const ed_sent *packet)
{
    if (packet->state == ED_SENT_NONE || packet->state > ED_SENT_SKIPPED)
        return false;
    if (packet->state == ED_SENT_LOST && (packet->flags & ED_SENT_WAS_LOST) == 0)
        return false;
    if (packet->state != ED_SENT_ACKED)
        return packet->acked_run == 0;
    return run_valid(log, packet);
}

bool ed_sent_log_valid(const ed_sent_log *log)
{
    uint32_t place = log->ref_first;

    if (!ends_valid(log))
        return false;
    for (uint64_t number = log->first; number < log->next; number++) {
        const ed_sent *packet = packet_at(log, number);
        if (packet->number != number || packet->ref_first != place || !packet_valid(log, packet))
            return false;
        place += packet->ref_count;
    }
    return place == log->ref_next;
}
