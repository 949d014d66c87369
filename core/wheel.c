#include "core/wheel.h"

static_assert(ED_WHEEL_TICK_BITS + ED_WHEEL_LEVELS * ED_WHEEL_SLOT_BITS > 64,
              "every time has a tick, also when rounded up");
static_assert(ED_WHEEL_SLOTS == 64, "a bit each");

void ed_wheel_init(ed_wheel *wheel, uint64_t now_ns)
{
    *wheel = (ed_wheel){.tick = now_ns >> ED_WHEEL_TICK_BITS};
    ed_list_init(&wheel->due);
    for (size_t level = 0; level < ED_WHEEL_LEVELS; level++)
        for (size_t slot = 0; slot < ED_WHEEL_SLOTS; slot++)
            ed_list_init(&wheel->slots[level][slot]);
}

static ed_alarm *alarm_of(ed_list_node *node)
{
    return ED_CONTAINER(node, ed_alarm, node);
}

static bool comes_before(ed_list_node *a, ed_list_node *b)
{
    const ed_alarm *x = alarm_of(a);
    const ed_alarm *y = alarm_of(b);

    return x->at_ns != y->at_ns ? x->at_ns < y->at_ns : x->order < y->order;
}

/** The first tick at which an alarm is due: rounded up, never early. */
static uint64_t tick_of(uint64_t at_ns)
{
    return (at_ns >> ED_WHEEL_TICK_BITS) + (at_ns % ED_WHEEL_TICK_NS != 0);
}

/** The level of a tick: that of the highest digit in which it differs from the wheel's. */
static unsigned level_of(const ed_wheel *wheel, uint64_t tick)
{
    uint64_t differing = tick ^ wheel->tick;

    return differing == 0 ? 0 : ed_highest_bit(differing) / ED_WHEEL_SLOT_BITS;
}

/** Puts an alarm into its slot. Its tick is the wheel's at the earliest. */
static void put(ed_wheel *wheel, ed_alarm *alarm)
{
    uint64_t tick = tick_of(alarm->at_ns);
    unsigned level = level_of(wheel, tick);
    unsigned slot = (unsigned)(tick >> level * ED_WHEEL_SLOT_BITS) % ED_WHEEL_SLOTS;

    ED_ASSERT(tick >= wheel->tick && level < ED_WHEEL_LEVELS);
    alarm->place = (uint16_t)(1 + level * ED_WHEEL_SLOTS + slot);
    wheel->used[level] |= UINT64_C(1) << slot;
    ed_list_push_back(&wheel->slots[level][slot], &alarm->node);
}

/** Puts an alarm that is due behind those that come before it: all, unless it is late. */
static void put_due(ed_wheel *wheel, ed_alarm *alarm)
{
    ed_list_node *behind = wheel->due.head.previous;

    alarm->place = 0;
    while (behind != &wheel->due.head && comes_before(&alarm->node, behind))
        behind = behind->previous;
    ed_list_insert_after(behind, &alarm->node);
}

void ed_wheel_set(ed_wheel *wheel, ed_alarm *alarm, uint64_t at_ns)
{
    ED_ASSERT(at_ns != ED_NEVER_NS);
    ed_wheel_clear(wheel, alarm);
    alarm->at_ns = at_ns;
    alarm->order = wheel->order++;
    wheel->count++;
    if (tick_of(at_ns) <= wheel->tick)
        put_due(wheel, alarm);
    else
        put(wheel, alarm);
}

void ed_wheel_clear(ed_wheel *wheel, ed_alarm *alarm)
{
    if (!ed_alarm_is_set(alarm))
        return;
    ED_ASSERT(wheel->count > 0);
    wheel->count--;
    ed_list_remove(&alarm->node);
    if (alarm->place == 0)
        return;
    unsigned level = (alarm->place - 1U) / ED_WHEEL_SLOTS;
    unsigned slot = (alarm->place - 1U) % ED_WHEEL_SLOTS;
    if (ed_list_empty(&wheel->slots[level][slot]))
        wheel->used[level] &= ~(UINT64_C(1) << slot);
    alarm->place = 0;
}

/* ------------------------------------------------------------------------------ the way of time */

/** A slot, and the tick at which it begins. */
typedef struct turn {
    uint64_t tick;
    unsigned level;
    unsigned slot;
} turn;

/** The first slot with an alarm: the finest levels are the nearest. @return false: there is none.
 */
static bool next_turn(const ed_wheel *wheel, turn *next)
{
    for (unsigned level = 0; level < ED_WHEEL_LEVELS; level++) {
        if (wheel->used[level] == 0)
            continue;
        unsigned shift = level * ED_WHEEL_SLOT_BITS;
        uint64_t above = wheel->tick >> shift >> ED_WHEEL_SLOT_BITS;
        unsigned slot = ed_lowest_bit(wheel->used[level]);
        *next = (turn){
            .tick = (above << ED_WHEEL_SLOT_BITS | slot) << shift, .level = level, .slot = slot};
        return true;
    }
    return false;
}

uint64_t ed_wheel_next_ns(const ed_wheel *wheel)
{
    turn next;

    if (!ed_list_empty(&wheel->due))
        return alarm_of(ed_list_first(&wheel->due))->at_ns;
    if (!next_turn(wheel, &next) || next.tick > UINT64_MAX >> ED_WHEEL_TICK_BITS)
        return ED_NEVER_NS;
    return next.tick << ED_WHEEL_TICK_BITS;
}

/** Merges two chains of nodes, which end with NULL. */
static ed_list_node *merge(ed_list_node *a, ed_list_node *b)
{
    ed_list_node head;
    ed_list_node *last = &head;

    while (a != NULL && b != NULL) {
        ed_list_node **first = comes_before(b, a) ? &b : &a;
        last->next = *first;
        last = *first;
        *first = (*first)->next;
    }
    last->next = a != NULL ? a : b;
    return head.next;
}

/** Takes `count` nodes off a chain, and sorts them. */
static ed_list_node *sort(ed_list_node **chain, size_t count)
{
    if (count > 1) {
        ed_list_node *a = sort(chain, count / 2);
        return merge(a, sort(chain, count - count / 2));
    }
    ed_list_node *only = *chain;
    *chain = only->next;
    only->next = NULL;
    return only;
}

/** Takes all out of a slot, as a chain. @return how many. */
static size_t empty_slot(ed_wheel *wheel, const turn *from, ed_list_node **chain)
{
    ed_list *list = &wheel->slots[from->level][from->slot];
    size_t count = 0;

    *chain = ed_list_first(list);
    list->head.previous->next = NULL;
    for (const ed_list_node *node = *chain; node != NULL; node = node->next)
        count++;
    ed_list_init(list);
    wheel->used[from->level] &= ~(UINT64_C(1) << from->slot);
    return count;
}

/** The time of a slot has come: what is in it is due, or goes to a finer level. */
static void turn_slot(ed_wheel *wheel, const turn *at)
{
    ed_list_node *chain = NULL;
    size_t count = empty_slot(wheel, at, &chain);

    ED_ASSERT(count > 0 && at->tick >= wheel->tick);
    wheel->tick = at->tick;
    if (at->level == 0)
        chain = sort(&chain, count);
    while (chain != NULL) {
        ed_list_node *node = chain;
        chain = node->next;
        node->next = NULL;
        if (at->level == 0)
            put_due(wheel, alarm_of(node));
        else
            put(wheel, alarm_of(node));
    }
}

ed_alarm *ed_wheel_pop(ed_wheel *wheel, uint64_t now_ns)
{
    uint64_t tick = now_ns >> ED_WHEEL_TICK_BITS;
    turn next;
    bool turned = false;

    while (next_turn(wheel, &next) && next.tick <= tick) {
        turn_slot(wheel, &next);
        turned = true;
    }
    if (tick > wheel->tick)
        wheel->tick = tick;
    ED_CHECKED(!turned || ed_wheel_valid(wheel));
    ed_list_node *first = ed_list_first(&wheel->due);
    if (first == NULL || alarm_of(first)->at_ns > now_ns)
        return NULL;
    ed_wheel_clear(wheel, alarm_of(first));
    return alarm_of(first);
}

static bool slot_valid(const ed_wheel *wheel, unsigned level, unsigned slot, size_t *count)
{
    const ed_list *list = &wheel->slots[level][slot];
    bool is_used = (wheel->used[level] >> slot & 1) != 0;

    if (is_used == ed_list_empty(list))
        return false;
    for (ed_list_node *node = ed_list_first(list); node != NULL; node = ed_list_next(list, node)) {
        const ed_alarm *alarm = alarm_of(node);
        uint64_t tick = tick_of(alarm->at_ns);
        *count += 1;
        if (tick <= wheel->tick || level_of(wheel, tick) != level ||
            alarm->place != 1 + level * ED_WHEEL_SLOTS + slot)
            return false;
    }
    return true;
}

bool ed_wheel_valid(const ed_wheel *wheel)
{
    size_t count = 0;

    for (unsigned level = 0; level < ED_WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < ED_WHEEL_SLOTS; slot++)
            if (!slot_valid(wheel, level, slot, &count))
                return false;
    for (ed_list_node *node = ed_list_first(&wheel->due); node != NULL;
         node = ed_list_next(&wheel->due, node)) {
        ed_list_node *behind = ed_list_next(&wheel->due, node);
        count++;
        if (alarm_of(node)->place != 0 || (behind != NULL && !comes_before(node, behind)))
            return false;
    }
    return count == wheel->count;
}
