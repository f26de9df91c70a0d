#include "compute/sandbox.hpp"

#include "compute/errors.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace altiplano::compute {

namespace {

std::unexpected<Error> refused(std::string_view what, int number)
{
    return fail(errors::sandbox, fmt::format("the kernel refused the worker's {}: {}", what, std::generic_category().message(number)));
}

/// A filter under which `denied` fail with EPERM. Filters add up: a second one only takes away.
Result<void> deny(std::initializer_list<const char*> denied)
{
    auto* const filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return refused("system call filter", ENOMEM);
    for (const auto* name : denied)
        if (const int number = seccomp_syscall_resolve_name(name); number >= 0)
            seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    const int failed = seccomp_load(filter);
    seccomp_release(filter);
    if (failed != 0)
        return refused("system call filter", -failed);
    return {};
}

/// Files of one folder may be used; the rest of the file system is out of reach but for the kernel's own page map.
/// Kernels before 5.13, or without Landlock, do not offer this: then the filter of close_sandbox() alone holds.
void restrict_files(const Path& folder)
{
    constexpr std::uint64_t all = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE
        | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_EXECUTE;
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = all;
    const auto ruleset = static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
    if (ruleset < 0)
        return;
    const auto allow = [&](const char* path, std::uint64_t access) {
        landlock_path_beneath_attr rule{};
        rule.allowed_access = access;
        rule.parent_fd = ::open(path, O_PATH | O_CLOEXEC);
        if (rule.parent_fd < 0)
            return;
        (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        ::close(rule.parent_fd);
    };
    allow(folder.c_str(), all & ~static_cast<std::uint64_t>(LANDLOCK_ACCESS_FS_EXECUTE));
    allow("/proc", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
    allow("/sys/devices/system/cpu", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
    (void)syscall(SYS_landlock_restrict_self, ruleset, 0);
    ::close(ruleset);
}

}  // namespace

Result<void> enter_sandbox(const Path& modules_folder)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return refused("renunciation of privileges", errno);
    restrict_files(modules_folder);
    return deny({"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv",
        "process_vm_writev", "kill", "tkill", "pidfd_open", "pidfd_getfd", "mount", "umount2", "chroot", "pivot_root", "setns", "unshare", "bpf", "perf_event_open",
        "keyctl", "add_key", "request_key", "io_uring_setup", "init_module", "finit_module", "kexec_load", "reboot", "symlink", "symlinkat", "link", "linkat",
        "open_by_handle_at", "name_to_handle_at"});
}

Result<void> close_sandbox()
{
    return deny({"open", "openat", "openat2", "creat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "chmod", "fchmodat", "chown",
        "fchownat", "truncate", "utimensat", "readlink", "readlinkat", "getdents64", "prctl"});
}

}  // namespace altiplano::compute
