/** The header of a packet: PROTOCOL.md section 2. */
#ifndef ED_PACKET_H
#define ED_PACKET_H

#include "transport/limits.h"

/** What a datagram is, by its first byte. */
typedef enum ed_form {
    ED_FORM_UNKNOWN = 0,
    ED_FORM_PACKET,
    ED_FORM_HELLO = 0xe1,
    ED_FORM_RETRY = 0xe2,
    ED_FORM_INITIATE = 0xe3,
    ED_FORM_ACCEPT = 0xe4,
    ED_FORM_REJECT = 0xe5,
    ED_FORM_VERSIONS = 0xe6,
} ed_form;

ed_form ed_form_of(const void *data, size_t size);

typedef struct ed_packet {
    bool from_client; /* and so carries `id` */
    bool phase;       /* of the key */
    uint8_t number_size;
    uint32_t id;
    uint64_t number;    /* parsed: its low bytes; to write: all of it */
    size_t header_size; /* where the sealed frames begin */
    size_t number_at;   /* where the packet number begins */
} ed_packet;

/** Makes a random first byte that of a server's packet. */
static inline void ed_packet_disguise(uint8_t *first)
{
    *first = (uint8_t)(0x40 | (*first & 0x1f));
}

/** Finds only what stands in the clear. EDDY_EPROTO if it is no packet, EDDY_ETRUNCATED. */
EDDY_MUST_CHECK eddy_status ed_packet_peek_id(const void *data, size_t size, bool *from_client,
                                              uint32_t *id);

/**
 * Parses the header, once its protection is removed. EDDY_ETRUNCATED if header, smallest content
 * and tag do not fit; EDDY_EPROTO if a reserved bit is set. `*packet` is written on success only.
 */
EDDY_MUST_CHECK eddy_status ed_packet_parse(ed_packet *packet, const void *data, size_t size);

/** The bytes needed to send `number`, the last of `unacknowledged` that the peer may not have. */
uint8_t ed_packet_number_size(uint64_t number, uint64_t unacknowledged);

/** Writes the header and sets `header_size` and `number_at`. @return the size, 3-9. */
size_t ed_packet_write(ed_packet *packet, uint8_t header[ED_PACKET_HEADER_SIZE_MAX]);

#endif
