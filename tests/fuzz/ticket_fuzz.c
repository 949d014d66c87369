/**
 * Tickets as a server and a client meet them: made, altered, shown by others, used, expired; and
 * cookies that are none. Nothing but an unaltered ticket is good, and a used one stays used.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/base.h"
#include "core/reader.h"
#include "transport/ticket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(void *context, void *data, size_t size)
{
    memset(data, *(uint8_t *)context, size);
}

static eddy_address address_of(uint8_t number)
{
    return (eddy_address){.family = EDDY_FAMILY_IPV4,
                          .ip = {192, 0, 2, (uint8_t)(number & 3)},
                          .port = (uint16_t)(1000 + number)};
}

/** What was made last, and for whom. */
struct made {
    uint8_t ticket[ED_COOKIE_SIZE];
    uint8_t number;
    uint64_t at_s;
    bool exists;
};

static bool is_same(const struct made *made, const uint8_t *ticket, uint8_t number, uint64_t now_s)
{
    return made->exists && memcmp(made->ticket, ticket, ED_COOKIE_SIZE) == 0 &&
           (made->number & 3) == (number & 3) && now_s >= made->at_s &&
           now_s < made->at_s + 24 * 3600;
}

static void show(ed_reader *r, const ed_ticket_claim *claim, const struct made *made,
                 ed_tickets *used, uint8_t number, uint64_t now_s)
{
    uint8_t ticket[ED_COOKIE_SIZE];
    size_t at = ed_read_u8(r) % sizeof(ticket);

    memcpy(ticket, made->ticket, sizeof(ticket));
    ticket[at] ^= ed_read_u8(r);
    bool good = ed_ticket_check(ticket, claim, now_s * ED_NS_PER_S);
    ED_ASSERT(good == is_same(made, ticket, number, now_s));
    if (!good)
        return;
    bool may = ed_tickets_may_use(used, ticket);
    ED_ASSERT(ed_tickets_use(used, ticket) == may);
    ED_ASSERT(!ed_tickets_use(used, ticket) && !ed_tickets_may_use(used, ticket));
}

static void carry(ed_reader *r, ed_purse *purse, const struct made *made)
{
    uint8_t number = ed_read_u8(r), got[ED_COOKIE_SIZE];
    eddy_address server = address_of(number);

    ed_purse_put(purse, &server, made->ticket);
    bool found = ed_purse_take(purse, &server, got);
    ED_ASSERT(found == made->exists);
    ED_ASSERT(!found || memcmp(got, made->ticket, sizeof(got)) == 0);
    ED_ASSERT(!ed_purse_take(purse, &server, got));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secret[ED_MAC_KEY_SIZE] = "of the fuzzer";
    static ed_tickets used;
    ed_reader r = ed_reader_of(data, size);
    struct made made = {.exists = false};
    ed_purse purse = {0};
    uint64_t now_s = 0;

    if (used.allocator == NULL)
        ed_tickets_init(&used, ed_alloc_default());
    while (ed_reader_left(&r) > 0) {
        uint8_t what = ed_read_u8(&r), number = ed_read_u8(&r);
        eddy_address remote = address_of(number);
        ed_ticket_claim claim = {.secret = secret, .remote = &remote, .protocol_id = 7};
        eddy_entropy entropy = {.context = &number, .fill = fill};
        now_s += (what >> 2) * UINT64_C(1000);
        ed_tickets_rotate(&used, now_s * ED_NS_PER_S);
        if (what % 4 == 0) {
            made = (struct made){.number = number, .at_s = now_s, .exists = true};
            ed_ticket_make(made.ticket, &claim, &entropy, now_s * ED_NS_PER_S);
        } else if (what % 4 == 1) {
            carry(&r, &purse, &made);
        } else {
            show(&r, &claim, &made, &used, number, now_s);
        }
    }
    return 0;
}
