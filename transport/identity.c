#include "transport/identity.h"

#include <string.h>

#include "core/secret.h"
#include "core/writer.h"

static size_t size_of(uint32_t slot_count)
{
    static_assert(_Alignof(ed_secrets) >= _Alignof(ed_opening), "these stand behind those");
    return sizeof(ed_identity) +
           ((size_t)slot_count + 1) * (sizeof(ed_secrets) + sizeof(ed_opening));
}

static void take_key(uint8_t to[ED_KEY_SIZE], const eddy_key *from)
{
    if (from != NULL)
        memcpy(to, from->bytes, ED_KEY_SIZE);
}

static void make_public(ed_identity *identity)
{
    ed_x25519_public(identity->pair.public_key, identity->pair.secret);
    identity->has_public = true;
}

ed_identity *ed_identity_create(const eddy_config *config, const eddy_entropy *entropy,
                                uint32_t slot_count, uint64_t now_ns)
{
    static const uint8_t label[] = "eddy reset key";
    ed_identity *identity = ed_secret_allocate(size_of(slot_count));

    if (identity == NULL)
        return NULL;
    identity->presence = 1;
    identity->slot_count = slot_count;
    if (config->secret_key != NULL)
        take_key(identity->pair.secret, config->secret_key);
    else
        entropy->fill(entropy->context, identity->pair.secret, ED_KEY_SIZE);
    if (config->accept || config->secret_key != NULL)
        make_public(identity);
    identity->greeting = ed_greeting_key_of(identity->pair.public_key);
    identity->open_greeting = ed_greeting_key_of(NULL);
    take_key(identity->room, config->room_key);
    take_key(identity->token, config->token_key);
    ed_blake2b(identity->reset, ED_KEY_SIZE, label, sizeof(label) - 1, identity->pair.secret,
               ED_KEY_SIZE);
    entropy->fill(entropy->context, identity->tickets, sizeof(identity->tickets));
    ed_cookie_init(&identity->cookies, entropy, now_ns);
    return identity;
}

const ed_noise_pair *ed_identity_pair(ed_identity *identity)
{
    if (!identity->has_public)
        make_public(identity);
    return &identity->pair;
}

ed_opening *ed_identity_openings(ed_identity *identity)
{
    return (ed_opening *)(void *)&identity->secrets[identity->slot_count + 1];
}

void ed_identity_destroy(ed_identity *identity)
{
    if (identity != NULL)
        ed_secret_free(identity, size_of(identity->slot_count));
}

void ed_identity_reset_token(const ed_identity *identity, uint8_t token[ED_RESET_TOKEN_SIZE],
                             uint32_t id, const eddy_address *client)
{
    uint8_t bound_to[4 + 1 + 2 + sizeof(client->ip)];
    ed_writer w = ed_writer_of(bound_to, sizeof(bound_to));

    ed_write_u32(&w, id);
    ed_write_u8(&w, client->family);
    ed_write_u16(&w, client->port);
    ed_write_bytes(&w, client->ip, sizeof(client->ip));
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
    ed_blake2b(token, ED_RESET_TOKEN_SIZE, bound_to, sizeof(bound_to), identity->reset,
               ED_KEY_SIZE);
}
