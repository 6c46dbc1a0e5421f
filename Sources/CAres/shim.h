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
