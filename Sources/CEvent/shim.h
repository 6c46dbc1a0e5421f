#pragma once
// First on purpose: without it glibc and the Swift importer disagree about where fd_set lives.
#include <sys/select.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <malloc.h>
#include <unistd.h>
#include <spawn.h>
#include <event2/event.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// Variadic C functions and macros that Swift cannot import.
static inline int smartstack_ssl_set_host_name(SSL *ssl, const char *name) { return (int)SSL_set_tlsext_host_name(ssl, name); }
static inline int smartstack_name_thread(const char *name) { return prctl(PR_SET_NAME, name, 0, 0, 0); }
// A descriptor that becomes readable when the child ends; close-on-exec by definition. glibc has a name for it from 2.36.
static inline int smartstack_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }
// Declared by glibc only under _GNU_SOURCE, which the importer does not set.
extern int pipe2(int ends[2], int flags);
extern int memfd_create(const char *name, unsigned int flags);
extern int close_range(unsigned int first, unsigned int last, int flags);
extern int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int first);

// Swift's runtime (6.3) resumes every suspended task on its global pool, which then hands it to its actor's executor:
// two context switches for each await. Before it uses the pool it asks this hook, which is in no header.
typedef __attribute__((swiftcall)) void (*smartstack_enqueue)(void *job);
// Weak: a runtime without it costs these switches and nothing else.
extern __attribute__((swiftcall, weak)) void (*swift_task_enqueueGlobal_hook)(void *job, smartstack_enqueue original);
// Reactor's: takes the job and says true on the loop's thread, says false on every other one.
extern bool smartstack_loop_takes(void *job);

static __attribute__((swiftcall)) void smartstack_on_global_job(void *job, smartstack_enqueue original) {
  if (!smartstack_loop_takes(job)) original(job);
}
static inline void smartstack_ask_loop_first(void) {
  if (&swift_task_enqueueGlobal_hook) swift_task_enqueueGlobal_hook = smartstack_on_global_job;
}
