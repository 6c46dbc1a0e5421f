#pragma once
// First on purpose: without it glibc and the Swift importer disagree about where fd_set lives.
#include <sys/select.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netdb.h>
#include <ares.h>
