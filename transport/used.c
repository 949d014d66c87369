#include "transport/used.h"

#include <string.h>

#include "core/alloc.h"
#include "core/reader.h"

/*
 * Each token has two buckets of 32 places, and is noted in the emptier one ("the power of two
 * choices": Azar, Broder, Karlin, Upfal, 1994). A token of that many that find no room comes when
 * over nine tenths of the table are taken, and a search is over after 64 places.
 */
enum {
    WAYS = 32,
    CHOICES = 2,
};

struct ed_used_entry {
    uint64_t id[2]; /* a keyed hash of the token's */
    uint64_t holder;
    uint64_t expires_s; /* vacant from then on; 0: never taken */
};

static_assert(sizeof(struct ed_used_entry) == 32, "transport/used.h promises the size");

/** A token as the table sees it. */
struct key {
    uint64_t id[2];
    uint64_t holder;
    size_t buckets[CHOICES]; /* never the same twice */
};

/** Where a token stands, or could. */
struct place {
    struct ed_used_entry *found;
    struct ed_used_entry *vacant;
};

eddy_status ed_used_init(ed_used *used, const eddy_allocator *allocator,
                         const eddy_entropy *entropy, size_t capacity)
{
    ED_ASSERT(capacity >= (size_t)WAYS * CHOICES && capacity <= ED_USED_MAX);
    ED_ASSERT((capacity & (capacity - 1)) == 0);

    *used = (ed_used){.allocator = NULL};
    struct ed_used_entry *entries = ed_alloc_array(allocator, capacity, sizeof(*entries));
    if (entries == NULL)
        return EDDY_ENOMEM;
    *used = (ed_used){.allocator = allocator, .entries = entries, .capacity = capacity};
    entropy->fill(entropy->context, used->key, sizeof(used->key));
    return EDDY_OK;
}

void ed_used_free(ed_used *used)
{
    if (used->entries != NULL)
        ed_alloc_free(used->allocator, used->entries, used->capacity * sizeof(*used->entries));
    *used = (ed_used){.allocator = NULL};
}

static struct key key_of(const ed_used *used, const ed_used_token *token)
{
    size_t bucket_count = used->capacity / WAYS;
    uint8_t hash[ED_MAC_SIZE];
    struct key key;

    ed_mac(hash, used->key, token->id, ED_XNONCE_SIZE);
    ed_reader r = ed_reader_of(hash, sizeof(hash));
    key.id[0] = ed_read_u64(&r);
    key.id[1] = ed_read_u64(&r);
    key.holder = ed_hash64(used->key, token->holder, ED_MAC_SIZE);
    key.buckets[0] = (size_t)(key.id[0] % bucket_count);
    key.buckets[1] = (key.buckets[0] + 1 + (size_t)(key.id[1] % (bucket_count - 1))) % bucket_count;
    return key;
}

/** Searches one bucket. @return how many places of it are vacant. */
static size_t search_bucket(struct ed_used_entry *bucket, const struct key *key, uint64_t now_s,
                            struct place *place)
{
    size_t vacancies = 0;

    for (size_t i = 0; i < WAYS; i++) {
        struct ed_used_entry *entry = &bucket[i];
        if (entry->expires_s <= now_s) {
            place->vacant = entry;
            vacancies++;
        } else if (memcmp(entry->id, key->id, sizeof(entry->id)) == 0) {
            place->found = entry;
        }
    }
    return vacancies;
}

static struct place search(const ed_used *used, const struct key *key, uint64_t now_s)
{
    struct place place = {.found = NULL};
    size_t most = 0;

    for (size_t i = 0; i < CHOICES; i++) {
        struct place here = {.found = NULL};
        size_t vacancies = search_bucket(used->entries + key->buckets[i] * WAYS, key, now_s, &here);
        if (here.found != NULL)
            return here;
        if (vacancies > most) {
            most = vacancies;
            place = here;
        }
    }
    return place;
}

static ed_used_verdict judge(const ed_used *used, const struct place *place,
                             const ed_used_token *token, uint64_t now_s)
{
    if (place->found != NULL)
        return ED_USED_TAKEN;
    if (token->expires_s <= ed_max_u64(now_s, used->forgotten_s))
        return ED_USED_TAKEN; // its note may be gone
    return place->vacant != NULL ? ED_USED_FRESH : ED_USED_FULL;
}

ed_used_verdict ed_used_look(const ed_used *used, const ed_used_token *token, uint64_t now_s)
{
    struct key key = key_of(used, token);
    struct place place = search(used, &key, now_s);

    return judge(used, &place, token, now_s);
}

/** Puts a note where another was, if one was: it is of use no more, unless the clock is set back.
 */
static void note(ed_used *used, struct ed_used_entry *entry, const struct key *key,
                 uint64_t expires_s)
{
    used->forgotten_s = ed_max_u64(used->forgotten_s, entry->expires_s);
    *entry = (struct ed_used_entry){
        .id = {key->id[0], key->id[1]}, .holder = key->holder, .expires_s = expires_s};
}

ed_used_verdict ed_used_take(ed_used *used, const ed_used_token *token, uint64_t now_s)
{
    struct key key = key_of(used, token);
    struct place place = search(used, &key, now_s);

    ed_used_verdict verdict = judge(used, &place, token, now_s);
    if (verdict == ED_USED_FRESH)
        note(used, place.vacant, &key, token->expires_s);
    return verdict;
}

void ed_used_forget(ed_used *used, const ed_used_token *token, uint64_t now_s)
{
    struct key key = key_of(used, token);
    struct place place = search(used, &key, now_s);

    if (place.found != NULL && place.found->holder == key.holder)
        *place.found = (struct ed_used_entry){.expires_s = 0};
}
