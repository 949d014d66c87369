#include "transport/nonce.h"

#include "core/base.h"
#include "core/thread.h"

#ifdef ED_PARANOID

enum {
    KEYS_MAX = 1 << 18, /* that are remembered; one pushes out another of the same place */
};

/** What was sealed last with a key, as fingerprints. */
struct use {
    uint64_t key;
    uint64_t number;
    uint64_t contents;
};

static struct use uses[KEYS_MAX];
static ed_mutex mutex = ED_MUTEX_STATIC;
static uint64_t world; /* keys of another are other keys */
static const uint8_t hash_key[ED_MAC_KEY_SIZE] = "nonces of eddy";

static bool is_reused(const struct use *old, const struct use *now)
{
    if (old->key != now->key || old->number < now->number)
        return false;
    return old->number > now->number || old->contents != now->contents;
}

void ed_nonce_used(const uint8_t key[ED_KEY_SIZE], uint64_t number, const void *data, size_t size)
{
    struct use now = {.key = ed_hash64(hash_key, key, ED_KEY_SIZE),
                      .number = number,
                      .contents = ed_hash64(hash_key, data, size)};

    ed_mutex_lock(&mutex);
    now.key += world * UINT64_C(0x9e3779b97f4a7c15);
    struct use *place = &uses[now.key % KEYS_MAX];
    bool reused = is_reused(place, &now);
    *place = now;
    ed_mutex_unlock(&mutex);
    ED_ASSERT(!reused);
}

void ed_nonce_forget(void)
{
    ed_mutex_lock(&mutex);
    world++;
    ed_mutex_unlock(&mutex);
}

#endif
