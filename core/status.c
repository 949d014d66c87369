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

const char *eddy_refusal_text(eddy_refusal refusal)
{
    switch (refusal) {
    case EDDY_NOT_REFUSED:
        return "not refused";
    case EDDY_REFUSED_FULL:
        return "all its places are taken";
    case EDDY_REFUSED_BY_PROGRAM:
        return "its program said no";
    case EDDY_REFUSED_MODE:
        return "it does not accept this way to connect";
    case EDDY_REFUSED_KEY:
        return "it does not know the client's key";
    case EDDY_REFUSED_TOKEN:
        return "the connect token was altered, or is for another server";
    case EDDY_REFUSED_EXPIRED:
        return "the connect token has expired";
    case EDDY_REFUSED_USED:
        return "the connect token was used before";
    case EDDY_REFUSED_LIMIT:
        return "too many, or too fast, from this address";
    case EDDY_REFUSED_VERSION:
        return "it speaks other versions of the protocol";
    }
    return "unknown refusal";
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
