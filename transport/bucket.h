/** Token buckets: so many of something a second, and a few at once. Integers, 8 bytes a bucket. */
#ifndef ED_BUCKET_H
#define ED_BUCKET_H

#include "core/base.h"
#include "core/eddy_base.h"

/** What a bucket gives. Many buckets may share one. */
typedef struct ed_rate {
    uint64_t interval_ns; /* of one token; 0: no limit */
    uint64_t burst_ns;    /* how far ahead of its refilling a bucket may be emptied */
} ed_rate;

/**
 * @param per_second 0: no limit; the interval is rounded up, so that it is never more than this.
 * @param burst tokens of a full bucket, at least 1.
 */
ed_rate ed_rate_of(uint32_t per_second, uint32_t burst);

/**
 * Takes a token, if there is one.
 * @param full_ns the bucket: when it will be full again if nobody takes any; at first 0.
 * @return false if it is empty: it is unchanged.
 */
EDDY_MUST_CHECK bool ed_rate_take(const ed_rate *rate, uint64_t *full_ns, uint64_t now_ns);

/** A bucket with its own rate. */
typedef struct ed_bucket {
    ed_rate rate;
    uint64_t full_ns;
} ed_bucket;

/** As ed_rate_of; the bucket is full. */
void ed_bucket_init(ed_bucket *budget, uint32_t per_second, uint32_t burst);

EDDY_MUST_CHECK bool ed_bucket_take(ed_bucket *budget, uint64_t now_ns);

#endif
