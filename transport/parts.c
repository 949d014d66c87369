#include "transport/parts.h"

#include <string.h>

#include "transport/check.h"
#include "transport/ring.h"

/**
 * A node of a digital search tree: it stands below those that share with it the lowest bits of the
 * sequence, a bit for each step. In a window no two share ED_LANE_WINDOW_BITS, so that the tree is
 * no higher, whoever chooses the sequences, and needs no balance.
 */
struct ed_begun {
    ed_assembly assembly; /* its node: in ed_inbox.assemblies */
    ed_begun *children[2];
};

static_assert(sizeof(void *) < 8 || sizeof(ed_begun) == 96, "a size that is not rounded up");

/* ------------------------------------------------------------------------------------- tree -- */

/** Where the tree has the sequence, or would have it. */
static ed_begun **place_of(ed_begun **place, uint64_t sequence)
{
    uint16_t name = (uint16_t)sequence;

    for (uint16_t bits = name; *place != NULL && (*place)->assembly.sequence != name; bits >>= 1)
        place = &(*place)->children[bits & 1];
    return place;
}

/** Takes it out; whoever stands lowest below it takes its place. */
static void unlink_begun(ed_begun **place)
{
    ed_begun *begun = *place;
    ed_begun **lowest = place;

    while ((*lowest)->children[0] != NULL || (*lowest)->children[1] != NULL)
        lowest = &(*lowest)->children[(*lowest)->children[0] == NULL];
    ed_begun *heir = *lowest;
    *lowest = NULL;
    if (heir == begun)
        return;
    memcpy(heir->children, begun->children, sizeof(heir->children));
    *place = heir;
}

const ed_begun *ed_parts_find(const ed_lane_in *lane, uint64_t sequence)
{
    ed_begun *root = lane->begun;

    return *place_of(&root, sequence);
}

/* ------------------------------------------------------------------------------------ parts -- */

static ed_begun *begun_of(ed_list_node *node)
{
    return ED_CONTAINER(node, ed_begun, assembly.node);
}

static uint64_t claimed_for(const ed_assembly *assembly)
{
    return assembly->end == 0 ? EDDY_MESSAGE_CHARGE : ed_charge_upto(assembly->size, assembly->end);
}

uint64_t ed_parts_claimed(const ed_begun *begun)
{
    return claimed_for(&begun->assembly);
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

static ed_begun *begin(ed_inbox *inbox, const ed_message_frame *part, uint64_t sequence)
{
    ed_begun *begun = ed_pool_take_bytes(inbox->parts->pool, sizeof(*begun));

    if (begun == NULL)
        return NULL;
    *begun = (ed_begun){.children = {NULL, NULL}};
    ed_assembly_init(&begun->assembly, (uint32_t)part->whole_size);
    begun->assembly.sequence = (uint16_t)sequence;
    begun->assembly.since_ns = ED_NEVER_NS;
    ed_list_push_back(&inbox->assemblies, &begun->assembly.node);
    inbox->credit.demand += ed_charge_of(begun->assembly.size);
    return begun;
}

static void end(ed_inbox *inbox, ed_begun *begun)
{
    uint64_t charge = ed_charge_of(begun->assembly.size);

    ED_ASSERT(inbox->credit.demand >= charge);
    inbox->credit.demand -= charge;
    ed_list_remove(&begun->assembly.node);
    ed_assembly_free(&begun->assembly, inbox->parts->pool);
    ed_pool_give_bytes(inbox->parts->pool, begun, sizeof(*begun));
}

void ed_parts_end(ed_inbox *inbox, ed_lane_in *lane, uint64_t sequence)
{
    ed_begun **place = place_of(&lane->begun, sequence);
    ed_begun *begun = *place;

    if (begun == NULL)
        return;
    unlink_begun(place);
    end(inbox, begun);
}

void ed_parts_free(ed_inbox *inbox)
{
    while (!ed_list_empty(&inbox->assemblies))
        end(inbox, begun_of(ed_list_first(&inbox->assemblies)));
}

/** All of it is here. */
static eddy_status take_whole(ed_inbox *inbox, ed_lane_in *lane, const ed_assembly *assembly,
                              uint64_t sequence, ed_block **whole)
{
    if (sequence != lane->expected && !ed_ring_reach(inbox, lane, sequence))
        return EDDY_ENOMEM; // the next copy of any part tries again
    ed_block *block = ed_assembly_join(assembly, inbox->parts->pool);
    if (block == NULL)
        return EDDY_ENOMEM;
    *whole = block;
    ed_parts_end(inbox, lane, sequence);
    inbox->parts->stats->messages_reassembled++;
    return EDDY_OK;
}

eddy_status ed_parts_receive(ed_inbox *inbox, ed_lane_in *lane, const ed_message_frame *part,
                             uint64_t sequence, ed_block **whole)
{
    ed_begun **place = place_of(&lane->begun, sequence);

    if (*place == NULL)
        *place = begin(inbox, part, sequence);
    if (*place == NULL)
        return EDDY_ENOMEM;
    ed_assembly *assembly = &(*place)->assembly;
    if (!SEC_CHECK(EDDY_CHECK_PARTS_AGREE, ed_assembly_fits(assembly, part)) ||
        !SEC_CHECK(EDDY_CHECK_CREDIT, claim_part(inbox, assembly, part)))
        return EDDY_EPROTO;
    eddy_status status = ed_assembly_add(assembly, inbox->parts->pool, part);
    if (status == EDDY_ENOMEM || !ed_assembly_is_complete(assembly))
        return status;
    return take_whole(inbox, lane, assembly, sequence, whole);
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
        ED_PARTS_LIFE_NS + inbox->parts->max_message_size / ED_PARTS_RATE_MIN * ED_NS_PER_S;

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
