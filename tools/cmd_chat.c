/** `eddy chat`: finds the command that is meant. */
#include "core/base.h"
#include "tools/commands.h"

static const ed_command commands[] = {
    {"serve", cmd_chat_serve, "the server, through which all that is said goes"},
    {"connect", cmd_chat_connect, "take part: in a terminal, or with lines from a script"},
};

static const ed_command_group group = {
    .name = "chat",
    .about = "People who talk through a server, each under a login of his own.\n",
    .commands = commands,
    .count = ED_COUNT(commands),
    .example = "Example, in three terminals:\n\n"
               "  eddy chat serve                   says the server's key\n"
               "  eddy chat connect 127.0.0.1:4242 --server-key KEY --login alice\n"
               "  eddy chat connect 127.0.0.1:4242 --server-key KEY --login bob\n\n"
               "Alice types \"bob: hello\", and bob reads \"from alice: hello\". He answers\n"
               "\"alice, bob: hi!\", and both read \"from bob: hi!\".\n",
};

int cmd_chat(int argc, char **argv)
{
    return ed_command_run_of(&group, argc, argv);
}
