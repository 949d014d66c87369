/** The links of a world, and the rules that say how they are. */
#include "core/alloc.h"
#include "core/base.h"
#include "sim/world.h"
#include "sim/world_state.h"

static eddy_address address_or_any(const eddy_address *address)
{
    return address == NULL ? (eddy_address){.family = EDDY_FAMILY_NONE} : *address;
}

/** Whether every address that fits `narrow` fits `wide`. */
static bool covers(const eddy_address *wide, const eddy_address *narrow)
{
    return wide->family == EDDY_FAMILY_NONE || eddy_address_equal(wide, narrow);
}

static bool rule_covers(const ed_world_rule *rule, ed_world_rule_kind kind,
                        const eddy_address *from, const eddy_address *to)
{
    return rule->kind == kind && covers(&rule->from, from) && covers(&rule->to, to);
}

/** The last rule of a kind that fits the pair, or NULL. */
static const ed_world_rule *rule_of(const ed_world *world, ed_world_rule_kind kind,
                                    const ed_world_pair *pair)
{
    for (uint32_t i = world->rule_count; i > 0; i--)
        if (rule_covers(&world->rules[i - 1], kind, &pair->from->address, &pair->to->address))
            return &world->rules[i - 1];
    return NULL;
}

static void apply_rules_to(const ed_world *world, ed_world_pair *pair)
{
    const ed_world_rule *config = rule_of(world, ED_WORLD_RULE_CONFIG, pair);
    const ed_world_rule *block = rule_of(world, ED_WORLD_RULE_BLOCK, pair);

    // The first rule of every world fits everything, and only its like replaces it.
    ED_ASSERT(config != NULL);
    eddy_status status = ed_link_set_config(pair->link, &config->config);
    ED_ASSERT(status == EDDY_OK);
    ed_link_block(pair->link, block != NULL && block->blocked);
}

void ed_world_apply_rules(ed_world *world)
{
    for (uint32_t i = 0; i < world->pair_count; i++)
        apply_rules_to(world, &world->pairs[i]);
}

/** Forgets the rules that the new one leaves nothing to. */
static void drop_covered_rules(ed_world *world, const ed_world_rule *added)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < world->rule_count; i++) {
        const ed_world_rule *rule = &world->rules[i];
        if (!rule_covers(added, rule->kind, &rule->from, &rule->to))
            world->rules[kept++] = *rule;
    }
    ED_ASSERT(kept <= world->rule_count);
    world->rule_count = kept;
}

static eddy_status add_rule(ed_world *world, const ed_world_rule *rule)
{
    // The old ones may be covered, but a limit that depends on what is there is hard to plan with.
    if (world->rule_count == ED_WORLD_RULES_MAX)
        return EDDY_ELIMIT;
    drop_covered_rules(world, rule);
    world->rules[world->rule_count++] = *rule;
    ed_world_apply_rules(world);
    return EDDY_OK;
}

eddy_status ed_world_set_link(ed_world *world, const eddy_address *from, const eddy_address *to,
                              const ed_link_config *config)
{
    eddy_status status = ed_link_config_check(config, NULL);
    if (status != EDDY_OK)
        return status;
    ed_world_rule rule = {
        .kind = ED_WORLD_RULE_CONFIG,
        .from = address_or_any(from),
        .to = address_or_any(to),
        .config = *config,
    };
    return add_rule(world, &rule);
}

eddy_status ed_world_block(ed_world *world, const eddy_address *from, const eddy_address *to,
                           bool blocked)
{
    ed_world_rule rule = {
        .kind = ED_WORLD_RULE_BLOCK,
        .blocked = blocked,
        .from = address_or_any(from),
        .to = address_or_any(to),
    };
    return add_rule(world, &rule);
}

void ed_world_heal(ed_world *world)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < world->rule_count; i++) {
        if (world->rules[i].kind != ED_WORLD_RULE_CONFIG)
            continue;
        ed_link_config perfect = ed_link_config_default();
        perfect.delay_ns = world->rules[i].config.delay_ns;
        world->rules[kept] = world->rules[i];
        world->rules[kept++].config = perfect;
    }
    ED_ASSERT(kept > 0);
    world->rule_count = kept;
    ed_world_apply_rules(world);
}

/** The key of a pair in the map. */
static bool find_pair(const ed_world *world, const ed_host *from, const ed_host *to,
                      uint32_t *index)
{
    const uint32_t key[] = {from->index, to->index};

    return ed_map_get(world->pairs_by_hosts, key, index);
}

/** Makes the link between two hosts; its luck follows from their indices. */
static uint32_t add_pair(ed_world *world, ed_host *from, ed_host *to)
{
    const uint32_t key[] = {from->index, to->index};
    uint32_t index = world->pair_count;
    if (index == ED_WORLD_LINKS_MAX)
        return UINT32_MAX;

    uint64_t id = (uint64_t)from->index << 32 | to->index;
    ed_link_config config = ed_link_config_default();
    ed_link *link = ed_link_create(world->allocator, &config, world->seed, id, 0);
    if (link == NULL)
        return UINT32_MAX;
    if (ed_map_put(world->pairs_by_hosts, key, index) != EDDY_OK) {
        ed_link_destroy(link);
        return UINT32_MAX;
    }
    world->pairs[index] = (ed_world_pair){.link = link, .from = from, .to = to};
    world->pair_count++;
    apply_rules_to(world, &world->pairs[index]);
    return index;
}

uint32_t ed_world_pair_index(ed_world *world, ed_host *from, ed_host *to)
{
    uint32_t index = 0;

    ED_ASSERT(from->world == world && to->world == world);
    if (find_pair(world, from, to, &index))
        return index;
    return add_pair(world, from, to);
}

void ed_world_schedule_pair(ed_world *world, uint32_t index)
{
    ED_ASSERT(index < world->pair_count);
    ed_deadlines_set(world->deliveries, index, ed_link_next_ns(world->pairs[index].link));
}

const ed_link *ed_world_link(const ed_world *world, const ed_host *from, const ed_host *to)
{
    uint32_t index = 0;

    return find_pair(world, from, to, &index) ? world->pairs[index].link : NULL;
}
