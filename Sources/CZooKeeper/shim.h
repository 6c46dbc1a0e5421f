#pragma once
// The multi-threaded library; it has no pkg-config file and no define of its own.
#ifndef THREADED
#define THREADED
#endif
#include <zookeeper/zookeeper.h>

// Swift cannot import a mutable global struct safely: hand out its address.
static inline const struct ACL_vector *smartstack_open_acl(void) { return &ZOO_OPEN_ACL_UNSAFE; }

// A directory of protected nodes: everything for whoever created it, listing and making nodes for everybody. Its own data
// would be a service's settings for every proxy.
static inline const struct ACL_vector *smartstack_directory_acl(void) {
  static struct ACL entries[2] = {{0x1f, {"auth", ""}}, {0x01 | 0x04, {"world", "anyone"}}};
  static const struct ACL_vector acl = {2, entries};
  return &acl;
}

// Everything for whoever created the node, reading for everybody.
static inline const struct ACL_vector *smartstack_protected_acl(void) {
  static struct ACL entries[2] = {{0x1f, {"auth", ""}}, {0x01, {"world", "anyone"}}};
  static const struct ACL_vector acl = {2, entries};
  return &acl;
}
