/** Who may become a reliable connection: what strangers say is judged without remembering them. */
#ifndef ED_ADMISSION_H
#define ED_ADMISSION_H

#include "transport/reliable.h"

/* Two calls of ed_reliable_type; the context is an ed_reliable. */

/** Whose a datagram is. */
ed_route ed_admission_route(void *context, const eddy_datagram *datagram);

/** What becomes of one that is nobody's; writes what is replied. */
ed_admission ed_admission_judge(void *context, const eddy_datagram *datagram, ed_load *load,
                                uint8_t *reply, size_t *reply_size, uint64_t now_ns);

#endif
