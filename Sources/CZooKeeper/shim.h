#pragma once
// The multi-threaded library; it has no pkg-config file and no define of its own.
#ifndef THREADED
#define THREADED
#endif
#include <zookeeper/zookeeper.h>
#include <zookeeper/zookeeper_log.h>

// Swift cannot import a mutable global struct safely: hand out its address.
static inline const struct ACL_vector *smartstack_open_acl(void) { return &ZOO_OPEN_ACL_UNSAFE; }
static inline const struct ACL_vector *smartstack_creator_acl(void) { return &ZOO_CREATOR_ALL_ACL; }
