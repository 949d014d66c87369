/** `eddy token`: finds the command that is meant. */
#include "core/base.h"
#include "tools/commands.h"

static const ed_command commands[] = {
    {"issue", cmd_token_issue, "make a token for a client, as a backend does"},
    {"inspect", cmd_token_inspect, "what everybody who holds a token can read"},
    {"verify", cmd_token_verify, "what a server reads in it, and whether it takes it"},
};

static const ed_command_group group = {
    .name = "token",
    .about = "A connect token says who may connect where, and until when. It is a secret of\n"
             "its holder. A backend issues it with its issuer's key; each server opens its\n"
             "part of it with the token key that was made for it.\n",
    .commands = commands,
    .count = ED_COUNT(commands),
    .example = "Example:\n\n"
               "  eddy keygen server.key > server.pub\n"
               "  eddy keygen --kind issuer issuer.key\n"
               "  eddy keygen --token-key 9 --issuer issuer.key server9.token-key\n"
               "  eddy token issue --issuer issuer.key --out client.token \\\n"
               "      --server \"127.0.0.1:4242,9,$(cat server.pub)\" --client-id 1001\n"
               "  eddy token inspect client.token\n"
               "  eddy token verify client.token --server-id 9 --token-key server9.token-key\n",
};

int cmd_token(int argc, char **argv)
{
    return ed_command_run_of(&group, argc, argv);
}
