#pragma once
// The system's types belong to one module: were `timespec` here as well, files that import only Glibc would lose it.
#pragma clang module import CEvent
// Newer releases deprecate functions whose successors Debian 12's (1.18) does not have.
#define CARES_NO_DEPRECATED
#include <ares.h>

// Functions return their code as an int in all releases, but since 1.28 the codes are of an enumerated type.
static const int CODE_SUCCESS = ARES_SUCCESS;
static const int CODE_NO_RECORD = ARES_ENODATA;
static const int CODE_NO_SUCH_NAME = ARES_ENOTFOUND;
static const int CODE_BAD_NAME = ARES_EBADNAME;

// From 1.31 on c-ares keeps answers for their time to live. The resolver does that itself, and asks again before where a
// server has gone. Debian 12's headers do not have the option: there a newer library reads zeros, which means none are kept.
#ifndef ARES_OPT_QUERY_CACHE
#define ARES_OPT_QUERY_CACHE (1 << 21)
#endif
static inline int smartstack_ares_init(ares_channel *channel, const struct ares_options *options, int mask) {
  struct {
    struct ares_options known;
    char newer[256];
  } all = {.known = *options};
  return ares_init_options(channel, &all.known, mask | ARES_OPT_QUERY_CACHE);
}
