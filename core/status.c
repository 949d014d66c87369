#include "core/eddy.h"

#define TEXT_OF(number) TEXT_OF_EXPANDED(number)
#define TEXT_OF_EXPANDED(number) #number

const char *eddy_version(void)
{
    return TEXT_OF(EDDY_VERSION_MAJOR) "." TEXT_OF(EDDY_VERSION_MINOR) "." TEXT_OF(
        EDDY_VERSION_PATCH);
}

static const struct status_row {
    const char *name;
    const char *text;
    eddy_status status;
} rows[] = {
#define X(name, value, text) {#name, text, name},
    EDDY_STATUS_MAP(X)
#undef X
};

static const struct status_row unknown = {"unknown", "unknown status", EDDY_OK};

static const struct status_row *row_of(eddy_status status)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].status == status)
            return &rows[i];
    return &unknown;
}

const char *eddy_status_text(eddy_status status)
{
    return row_of(status)->text;
}

const char *eddy_status_name(eddy_status status)
{
    return row_of(status)->name;
}

const char *eddy_end_text(eddy_end end)
{
    switch (end) {
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
        return text;
        EDDY_END_MAP(X)
#undef X
    }
    return "unknown end";
}
