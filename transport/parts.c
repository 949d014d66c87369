#include "transport/parts.h"

#include "transport/check.h"
#include "transport/partial.h"
#include "transport/ring.h"

#define ASSEMBLY_NOTE UINT64_MAX /* the note of a block that holds an ed_assembly */

bool ed_parts_held(const ed_block *held)
{
    return held->note == ASSEMBLY_NOTE;
}

static ed_assembly *assembly_of(ed_block *held)
{
    ED_ASSERT(ed_parts_held(held));
    return (ed_assembly *)(void *)held->data;
}

void ed_parts_drop(ed_block *held)
{
    if (ed_parts_held(held)) {
        ed_list_remove(&assembly_of(held)->node);
        ed_assembly_free(assembly_of(held));
    }
    ed_pool_give(held);
}

static uint64_t claimed_for(const ed_assembly *assembly)
{
    return assembly->end == 0 ? EDDY_MESSAGE_CHARGE : ed_charge_upto(assembly->size, assembly->end);
}

uint64_t ed_parts_claimed(ed_block *held)
{
    return claimed_for(assembly_of(held));
}

/** Parts are sent in order, so one that reaches far has been charged with all before it. */
static bool claim_part(ed_inbox *inbox, ed_assembly *assembly, const ed_message_frame *part)
{
    uint64_t end = part->fragment_index * ED_FRAGMENT_UNIT + part->data.size;

    if (end <= assembly->end)
        return true;
    if (!ed_credit_claim(&inbox->credit,
                         ed_charge_upto(assembly->size, end) - claimed_for(assembly)))
        return false;
    assembly->end = (uint32_t)end;
    return true;
}

static ed_assembly *begin_assembly(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence,
                                   uint32_t size)
{
    if (!ed_ring_reach(inbox, lane, sequence))
        return NULL;
    ed_block *block = ed_pool_take(inbox->parts.pool, sizeof(ed_assembly));
    if (block == NULL)
        return NULL;
    block->note = ASSEMBLY_NOTE;
    ed_assembly_init(assembly_of(block), inbox->parts.pool, size);
    assembly_of(block)->since_ns = ED_NEVER_NS;
    ed_list_push_back(&inbox->assemblies, &assembly_of(block)->node);
    ed_ring_hold(lane, sequence, block);
    inbox->credit.demand += ed_charge_of(size);
    return assembly_of(block);
}

void ed_parts_end(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence)
{
    ed_block *held = ed_ring_held(lane, sequence);
    uint64_t charge = ed_charge_of(assembly_of(held)->size);

    ED_ASSERT(inbox->credit.demand >= charge);
    inbox->credit.demand -= charge;
    ed_parts_drop(held);
    ed_ring_unhold(lane, sequence);
}

eddy_status ed_parts_receive(ed_inbox *inbox, ed_lane_in *lane, const ed_message_frame *part,
                             uint64_t sequence, ed_block **whole)
{
    ed_block *held = ed_ring_held(lane, sequence);
    ed_assembly *assembly = held != NULL
                                ? assembly_of(held)
                                : begin_assembly(inbox, lane, sequence, (uint32_t)part->whole_size);

    if (assembly == NULL)
        return EDDY_ENOMEM;
    if (!SEC_CHECK(EDDY_CHECK_PARTS_AGREE, ed_assembly_fits(assembly, part)) ||
        !SEC_CHECK(EDDY_CHECK_CREDIT, claim_part(inbox, assembly, part)))
        return EDDY_EPROTO;
    eddy_status status = ed_assembly_add(assembly, part);
    if (status == EDDY_ENOMEM || !ed_assembly_is_complete(assembly))
        return status;
    *whole = ed_assembly_join(assembly);
    if (*whole == NULL)
        return EDDY_ENOMEM; // the next copy of any part tries again
    ed_parts_end(inbox, lane, sequence);
    inbox->parts.stats->messages_reassembled++;
    return EDDY_OK;
}

/* ------------------------------------------------------------------------ parts that do not -- */

static ed_assembly *assembly_of_node(ed_list_node *node)
{
    return ED_CONTAINER(node, ed_assembly, node);
}

void ed_inbox_on_granted(ed_inbox *inbox, uint64_t now_ns)
{
    ed_list_node *head = &inbox->assemblies.head;

    if (ed_list_linked(&inbox->credit.waiting))
        return;
    // The newest ones: those before them have been granted what they need.
    for (ed_list_node *node = head->previous;
         node != head && assembly_of_node(node)->since_ns == ED_NEVER_NS; node = node->previous)
        assembly_of_node(node)->since_ns = now_ns;
}

uint64_t ed_inbox_overdue_ns(const ed_inbox *inbox)
{
    ed_list_node *oldest = ed_list_first(&inbox->assemblies);
    uint64_t life_ns =
        ED_PARTS_LIFE_NS + inbox->parts.max_message_size / ED_PARTS_RATE_MIN * ED_NS_PER_S;

    if (oldest == NULL)
        return ED_NEVER_NS;
    return ed_max_u64(inbox->parts_check_ns,
                      ed_add_sat_u64(assembly_of_node(oldest)->since_ns, life_ns));
}

/** Whether anyone else waits for room. */
static bool is_in_the_way(const ed_credit_in *credit)
{
    const ed_list *waiting = &credit->pool->waiting;
    ed_list_node *first = ed_list_first(waiting);

    return first != NULL && (first != &credit->waiting || ed_list_next(waiting, first) != NULL);
}

bool ed_inbox_is_overdue(ed_inbox *inbox, uint64_t now_ns)
{
    if (ed_inbox_overdue_ns(inbox) > now_ns)
        return false;
    inbox->parts_check_ns = ed_add_sat_u64(now_ns, ED_NS_PER_S);
    return is_in_the_way(&inbox->credit);
}
