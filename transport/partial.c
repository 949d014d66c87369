#include "transport/partial.h"

#include "transport/parts.h"

enum {
    /* Two parts so many packets apart are not of one message: the sequence has come round again.
       A message in parts takes more than a packet, and a sequence has 16 bits. */
    PARTIAL_PACKETS_MAX = 1 << 15,
    PARTIAL_LIFE_MS = 2000,
};

/** An unreliable message of which some parts are here. */
struct ed_partial {
    ed_assembly assembly; /* its node: in ed_inbox.partials, by age */
    uint64_t packet;      /* the newest that brought a part */
    uint8_t guarantee;
    uint8_t stream;
};

static struct ed_partial *partial_of(ed_list_node *node)
{
    return node == NULL ? NULL : ED_CONTAINER(node, struct ed_partial, assembly.node);
}

static struct ed_partial *oldest_of(const ed_inbox *inbox)
{
    return partial_of(ed_list_first(&inbox->partials));
}

static uint64_t expires_ns(const struct ed_partial *partial)
{
    return ed_add_sat_u64(partial->assembly.since_ns, PARTIAL_LIFE_MS * ED_NS_PER_MS);
}

/* ----------------------------------------------------------------------------------- account -- */

/**
 * Whether there is room for a message of this size, once as much as `freed` is given back; where
 * there is none it is counted as shed.
 */
static bool has_room(ed_inbox *inbox, size_t size, uint64_t freed)
{
    uint64_t charge = ed_charge_of(size);
    const ed_credit_pool *room = inbox->parts->room;
    bool fits = inbox->unreliable - freed + charge <= inbox->parts->unreliable_budget &&
                room->unreliable - freed + charge <= room->unreliable_max;

    inbox->parts->stats->messages_shed_received += fits ? 0 : 1;
    return fits;
}

static void charge(ed_inbox *inbox, size_t size)
{
    inbox->unreliable += ed_charge_of(size);
    inbox->parts->room->unreliable += ed_charge_of(size);
}

static void end_partial(ed_inbox *inbox, struct ed_partial *partial)
{
    ed_list_remove(&partial->assembly.node);
    inbox->partial_count--;
    ed_assembly_free(&partial->assembly, inbox->parts->pool);
    ed_pool_give_bytes(inbox->parts->pool, partial, sizeof(*partial));
}

/** Not all of its parts came. */
static void drop_partial(ed_inbox *inbox, struct ed_partial *partial)
{
    inbox->parts->stats->messages_incomplete++;
    ed_inbox_returned(inbox, false, ed_charge_of(partial->assembly.size));
    end_partial(inbox, partial);
}

void ed_partials_free(ed_inbox *inbox)
{
    while (oldest_of(inbox) != NULL)
        drop_partial(inbox, oldest_of(inbox));
}

void ed_inbox_expire(ed_inbox *inbox, uint64_t now_ns)
{
    while (oldest_of(inbox) != NULL && expires_ns(oldest_of(inbox)) <= now_ns)
        drop_partial(inbox, oldest_of(inbox));
}

uint64_t ed_inbox_expiry_ns(const ed_inbox *inbox)
{
    const struct ed_partial *oldest = oldest_of(inbox);
    uint64_t at_ns = ed_inbox_overdue_ns(inbox);

    return oldest == NULL ? at_ns : ed_min_u64(at_ns, expires_ns(oldest));
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

    return partial->guarantee == part->guarantee && partial->stream == part->stream &&
           partial->assembly.sequence == (uint16_t)part->sequence &&
           ed_assembly_fits(&partial->assembly, part) && apart < PARTIAL_PACKETS_MAX;
}

static struct ed_partial *find(const ed_inbox *inbox, const ed_message_frame *part, uint64_t packet)
{
    ed_list_node *node = ed_list_first(&inbox->partials);

    while (node != NULL && !is_of(partial_of(node), part, packet))
        node = ed_list_next(&inbox->partials, node);
    return partial_of(node);
}

/** Whether there is room for one more, for which the oldest may have to give way. */
static bool make_room(ed_inbox *inbox, size_t size)
{
    struct ed_partial *oldest = inbox->partial_count < ED_PARTIAL_MAX ? NULL : oldest_of(inbox);
    uint64_t freed = oldest == NULL ? 0 : ed_charge_of(oldest->assembly.size);

    // None gives way to one that there would be no room for all the same.
    if (!has_room(inbox, size, freed))
        return false;
    if (oldest != NULL)
        drop_partial(inbox, oldest);
    return true;
}

/** @return EDDY_OK, also where there is no room, which is counted; or EDDY_ENOMEM. */
static eddy_status begin(ed_inbox *inbox, const ed_message_frame *part, uint64_t now_ns,
                         struct ed_partial **begun)
{
    if (!make_room(inbox, (size_t)part->whole_size))
        return EDDY_OK;
    struct ed_partial *partial = ed_pool_take_bytes(inbox->parts->pool, sizeof(*partial));
    if (partial == NULL)
        return EDDY_ENOMEM;
    charge(inbox, (size_t)part->whole_size);
    *partial = (struct ed_partial){.guarantee = part->guarantee, .stream = part->stream};
    ed_assembly_init(&partial->assembly, (uint32_t)part->whole_size);
    partial->assembly.since_ns = now_ns;
    partial->assembly.sequence = (uint16_t)part->sequence;
    ed_list_push_back(&inbox->partials, &partial->assembly.node);
    inbox->partial_count++;
    *begun = partial;
    return EDDY_OK;
}

static eddy_status receive_part(ed_inbox *inbox, ed_lane_in *lane, const ed_message_frame *part,
                                uint64_t packet, uint64_t now_ns)
{
    struct ed_partial *partial = find(inbox, part, packet);
    eddy_status status = partial == NULL ? begin(inbox, part, now_ns, &partial) : EDDY_OK;

    if (partial == NULL)
        return status;
    partial->packet = ed_max_u64(partial->packet, packet);
    status = ed_assembly_add(&partial->assembly, inbox->parts->pool, part);
    if (status != EDDY_OK || !ed_assembly_is_complete(&partial->assembly))
        return status;
    ed_block *whole = ed_assembly_join(&partial->assembly, inbox->parts->pool);
    if (whole == NULL) {
        drop_partial(inbox, partial);
        return EDDY_ENOMEM;
    }
    packet = partial->packet;
    end_partial(inbox, partial); // the message keeps its charge
    inbox->parts->stats->messages_reassembled++;
    deliver(inbox, lane, part, whole, packet);
    return EDDY_OK;
}

eddy_status ed_inbox_receive_unreliable(ed_inbox *inbox, const ed_message_frame *message,
                                        uint64_t packet, uint64_t now_ns)
{
    ed_lane_in *lane = NULL;
    eddy_status status = ed_inbox_get_lane(inbox, message->guarantee, message->stream, &lane);

    if (status == EDDY_ELIMIT) {
        inbox->parts->stats->messages_shed_received++;
        return EDDY_OK;
    }
    if (status != EDDY_OK)
        return status;
    // As it is never sent twice, the packet says which of two is newer.
    if (message->guarantee == ED_WIRE_UNRELIABLE_SEQUENCED && packet < lane->newest) {
        inbox->parts->stats->messages_stale++;
        return EDDY_OK;
    }
    return message->fragment ? receive_part(inbox, lane, message, packet, now_ns)
                             : receive_piece(inbox, lane, message, packet);
}
