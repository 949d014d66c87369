#include <stdio.h>

#include "core/base.h"
#include "core/eddy.h"
#include "tools/commands.h"
#include "tools/options.h"

static const eddy_status statuses[] = {
#define X(name, value, text) name,
    EDDY_STATUS_MAP(X)
#undef X
};

int cmd_status(int argc, char **argv)
{
    const ed_usage usage = {
        .command = "status",
        .summary = "Lists every status that the library can return: value, name, meaning.\n",
        .example = "  eddy status | grep -e -16    what does -16 mean?\n",
    };
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    for (size_t i = 0; i < ED_COUNT(statuses); i++)
        printf("%3d  %-16s %s\n", (int)statuses[i], eddy_status_name(statuses[i]),
               eddy_status_text(statuses[i]));
    return ED_EXIT_OK;
}
