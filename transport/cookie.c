#include "transport/cookie.h"

#include "core/reader.h"
#include "core/writer.h"

enum {
    TICKS_AT = 4,  /* behind epoch and reserved */
    HEAD_SIZE = 8, /* epoch, reserved, time: before the tag */
    TAGGED_SIZE = 4 + 1 + 3 + 4 + 1 + 16 + 2 + ED_NONCE_SIZE + 8,
};

/** What a cookie vouches for. */
struct claim {
    uint32_t version;
    uint8_t mode;
    uint32_t ticks;
    uint64_t protocol_id;
    const uint8_t *nonce;
    const eddy_address *remote;
};

static uint64_t epoch_at(uint64_t now_ns)
{
    return now_ns / (ED_COOKIE_SECRET_LIFE_S * ED_NS_PER_S);
}

static uint32_t ticks_at(uint64_t now_ns)
{
    return (uint32_t)(now_ns / (ED_NS_PER_S / ED_COOKIE_TICKS_PER_S)); // wraps after 8 years
}

void ed_cookie_init(ed_cookie_jar *jar, const eddy_entropy *entropy, uint64_t now_ns)
{
    entropy->fill(entropy->context, jar->secret, sizeof(jar->secret));
    jar->epoch = epoch_at(now_ns);
}

void ed_cookie_rotate(ed_cookie_jar *jar, const eddy_entropy *entropy, uint64_t now_ns)
{
    uint64_t epoch = epoch_at(now_ns);

    if (epoch <= jar->epoch)
        return;
    // After a gap of two lives both secrets are too old to keep.
    if (epoch > jar->epoch + 1)
        entropy->fill(entropy->context, jar->secret[(epoch + 1) & 1], ED_MAC_KEY_SIZE);
    entropy->fill(entropy->context, jar->secret[epoch & 1], ED_MAC_KEY_SIZE);
    jar->epoch = epoch;
}

static void tag_of(uint8_t tag[ED_MAC_SIZE], const uint8_t secret[ED_MAC_KEY_SIZE],
                   const struct claim *claim)
{
    uint8_t tagged[TAGGED_SIZE];
    ed_writer w = ed_writer_of(tagged, sizeof(tagged));

    ed_write_u32(&w, claim->version);
    ed_write_u8(&w, claim->mode);
    ed_write_zeros(&w, 3);
    ed_write_u32(&w, claim->ticks);
    ed_write_u8(&w, claim->remote->family);
    ed_write_bytes(&w, claim->remote->ip, sizeof(claim->remote->ip));
    ed_write_u16(&w, claim->remote->port);
    ed_write_bytes(&w, claim->nonce, ED_NONCE_SIZE);
    ed_write_u64(&w, claim->protocol_id);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
    ed_mac(tag, secret, tagged, sizeof(tagged));
}

void ed_cookie_make(const ed_cookie_jar *jar, uint8_t cookie[ED_COOKIE_SIZE], const ed_hello *hello,
                    const eddy_address *remote, uint64_t now_ns)
{
    struct claim claim = {.version = hello->version,
                          .mode = hello->mode,
                          .ticks = ticks_at(now_ns),
                          .protocol_id = hello->protocol_id,
                          .nonce = hello->nonce,
                          .remote = remote};
    ed_writer w = ed_writer_of(cookie, ED_COOKIE_SIZE);

    ed_write_u8(&w, (uint8_t)(jar->epoch & 0x7f)); // bit 7 will mean a ticket
    ed_write_zeros(&w, 3);
    ed_write_u32(&w, claim.ticks);
    ED_ASSERT(ed_writer_size(&w) == HEAD_SIZE && ed_writer_left(&w) == ED_MAC_SIZE);
    tag_of(cookie + HEAD_SIZE, jar->secret[jar->epoch & 1], &claim);
}

void ed_cookie_stamp(uint8_t cookie[ED_COOKIE_SIZE], uint64_t now_ns)
{
    ed_writer w = ed_writer_of(cookie, ED_COOKIE_SIZE);

    ed_write_zeros(&w, TICKS_AT);
    ed_write_u32(&w, ticks_at(now_ns));
    ed_write_zeros(&w, ED_MAC_SIZE);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
}

static uint32_t ticks_of(const uint8_t cookie[ED_COOKIE_SIZE])
{
    ed_reader r = ed_reader_of(cookie + TICKS_AT, sizeof(uint32_t));

    return ed_read_u32(&r);
}

bool ed_cookie_is_older(const uint8_t cookie[ED_COOKIE_SIZE], const uint8_t than[ED_COOKIE_SIZE])
{
    uint32_t later = ticks_of(than) - ticks_of(cookie); // modulo 2^32, as the ticks are

    return later > 0 && later <= UINT32_MAX / 2;
}

bool ed_cookie_check(const ed_cookie_jar *jar, const ed_initiate *initiate,
                     const eddy_address *remote, uint64_t now_ns)
{
    ed_reader r = ed_reader_of(initiate->cookie, ED_COOKIE_SIZE);
    uint8_t epoch = ed_read_u8(&r);
    uint64_t reserved = ed_read_uint(&r, 3);
    uint32_t ticks = ed_read_u32(&r);
    ed_span tag = ed_read_bytes(&r, ED_MAC_SIZE);
    struct claim claim = {.version = initiate->version,
                          .mode = initiate->mode,
                          .ticks = ticks,
                          .protocol_id = initiate->protocol_id,
                          .nonce = initiate->nonce,
                          .remote = remote};
    uint8_t want[ED_MAC_SIZE];

    bool current = epoch == (jar->epoch & 0x7f);
    bool previous = jar->epoch > 0 && epoch == ((jar->epoch - 1) & 0x7f);
    uint32_t age = ticks_at(now_ns) - ticks;
    if (reserved != 0 || (!current && !previous) ||
        age > ED_COOKIE_AGE_MAX_S * ED_COOKIE_TICKS_PER_S)
        return false;
    tag_of(want, jar->secret[epoch & 1], &claim);
    return ed_equal_secret(want, tag.data, ED_MAC_SIZE);
}
