#include "transport/partial.h"

#include "core/alloc.h"
#include "transport/parts.h"

enum {
    /* Two parts so many packets apart are not of one message: the sequence has come round again.
       A message in parts takes more than a packet, and a sequence has 16 bits. */
    PARTIAL_PACKETS_MAX = 1 << 15,
    PARTIAL_LIFE_MS = 2000,
};

/** An unreliable message of which some parts are here. */
struct ed_partial {
    ed_assembly assembly; /* size 0: unused */
    uint64_t packet;      /* the newest that brought a part */
    uint64_t expires_ns;
    uint32_t birth; /* which one it was */
    uint16_t sequence;
    uint8_t guarantee;
    uint8_t stream;
};

static bool is_used(const struct ed_partial *partial)
{
    return partial->assembly.size > 0;
}

/* ----------------------------------------------------------------------------------- account -- */

/**
 * Whether there is room for a message of this size, once as much as `freed` is given back; where
 * there is none it is counted as shed.
 */
static bool has_room(ed_inbox *inbox, size_t size, uint64_t freed)
{
    uint64_t charge = ed_charge_of(size);
    const ed_credit_pool *room = inbox->parts.room;
    bool fits = inbox->unreliable - freed + charge <= inbox->parts.unreliable_budget &&
                room->unreliable - freed + charge <= room->unreliable_max;

    inbox->parts.stats->messages_shed_received += fits ? 0 : 1;
    return fits;
}

static void charge(ed_inbox *inbox, size_t size)
{
    inbox->unreliable += ed_charge_of(size);
    inbox->parts.room->unreliable += ed_charge_of(size);
}

static void end_partial(struct ed_partial *partial)
{
    ed_assembly_free(&partial->assembly);
    *partial = (struct ed_partial){.birth = 0};
}

/** Not all of its parts came. */
static void drop_partial(ed_inbox *inbox, struct ed_partial *partial)
{
    inbox->parts.stats->messages_incomplete++;
    ed_inbox_returned(inbox, false, partial->assembly.size);
    end_partial(partial);
}

void ed_partials_free(ed_inbox *inbox)
{
    if (inbox->partials == NULL)
        return;
    for (size_t i = 0; i < ED_PARTIAL_MAX; i++)
        if (is_used(&inbox->partials[i]))
            drop_partial(inbox, &inbox->partials[i]);
    ed_alloc_free(inbox->parts.allocator, inbox->partials,
                  ED_PARTIAL_MAX * sizeof(*inbox->partials));
    inbox->partials = NULL;
}

void ed_inbox_expire(ed_inbox *inbox, uint64_t now_ns)
{
    for (size_t i = 0; inbox->partials != NULL && i < ED_PARTIAL_MAX; i++)
        if (is_used(&inbox->partials[i]) && inbox->partials[i].expires_ns <= now_ns)
            drop_partial(inbox, &inbox->partials[i]);
}

uint64_t ed_inbox_expiry_ns(const ed_inbox *inbox)
{
    uint64_t at_ns = ed_inbox_overdue_ns(inbox);

    for (size_t i = 0; inbox->partials != NULL && i < ED_PARTIAL_MAX; i++)
        if (is_used(&inbox->partials[i]))
            at_ns = ed_min_u64(at_ns, inbox->partials[i].expires_ns);
    return at_ns;
}

/* --------------------------------------------------------------------------------- delivery -- */

/** Gives a message to the program; of a sequenced lane nothing older is given after it. */
static void deliver(ed_inbox *inbox, ed_lane_in *lane, const ed_message_frame *message,
                    ed_block *block, uint64_t packet)
{
    lane->newest = ed_max_u64(lane->newest, packet);
    lane->delivered++;
    ed_inbox_make_ready(inbox, block, message->guarantee, message->stream, 0);
}

static eddy_status receive_piece(ed_inbox *inbox, ed_lane_in *lane, const ed_message_frame *message,
                                 uint64_t packet)
{
    if (!has_room(inbox, message->data.size, 0))
        return EDDY_OK;
    ed_block *block = ed_inbox_keep(inbox, message);
    if (block == NULL)
        return EDDY_ENOMEM;
    charge(inbox, message->data.size);
    deliver(inbox, lane, message, block, packet);
    return EDDY_OK;
}

/* ------------------------------------------------------------------------------------ parts -- */

static bool is_of(const struct ed_partial *partial, const ed_message_frame *part, uint64_t packet)
{
    uint64_t apart = packet > partial->packet ? packet - partial->packet : partial->packet - packet;

    return is_used(partial) && partial->guarantee == part->guarantee &&
           partial->stream == part->stream && partial->sequence == (uint16_t)part->sequence &&
           ed_assembly_fits(&partial->assembly, part) && apart < PARTIAL_PACKETS_MAX;
}

static struct ed_partial *find(const ed_inbox *inbox, const ed_message_frame *part, uint64_t packet)
{
    for (size_t i = 0; i < ED_PARTIAL_MAX; i++)
        if (is_of(&inbox->partials[i], part, packet))
            return &inbox->partials[i];
    return NULL;
}

/** A place for one more: a free one, or that of the oldest, which is to give way. */
static struct ed_partial *choose_place(ed_inbox *inbox)
{
    struct ed_partial *oldest = &inbox->partials[0];

    for (size_t i = 0; i < ED_PARTIAL_MAX; i++) {
        struct ed_partial *partial = &inbox->partials[i];
        if (!is_used(partial))
            return partial;
        // By distance, so that it stays right where the count of births wraps.
        if (inbox->partial_births - partial->birth > inbox->partial_births - oldest->birth)
            oldest = partial;
    }
    return oldest;
}

/** @return NULL if there is no room; that is counted. */
static struct ed_partial *begin(ed_inbox *inbox, const ed_message_frame *part, uint64_t now_ns)
{
    struct ed_partial *partial = choose_place(inbox);
    uint64_t freed = is_used(partial) ? ed_charge_of(partial->assembly.size) : 0;

    // None gives way to one that there would be no room for all the same.
    if (!has_room(inbox, (size_t)part->whole_size, freed))
        return NULL;
    if (is_used(partial))
        drop_partial(inbox, partial);
    charge(inbox, (size_t)part->whole_size);
    *partial = (struct ed_partial){
        .expires_ns = ed_add_sat_u64(now_ns, PARTIAL_LIFE_MS * ED_NS_PER_MS),
        .birth = inbox->partial_births++,
        .sequence = (uint16_t)part->sequence,
        .guarantee = part->guarantee,
        .stream = part->stream,
    };
    ed_assembly_init(&partial->assembly, inbox->parts.pool, (uint32_t)part->whole_size);
    return partial;
}

static eddy_status receive_part(ed_inbox *inbox, ed_lane_in *lane, const ed_message_frame *part,
                                uint64_t packet, uint64_t now_ns)
{
    struct ed_partial *partial = find(inbox, part, packet);

    if (partial == NULL)
        partial = begin(inbox, part, now_ns);
    if (partial == NULL)
        return EDDY_OK;
    partial->packet = ed_max_u64(partial->packet, packet);
    eddy_status status = ed_assembly_add(&partial->assembly, part);
    if (status != EDDY_OK || !ed_assembly_is_complete(&partial->assembly))
        return status;
    ed_block *whole = ed_assembly_join(&partial->assembly);
    if (whole == NULL) {
        drop_partial(inbox, partial);
        return EDDY_ENOMEM;
    }
    packet = partial->packet;
    end_partial(partial); // the message keeps its charge
    inbox->parts.stats->messages_reassembled++;
    deliver(inbox, lane, part, whole, packet);
    return EDDY_OK;
}

eddy_status ed_inbox_receive_unreliable(ed_inbox *inbox, const ed_message_frame *message,
                                        uint64_t packet, uint64_t now_ns)
{
    ed_lane_in *lane = NULL;
    eddy_status status = ed_inbox_get_lane(inbox, message->guarantee, message->stream, &lane);

    if (status == EDDY_ELIMIT) {
        inbox->parts.stats->messages_shed_received++;
        return EDDY_OK;
    }
    if (status != EDDY_OK)
        return status;
    // As it is never sent twice, the packet says which of two is newer.
    if (message->guarantee == ED_WIRE_UNRELIABLE_SEQUENCED && packet < lane->newest) {
        inbox->parts.stats->messages_stale++;
        return EDDY_OK;
    }
    if (!message->fragment)
        return receive_piece(inbox, lane, message, packet);
    if (inbox->partials == NULL)
        inbox->partials =
            ed_alloc_array(inbox->parts.allocator, ED_PARTIAL_MAX, sizeof(*inbox->partials));
    if (inbox->partials == NULL)
        return EDDY_ENOMEM;
    return receive_part(inbox, lane, message, packet, now_ns);
}
