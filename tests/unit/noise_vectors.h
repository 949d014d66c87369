/**
 * Published test vectors of the three Noise patterns that eddy uses, in hexadecimal. Two sources
 * that were made by different implementations: github.com/haskell-cryptography/cacophony,
 * vectors/cacophony.txt, and github.com/flynn/noise, vectors.txt. Names there are in full:
 * Noise_NKpsk0_25519_ChaChaPoly_BLAKE2b and so on.
 */
#ifndef ED_TEST_NOISE_VECTORS_H
#define ED_TEST_NOISE_VECTORS_H

#include "transport/noise.h"

enum { NOISE_MESSAGES_MAX = 6 }; /* two of the handshake, then transport in turns */

/** Whose secret keys; each source has one set. */
struct noise_parties {
    const char *shared;
    const char *initiator;
    const char *responder;
    const char *initiator_ephemeral;
    const char *responder_ephemeral;
};

struct noise_vector {
    const char *name;
    ed_noise_pattern pattern;
    const struct noise_parties *parties;
    const char *prologue;
    const char *hash; /* of the handshake, once it is done; NULL if it was not published */
    struct {
        const char *payload;
        const char *sealed; /* NULL: no more messages */
    } messages[NOISE_MESSAGES_MAX];
};

/** Of cacophony.txt. */
static const struct noise_parties cacophony = {
    .shared = "54686973206973206d7920417573747269616e20706572737065637469766521",
    .initiator = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
    .responder = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
    .initiator_ephemeral = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
    .responder_ephemeral = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
};

/** Of flynn/noise. */
static const struct noise_parties flynn = {
    .shared = "2176657279736563726574766572797365637265747665727973656372657421",
    .initiator = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    .responder = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
    .initiator_ephemeral = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
    .responder_ephemeral = "4142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60",
};

static const struct noise_vector noise_vectors[] = {
    {.name = "cacophony NKpsk0",
     .pattern = ED_NOISE_NKPSK0,
     .parties = &cacophony,
     .prologue = "4a6f686e2047616c74",
     .hash = "a32c665fae82ea979751627b098c45e755574719a147af4bd6bb92a790dc6dc64b33f094"
             "24aa7d21ae70c46207b5d103c7150cdc6df02dc2aa470c76647da0e0",
     .messages = {{"4c756477696720766f6e204d69736573",
                   "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c794432c362f6"
                   "1a0162a93280a9e1c53edb8ce7487fd12a4d1731495a24051a5afca8"},
                  {"4d757272617920526f746862617264",
                   "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088430e8d0924"
                   "ed6525d4045188c3b225604c254ac2d8d33a8a3b0c7f5eb1975ba4"},
                  {"462e20412e20486179656b",
                   "4781e2a7bef65e0ae3da3508cf44a8b7a92880077b8e73afaef494"},
                  {"4361726c204d656e676572",
                   "f14b1feb6ff970fc3993f1c2383f33fa48138bfc5aa2ee89e40107"},
                  {"4a65616e2d426170746973746520536179",
                   "4ab72fba875b34dbc38da46b09fe1ad4d72faeb3514180d39a57b6cf22d646fcfa"},
                  {"457567656e2042f6686d20766f6e2042617765726b",
                   "1ca4c48531c304d8d1472124d5e082e29332d9527a743ac875b3bea0fb372f1d08168561"
                   "b1"}}},
    {.name = "cacophony IKpsk1",
     .pattern = ED_NOISE_IKPSK1,
     .parties = &cacophony,
     .prologue = "4a6f686e2047616c74",
     .hash = "186371bec588c76e8deb325921814d59591519641d70e37cde7ab4bc8b17600e3d906222"
             "8a6132e257baf34bc156927e5d85a7d3ea93f7524caf13710b226b3b",
     .messages = {{"4c756477696720766f6e204d69736573",
                   "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944902b84ce"
                   "e06d6795dc5f2501c05ba76688c6ce7d2ab36d91ce6d3211721f3280f6264f7c2ea2e6b1"
                   "3d78afb983ae1ffb05f1f4e9fa55356622301ebaff6e9f21c1f43208cbd63fb9b4082159"
                   "b8fc5bb3"},
                  {"4d757272617920526f746862617264",
                   "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088430b230ee9"
                   "def0e1e7c053a14848bbfb1458026c9aa2bbbd4b237cb92491392b"},
                  {"462e20412e20486179656b",
                   "3ef532df887f77d7b044cb218ff0674cba4810998d84112690527a"},
                  {"4361726c204d656e676572",
                   "cb6c35ca87c7deef55e8e9bdbd7ccdfb8de119accfadb834cbb56b"},
                  {"4a65616e2d426170746973746520536179",
                   "ed8a704db23c02f24b78473428e0ab7ba1bb5996f9a68fa45a87509537f498e41c"},
                  {"457567656e2042f6686d20766f6e2042617765726b",
                   "13e78d501bcb6d55e9c0821febbe88d021663a91fbce42c12bf219cf5d7efef5f6a2ee9c"
                   "a6"}}},
    {.name = "cacophony NXpsk2",
     .pattern = ED_NOISE_NXPSK2,
     .parties = &cacophony,
     .prologue = "4a6f686e2047616c74",
     .hash = "3bc557050b45655bbbb4267e3300a2c44d2a5d5ce2c154028e798aacb925df6611f7a7dc"
             "3d56cd4edac4c2a19458b360cf625cf6517a17c3f9ba88ca8c9b576e",
     .messages = {{"4c756477696720766f6e204d69736573",
                   "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c794418e17b7e"
                   "75036583a376658ce9ceddd610da2179dc0f5f37fc46d77d3bf0c13c"},
                  {"4d757272617920526f746862617264",
                   "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843b80c075f"
                   "d874b47350003a1fab738050980bfb36d01f773d11352db91433f4564285646d21b9efed"
                   "201a1378d7454408a70b3b309efe1f5e51f47b6c608592f3de6d825bfec580d87b53c304"
                   "1ab9c5"},
                  {"462e20412e20486179656b",
                   "97b95702d28674842f518fdce6b260614746141376b7e0fc556fb3"},
                  {"4361726c204d656e676572",
                   "0936aed1e81c3dd1ee28f7b5df753b5f5fe8472376058f13d005f7"},
                  {"4a65616e2d426170746973746520536179",
                   "b8e43b52a8a50a1206168f236514c75086a50ef50fdbcb2bbb9809203b9d8117bf"},
                  {"457567656e2042f6686d20766f6e2042617765726b",
                   "2d6149fe395ac8df475fbe4d5ef03f316bd545899e47a08f93b3b106d32b8945462d7c5e"
                   "30"}}},
    {.name = "flynn NKpsk0, neither prologue nor payloads",
     .pattern = ED_NOISE_NKPSK0,
     .parties = &flynn,
     .prologue = "",
     .messages = {{"", "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd1662547760d42a"
                       "506aaa5170e068f630688a53"},
                  {"", "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484664ff57dc4"
                       "60faf9957ccc215c82625f72"},
                  {"79656c6c6f777375626d6172696e65",
                   "815fb4a13763ec1687575d026446fb266cc4559a2e093563cd567c1928f829"},
                  {"7375626d6172696e6579656c6c6f77",
                   "ef3d9cab1bedc9b8c09ecc5d236462d60fd9a9422e8784d32f31ab27ca422e"}}},
    {.name = "flynn NKpsk0, prologue and payloads",
     .pattern = ED_NOISE_NKPSK0,
     .parties = &flynn,
     .prologue = "6e6f74736563726574",
     .messages = {{"746573745f6d73675f30",
                   "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254ef239829"
                   "0ba5d346eb19c7fc80387a124bee9c89251344667fc0"},
                  {"746573745f6d73675f31",
                   "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484663b5e2c47"
                   "87084bef7e3a6061d1819ecd024f00bf02c2e6acf677"},
                  {"79656c6c6f777375626d6172696e65",
                   "815fb4a13763ec1687575d026446fb266cc4559a2e093563cd567c1928f829"},
                  {"7375626d6172696e6579656c6c6f77",
                   "ef3d9cab1bedc9b8c09ecc5d236462d60fd9a9422e8784d32f31ab27ca422e"}}},
    {.name = "flynn IKpsk1, neither prologue nor payloads",
     .pattern = ED_NOISE_IKPSK1,
     .parties = &flynn,
     .prologue = "",
     .messages = {{"", "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd1662540d9201af"
                       "fcf03e61b649d92ff393eb2ee186823f5369731162b2f772cfc6371bcbe8d7e19394282f"
                       "1efe8a67e2b8322dbcac776930e9ed0a112705ef2f6f2fb6"},
                  {"", "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d4846645235dc7"
                       "7860e6902834d55b53616e13"},
                  {"79656c6c6f777375626d6172696e65",
                   "c64fdb57aa336721d15fb7ab26fe477cda48a1bf9e0ad3bc4cd554b0740b7e"},
                  {"7375626d6172696e6579656c6c6f77",
                   "b7601a7f5ac11f9241580f13b13d47a05b9e0ac4a31aa9229b455d6850f6f4"}}},
    {.name = "flynn IKpsk1, prologue and payloads",
     .pattern = ED_NOISE_IKPSK1,
     .parties = &flynn,
     .prologue = "6e6f74736563726574",
     .messages = {{"746573745f6d73675f30",
                   "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd1662540d9201af"
                   "fcf03e61b649d92ff393eb2ee186823f5369731162b2f772cfc6371b56d4c205efdaadaf"
                   "e7ad43991634897d2307641fa5171d2e6a90d2f10229135bee69c5e8987beeaff24e"},
                  {"746573745f6d73675f31",
                   "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466f6777d6c"
                   "e0d20a633491e32380e0bba416095b23e6c06497fd0c"},
                  {"79656c6c6f777375626d6172696e65",
                   "c64fdb57aa336721d15fb7ab26fe477cda48a1bf9e0ad3bc4cd554b0740b7e"},
                  {"7375626d6172696e6579656c6c6f77",
                   "b7601a7f5ac11f9241580f13b13d47a05b9e0ac4a31aa9229b455d6850f6f4"}}},
    {.name = "flynn NXpsk2, neither prologue nor payloads",
     .pattern = ED_NOISE_NXPSK2,
     .parties = &flynn,
     .prologue = "",
     .messages = {{"", "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254e5854b1e"
                       "81cbb8cc49dc98173b9cefd0"},
                  {"", "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466492d0eb9"
                       "5d7c0b7d7e02e0057dab75d823438caf0ca19e7b8f550466c9e5ec10c36f9e3ab39e90ce"
                       "475d2ce2f81d912655d8d21d8ee3c26ca6111bb3bdc449e0"},
                  {"79656c6c6f777375626d6172696e65",
                   "87c279f5b3cab2d36d5d53adfef24f41f8f0ad59541d80cfeb3d32a9373ab4"},
                  {"7375626d6172696e6579656c6c6f77",
                   "163c5ca8ea00dd3b81b2b494e038ad57c26277be9a54efbf0b491eb34621ea"}}},
    {.name = "flynn NXpsk2, prologue and payloads",
     .pattern = ED_NOISE_NXPSK2,
     .parties = &flynn,
     .prologue = "6e6f74736563726574",
     .messages = {{"746573745f6d73675f30",
                   "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd1662548c01fe1c"
                   "6c49957de78d567452df11303abb4e72c68fd934013b"},
                  {"746573745f6d73675f31",
                   "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466492d0eb9"
                   "5d7c0b7d7e02e0057dab75d823438caf0ca19e7b8f550466c9e5ec1089cb6312ea00184d"
                   "8e4823521c7542711e374382eb37dddd03434e498cfe49446d13a1f17641c62d74be"},
                  {"79656c6c6f777375626d6172696e65",
                   "87c279f5b3cab2d36d5d53adfef24f41f8f0ad59541d80cfeb3d32a9373ab4"},
                  {"7375626d6172696e6579656c6c6f77",
                   "163c5ca8ea00dd3b81b2b494e038ad57c26277be9a54efbf0b491eb34621ea"}}},
};

#endif
