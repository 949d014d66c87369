#include "core/base.h"

#include <stdio.h>
#include <stdlib.h>

void ed_panic(const char *belief, const char *file, int line)
{
    fprintf(stderr, "%s:%d: eddy believed: %s\n", file, line, belief);
    abort();
}
