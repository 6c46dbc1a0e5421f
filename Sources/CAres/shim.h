#pragma once
// The system's types belong to one module: were `timespec` here as well, files that import only Glibc would lose it.
#pragma clang module import CEvent
#include <ares.h>
