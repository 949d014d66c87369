#include "transport/capsule.h"

#include <string.h>

#include "core/reader.h"
#include "core/writer.h"

#define LABEL "eddytok1"

enum {
    KEY_ID = 0, /* a server has one token key yet */
    LABEL_SIZE = sizeof(LABEL) - 1,
    RESERVED_SIZE = 23,
    EXPIRES_AT = 4,
    ID_AT = 12,
    SEALED_AT = ID_AT + ED_XNONCE_SIZE,
    SEALED_SIZE = 8 + 8 + ED_KEY_SIZE + 1 + RESERVED_SIZE + EDDY_TOKEN_DATA_MAX,
    HEADER_SIZE = LABEL_SIZE + 8 + 8 + 4 + 8, /* of what is authenticated alone */
};

static_assert((int)SEALED_AT + SEALED_SIZE + ED_AEAD_TAG_SIZE == ED_CAPSULE_SIZE,
              "transport/capsule.h has the layout");
static_assert(EDDY_TOKEN_DATA_MAX <= UINT8_MAX, "the size of the user data is one byte");

static void write_header(uint8_t header[HEADER_SIZE], const ed_capsule_place *place,
                         uint64_t expires_s)
{
    ed_writer w = ed_writer_of(header, HEADER_SIZE);

    ed_write_bytes(&w, LABEL, LABEL_SIZE);
    ed_write_u64(&w, place->protocol_id);
    ed_write_u64(&w, place->server_id);
    ed_write_u32(&w, KEY_ID);
    ed_write_u64(&w, expires_s);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
}

void ed_capsule_seal(uint8_t bytes[ED_CAPSULE_SIZE], const ed_capsule *capsule,
                     const ed_capsule_place *place, const uint8_t token_key[ED_KEY_SIZE])
{
    uint8_t header[HEADER_SIZE];
    ed_writer w = ed_writer_of(bytes, SEALED_AT + SEALED_SIZE);

    ED_ASSERT(capsule->user_data_size <= EDDY_TOKEN_DATA_MAX);
    ed_write_u32(&w, KEY_ID);
    ed_write_u64(&w, capsule->expires_s);
    ed_write_bytes(&w, capsule->id, ED_XNONCE_SIZE);
    ED_ASSERT(ed_writer_size(&w) == SEALED_AT);
    ed_write_u64(&w, capsule->client_id);
    ed_write_u64(&w, capsule->issued_s);
    ed_write_bytes(&w, capsule->psk, ED_KEY_SIZE);
    ed_write_u8(&w, capsule->user_data_size);
    ed_write_zeros(&w, RESERVED_SIZE);
    ed_write_bytes(&w, capsule->user_data, capsule->user_data_size);
    ed_write_zeros(&w, ed_writer_left(&w));
    ED_ASSERT(ed_writer_ok(&w));
    write_header(header, place, capsule->expires_s);
    ed_xaead_seal(token_key, capsule->id, header, HEADER_SIZE, bytes + SEALED_AT, SEALED_SIZE);
}

static bool are_zeros(ed_span span)
{
    uint8_t bits = 0;

    for (size_t i = 0; i < span.size; i++)
        bits |= span.data[i];
    return bits == 0;
}

/** Reads what was sealed. False if no issuer of ours can have written it. */
static bool read_opened(ed_capsule *capsule, const uint8_t opened[SEALED_SIZE])
{
    ed_reader r = ed_reader_of(opened, SEALED_SIZE);

    capsule->client_id = ed_read_u64(&r);
    capsule->issued_s = ed_read_u64(&r);
    memcpy(capsule->psk, ed_read_bytes(&r, ED_KEY_SIZE).data, ED_KEY_SIZE);
    capsule->user_data_size = ed_read_u8(&r);
    ed_span reserved = ed_read_bytes(&r, RESERVED_SIZE);
    ed_span data = ed_read_bytes(&r, EDDY_TOKEN_DATA_MAX);
    ED_ASSERT(ed_reader_ok(&r) && ed_reader_left(&r) == 0);
    if (capsule->user_data_size > EDDY_TOKEN_DATA_MAX || !are_zeros(reserved))
        return false;
    memcpy(capsule->user_data, data.data, EDDY_TOKEN_DATA_MAX);
    return capsule->expires_s > capsule->issued_s &&
           capsule->expires_s - capsule->issued_s <= EDDY_TOKEN_LIFE_S_MAX;
}

eddy_status ed_capsule_open(ed_capsule *capsule, const uint8_t bytes[ED_CAPSULE_SIZE],
                            const ed_capsule_place *place, const uint8_t token_key[ED_KEY_SIZE])
{
    uint8_t header[HEADER_SIZE], sealed[SEALED_SIZE + ED_AEAD_TAG_SIZE];
    ed_reader r = ed_reader_of(bytes, ED_CAPSULE_SIZE);
    ed_capsule read = {.client_id = 0};

    uint32_t key_id = ed_read_u32(&r);
    read.expires_s = ed_read_u64(&r);
    memcpy(read.id, ed_read_bytes(&r, ED_XNONCE_SIZE).data, ED_XNONCE_SIZE);
    memcpy(sealed, ed_read_bytes(&r, sizeof(sealed)).data, sizeof(sealed));
    ED_ASSERT(ed_reader_ok(&r) && ed_reader_left(&r) == 0);
    if (key_id != KEY_ID)
        return EDDY_ETOKEN;
    write_header(header, place, read.expires_s);
    bool is_good = ed_xaead_open(token_key, read.id, header, HEADER_SIZE, sealed, sizeof(sealed)) &&
                   read_opened(&read, sealed);
    if (is_good)
        *capsule = read;
    ed_wipe(sealed, sizeof(sealed));
    ed_wipe(&read, sizeof(read));
    return is_good ? EDDY_OK : EDDY_ETOKEN;
}

eddy_status ed_capsule_judge(const ed_capsule *capsule, uint64_t now_s)
{
    bool is_early = capsule->issued_s > ed_add_sat_u64(now_s, ED_TOKEN_CLOCK_S);

    return is_early || now_s >= capsule->expires_s ? EDDY_EEXPIRED : EDDY_OK;
}

uint64_t ed_capsule_expires_s(const uint8_t bytes[ED_CAPSULE_SIZE])
{
    ed_reader r = ed_reader_of(bytes + EXPIRES_AT, sizeof(uint64_t));

    return ed_read_u64(&r);
}

const uint8_t *ed_capsule_id(const uint8_t bytes[ED_CAPSULE_SIZE])
{
    return bytes + ID_AT;
}

void ed_capsule_psk(uint8_t psk[ED_KEY_SIZE], const uint8_t token_psk[ED_KEY_SIZE],
                    uint64_t server_id, const uint8_t id[ED_XNONCE_SIZE])
{
    uint8_t input[sizeof(server_id) + ED_XNONCE_SIZE];
    ed_writer w = ed_writer_of(input, sizeof(input));

    ed_write_u64(&w, server_id);
    ed_write_bytes(&w, id, ED_XNONCE_SIZE);
    ED_ASSERT(ed_writer_ok(&w) && ed_writer_left(&w) == 0);
    ed_blake2b(psk, ED_KEY_SIZE, input, sizeof(input), token_psk, ED_KEY_SIZE);
}
