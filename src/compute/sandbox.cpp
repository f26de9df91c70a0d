#include "compute/sandbox.hpp"

#include "compute/errors.hpp"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace altiplano::compute {

namespace {

std::unexpected<Error> refused(std::string_view what, int number)
{
    return fail(
        errors::sandbox, fmt::format("the kernel refused the worker's {}: {}", what, std::generic_category().message(number)));
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

}  // namespace

bool allow_only_files(std::span<const Path> read, std::span<const Path> write)
{
    constexpr std::uint64_t read_file = LANDLOCK_ACCESS_FS_READ_FILE;
    constexpr std::uint64_t write_file = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    constexpr std::uint64_t read_folder = read_file | LANDLOCK_ACCESS_FS_READ_DIR;
    constexpr std::uint64_t write_folder = write_file | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE
        | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR;
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = write_folder | LANDLOCK_ACCESS_FS_EXECUTE;
    const auto ruleset = static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
    if (ruleset < 0)
        return false;
    const auto allow = [&](const Path& path, std::uint64_t for_file, std::uint64_t for_folder) {
        landlock_path_beneath_attr rule{};
        rule.parent_fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
        if (rule.parent_fd < 0)
            return;
        struct stat status{};
        rule.allowed_access = fstat(rule.parent_fd, &status) == 0 && S_ISDIR(status.st_mode) ? for_folder : for_file;
        (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        ::close(rule.parent_fd);
    };
    for (const auto& path : read)
        allow(path, read_file, read_folder);
    for (const auto& path : write)
        allow(path, write_file, write_folder);
    // What the machine's memory and the engine read of the kernel.
    allow("/proc", read_file, read_folder);
    allow("/sys/devices/system/cpu", read_file, read_folder);
    const bool enforced = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    ::close(ruleset);
    return enforced;
}

Result<void> enter_sandbox(const Path& modules_folder)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return refused("renunciation of privileges", errno);
    // Kernels without Landlock leave it to close_sandbox(), which takes all opening away before guest code runs.
    (void)allow_only_files({}, std::span(&modules_folder, 1));
    return deny({"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "execve", "execveat", "fork", "vfork",
        "ptrace", "process_vm_readv", "process_vm_writev", "kill", "tkill", "pidfd_open", "pidfd_getfd", "mount", "umount2",
        "chroot", "pivot_root", "setns", "unshare", "bpf", "perf_event_open", "keyctl", "add_key", "request_key",
        "io_uring_setup", "init_module", "finit_module", "kexec_load", "reboot", "symlink", "symlinkat", "link", "linkat",
        "open_by_handle_at", "name_to_handle_at"});
}

Result<void> close_sandbox()
{
    return deny({"open", "openat", "openat2", "creat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir",
        "mkdirat", "rmdir", "chmod", "fchmodat", "chown", "fchownat", "truncate", "utimensat", "readlink", "readlinkat",
        "getdents64", "prctl"});
}

}  // namespace altiplano::compute
