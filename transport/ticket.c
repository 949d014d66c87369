#include "transport/ticket.h"

#include <string.h>

#include "core/alloc.h"
#include "core/reader.h"
#include "core/writer.h"

enum {
    FORM = 0x80, /* the first byte: no cookie's */
    RANDOM_SIZE = 3,
    EXPIRES_AT = 1 + RANDOM_SIZE,
    TAG_AT = EXPIRES_AT + 4,
    FILTER_SIZE = 128 << 10, /* bytes: one in 10,000 is taken for used after 60,000 of a day */
    FILTER_HASHES = 4,       /* of 20 bits each, out of the tag */
    LABEL_SIZE = 4,
    TAGGED_SIZE = LABEL_SIZE + TAG_AT + 1 + 16 + 8,
};

static_assert(TAG_AT + ED_MAC_SIZE == ED_COOKIE_SIZE, "a ticket stands in a cookie's place");
static_assert(FILTER_SIZE * 8 == 1 << 20, "a hash of 20 bits is a place in the filter");

/* ----------------------------------------------------------------------------------- tickets -- */

static void tag_of(uint8_t tag[ED_MAC_SIZE], const uint8_t *ticket, const ed_ticket_claim *claim)
{
    uint8_t tagged[TAGGED_SIZE];
    ed_writer w = ed_writer_of(tagged, sizeof(tagged));

    ed_write_bytes(&w, "tkt", LABEL_SIZE);
    ed_write_bytes(&w, ticket, TAG_AT);
    ed_write_u8(&w, claim->remote->family);
    ed_write_bytes(&w, claim->remote->ip, sizeof(claim->remote->ip));
    ed_write_u64(&w, claim->protocol_id);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
    ed_mac(tag, claim->secret, tagged, sizeof(tagged));
}

void ed_ticket_make(uint8_t ticket[ED_COOKIE_SIZE], const ed_ticket_claim *claim,
                    const eddy_entropy *entropy, uint64_t now_ns)
{
    ed_writer w = ed_writer_of(ticket, ED_COOKIE_SIZE);

    ed_write_u8(&w, FORM);
    entropy->fill(entropy->context, ed_write_reserve(&w, RANDOM_SIZE), RANDOM_SIZE);
    ed_write_u32(&w, (uint32_t)(now_ns / ED_NS_PER_S + ED_TICKET_LIFE_S));
    ED_ASSERT(ed_writer_size(&w) == TAG_AT);
    tag_of(ticket + TAG_AT, ticket, claim);
}

bool ed_ticket_check(const uint8_t ticket[ED_COOKIE_SIZE], const ed_ticket_claim *claim,
                     uint64_t now_ns)
{
    ed_reader r = ed_reader_of(ticket + EXPIRES_AT, 4);
    uint32_t left_s = ed_read_u32(&r) - (uint32_t)(now_ns / ED_NS_PER_S);
    uint8_t tag[ED_MAC_SIZE];

    tag_of(tag, ticket, claim);
    return ticket[0] == FORM && left_s > 0 && left_s <= ED_TICKET_LIFE_S &&
           ed_equal_secret(tag, ticket + TAG_AT, ED_MAC_SIZE);
}

/* -------------------------------------------------------------------------------------- used -- */

void ed_tickets_init(ed_tickets *tickets, const eddy_allocator *allocator)
{
    *tickets = (ed_tickets){.allocator = allocator};
}

static void forget(ed_tickets *tickets, uint64_t generation)
{
    ed_alloc_free(tickets->allocator, tickets->used[generation & 1], FILTER_SIZE);
    tickets->used[generation & 1] = NULL;
}

void ed_tickets_free(ed_tickets *tickets)
{
    if (tickets->allocator == NULL)
        return;
    forget(tickets, 0);
    forget(tickets, 1);
    *tickets = (ed_tickets){0};
}

void ed_tickets_rotate(ed_tickets *tickets, uint64_t now_ns)
{
    uint64_t generation = now_ns / (ED_TICKET_LIFE_S * ED_NS_PER_S);

    // Two shards may have read their clocks in the other order.
    if (tickets->allocator == NULL || generation <= tickets->generation)
        return;
    // What was used two generations ago has expired; after a gap so has all.
    forget(tickets, generation);
    if (generation > tickets->generation + 1)
        forget(tickets, generation + 1);
    tickets->generation = generation;
}

/** The `i`-th place in a filter. The tag is as good as random, so its bits are the hashes. */
static uint32_t place_of(const uint8_t ticket[ED_COOKIE_SIZE], size_t i)
{
    ed_reader r = ed_reader_of(ticket + TAG_AT + 4 * i, 4);

    return ed_read_u32(&r) % (FILTER_SIZE * 8);
}

static bool filter_has(const uint8_t *filter, const uint8_t ticket[ED_COOKIE_SIZE])
{
    bool all = filter != NULL;

    for (size_t i = 0; i < FILTER_HASHES && all; i++) {
        uint32_t place = place_of(ticket, i);
        all &= (filter[place / 8] >> place % 8 & 1) != 0;
    }
    return all;
}

/** The filter of this generation, made on first use; NULL: there is no memory for it. */
static uint8_t *filter_of_now(ed_tickets *tickets)
{
    uint8_t **filter = &tickets->used[tickets->generation & 1];

    if (*filter == NULL)
        *filter = ed_alloc_zeroed(tickets->allocator, FILTER_SIZE);
    return *filter;
}

bool ed_tickets_may_use(ed_tickets *tickets, const uint8_t ticket[ED_COOKIE_SIZE])
{
    return filter_of_now(tickets) != NULL && !filter_has(tickets->used[0], ticket) &&
           !filter_has(tickets->used[1], ticket);
}

bool ed_tickets_use(ed_tickets *tickets, const uint8_t ticket[ED_COOKIE_SIZE])
{
    if (!ed_tickets_may_use(tickets, ticket))
        return false;
    uint8_t *filter = filter_of_now(tickets);
    for (size_t i = 0; i < FILTER_HASHES; i++) {
        uint32_t place = place_of(ticket, i);
        filter[place / 8] |= (uint8_t)(1u << place % 8);
    }
    return true;
}

/* ------------------------------------------------------------------------------------- purse -- */

void ed_purse_put(ed_purse *purse, const eddy_address *server, const uint8_t ticket[ED_COOKIE_SIZE])
{
    uint32_t place = purse->next;

    if (!ed_is_ticket(ticket))
        return;
    for (uint32_t i = 0; i < ED_PURSE_SIZE; i++)
        if (eddy_address_equal(&purse->place[i].server, server))
            place = i;
    purse->place[place].server = *server;
    memcpy(purse->place[place].ticket, ticket, ED_COOKIE_SIZE);
    if (place == purse->next)
        purse->next = (purse->next + 1) % ED_PURSE_SIZE;
}

bool ed_purse_take(ed_purse *purse, const eddy_address *server, uint8_t ticket[ED_COOKIE_SIZE])
{
    for (uint32_t i = 0; i < ED_PURSE_SIZE; i++) {
        uint8_t *held = purse->place[i].ticket;
        if (!ed_is_ticket(held) || !eddy_address_equal(&purse->place[i].server, server))
            continue;
        memcpy(ticket, held, ED_COOKIE_SIZE);
        held[0] = 0;
        return true;
    }
    return false;
}
