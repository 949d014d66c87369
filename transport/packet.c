#include "transport/packet.h"

#include "core/reader.h"
#include "core/writer.h"

enum {
    FORM_MASK = 0xc0,
    FORM_PACKET = 0x40,
    BIT_ID = 0x20,
    BITS_RESERVED = 0x18,
    BIT_PHASE = 0x04,
    BITS_NUMBER_SIZE = 0x03,
};

ed_form ed_form_of(const void *data, size_t size)
{
    const uint8_t *bytes = data;

    if (size == 0)
        return ED_FORM_UNKNOWN;
    if ((bytes[0] & FORM_MASK) == FORM_PACKET)
        return ED_FORM_PACKET;
    if (bytes[0] >= ED_FORM_HELLO && bytes[0] <= ED_FORM_VERSIONS)
        return (ed_form)bytes[0];
    return ED_FORM_UNKNOWN;
}

eddy_status ed_packet_peek_id(const void *data, size_t size, bool *from_client, uint32_t *id)
{
    ed_reader r = ed_reader_of(data, size);
    uint8_t first = ed_read_u8(&r);
    bool has_id = (first & BIT_ID) != 0;
    uint32_t value = has_id ? ed_read_u32(&r) : 0;

    if (!ed_reader_ok(&r))
        return EDDY_ETRUNCATED;
    if ((first & FORM_MASK) != FORM_PACKET)
        return EDDY_EPROTO;
    *from_client = has_id;
    *id = value;
    return EDDY_OK;
}

eddy_status ed_packet_parse(ed_packet *packet, const void *data, size_t size)
{
    ed_reader r = ed_reader_of(data, size);
    uint8_t first = ed_read_u8(&r);
    bool has_id = (first & BIT_ID) != 0;
    uint8_t number_size = (uint8_t)((first & BITS_NUMBER_SIZE) + 1);
    uint32_t id = has_id ? ed_read_u32(&r) : 0;
    size_t number_at = size - ed_reader_left(&r);
    uint64_t number = ed_read_uint(&r, number_size);

    if (!ed_reader_ok(&r) ||
        ed_reader_left(&r) + number_size < ED_PACKET_PLAIN_SIZE_MIN + 1 + ED_TAG_SIZE)
        return EDDY_ETRUNCATED;
    if ((first & FORM_MASK) != FORM_PACKET || (first & BITS_RESERVED) != 0)
        return EDDY_EPROTO;
    *packet = (ed_packet){
        .from_client = has_id,
        .phase = (first & BIT_PHASE) != 0,
        .number_size = number_size,
        .id = id,
        .number = number,
        .header_size = number_at + number_size,
        .number_at = number_at,
    };
    return EDDY_OK;
}

uint8_t ed_packet_number_size(uint64_t number, uint64_t unacknowledged)
{
    ED_ASSERT(number <= ED_PACKET_NUMBER_LAST);
    // The peer expects a number near the last it saw; half the space must cover all it may miss.
    uint64_t space = ed_add_sat_u64(unacknowledged, 1) * 2;

    for (uint8_t size = ED_PACKET_NUMBER_SIZE_MIN; size < ED_PACKET_NUMBER_SIZE_MAX; size++)
        if (space < UINT64_C(1) << 8 * size)
            return size;
    return ED_PACKET_NUMBER_SIZE_MAX;
}

size_t ed_packet_write(ed_packet *packet, uint8_t header[ED_PACKET_HEADER_SIZE_MAX])
{
    ED_ASSERT(packet->number_size >= 1 && packet->number_size <= ED_PACKET_NUMBER_SIZE_MAX);
    ed_writer w = ed_writer_of(header, ED_PACKET_HEADER_SIZE_MAX);
    unsigned first = FORM_PACKET | (packet->from_client ? BIT_ID : 0u) |
                     (packet->phase ? BIT_PHASE : 0u) | (packet->number_size - 1u);

    ed_write_u8(&w, (uint8_t)first);
    if (packet->from_client)
        ed_write_u32(&w, packet->id);
    packet->number_at = ed_writer_size(&w);
    ed_write_uint(&w, packet->number, packet->number_size);
    packet->header_size = ed_writer_size(&w);
    ED_ASSERT(ed_writer_ok(&w));
    return packet->header_size;
}
