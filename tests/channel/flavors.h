/** The channels that crossbeam calls list and array: unbounded, and with room for some. */
#ifndef ED_TEST_CHANNEL_FLAVORS_H
#define ED_TEST_CHANNEL_FLAVORS_H

#include "tests/channel/bed.h"

static const struct flavor {
    const char *name;
    size_t capacity;
} flavors[] = {{"list", 0}, {"array of 1", 1}, {"array of 2", 2}, {"array of 100", 100}};

static const struct flavor *const flavors_end = flavors + ED_COUNT(flavors);

#endif
