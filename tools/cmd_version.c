#include <stdio.h>

#include "core/eddy.h"
#include "tools/commands.h"
#include "tools/options.h"

int cmd_version(int argc, char **argv)
{
    const ed_usage usage = {
        .command = "version",
        .summary = "Prints the version of eddy.\n",
        .example = "  eddy version\n",
    };
    int exit_code = ED_EXIT_OK;

    if (!ed_options_parse(&usage, argc, argv, &exit_code))
        return exit_code;
    printf("eddy %s\n", eddy_version());
    return ED_EXIT_OK;
}
