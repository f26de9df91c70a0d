#include "disk.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace altiplano::sim {

namespace {

std::string folder_of(const std::string& path)
{
    const auto slash = path.rfind('/');
    return slash == path.npos ? std::string() : path.substr(0, slash);
}

bool touches(const Op& op, const std::string& folder)
{
    return folder_of(op.path) == folder || (op.kind == Op::Kind::rename && folder_of(op.to) == folder);
}

}  // namespace

std::string describe(const Op& op)
{
    switch (op.kind) {
    case Op::Kind::create: return fmt::format("create {}", op.path);
    case Op::Kind::write: return fmt::format("write {} +{} {} bytes", op.path, op.offset, op.bytes.size());
    case Op::Kind::truncate: return fmt::format("truncate {} to {}", op.path, op.offset);
    case Op::Kind::sync: return fmt::format("sync {}", op.path);
    case Op::Kind::rename: return fmt::format("rename {} to {}", op.path, op.to);
    case Op::Kind::remove: return fmt::format("remove {}", op.path);
    case Op::Kind::make_directory: return fmt::format("make folder {}", op.path);
    case Op::Kind::sync_directory: return fmt::format("sync folder {}", op.path);
    case Op::Kind::protect: return fmt::format("protect {}", op.path);
    }
    return {};
}

std::string_view name_of(Tear tear)
{
    constexpr std::string_view names[] = {"lost", "kept", "prefix", "scattered"};
    return names[static_cast<std::size_t>(tear)];
}

std::size_t Tree::fingerprint() const
{
    std::size_t all = 0;
    const auto mix = [&](std::string_view text) { all = all * 1'000'003 + std::hash<std::string_view>{}(text); };
    for (const auto& folder : folders)
        mix(folder);
    for (const auto& [path, content] : files) {
        mix(path);
        mix(as_text(content));
    }
    return all;
}

Disk::Disk(const Tree& before)
{
    names_.folders = before.folders;
    read_only_ = before.read_only;
    std::uint32_t number = 0;
    for (const auto& [path, content] : before.files) {
        names_.files[path] = ++number;
        content_[number] = content;
    }
}

void Disk::Names::apply(const Op& op)
{
    switch (op.kind) {
    case Op::Kind::create: files[op.path] = op.file; break;
    case Op::Kind::rename:
        if (const auto from = files.find(op.path); from != files.end() && from->second == op.file)
            files.erase(from);
        files[op.to] = op.file;
        break;
    case Op::Kind::remove:
        if (const auto there = files.find(op.path); there != files.end() && there->second == op.file)
            files.erase(there);
        break;
    case Op::Kind::make_directory: folders.insert(op.path); break;
    default: break;
    }
}

/// Those bytes of a write, or a truncation.
void Disk::put(Buffer& content, const Op& op, std::uint64_t begin, std::uint64_t end)
{
    if (op.kind == Op::Kind::truncate) {
        content.resize(op.offset);
        return;
    }
    if (content.size() < op.offset + end)
        content.resize(op.offset + end);
    std::copy(op.bytes.begin() + static_cast<std::ptrdiff_t>(begin), op.bytes.begin() + static_cast<std::ptrdiff_t>(end),
        content.begin() + static_cast<std::ptrdiff_t>(op.offset + begin));
}

void Disk::apply(const Op& op)
{
    switch (op.kind) {
    case Op::Kind::sync:
        std::erase_if(pending_, [&](const Op* one) {
            if (!is_data(*one) || one->file != op.file)
                return false;
            put(content_[op.file], *one, 0, one->bytes.size());
            return true;
        });
        break;
    case Op::Kind::sync_directory:
        std::erase_if(pending_, [&](const Op* one) {
            if (is_data(*one) || !touches(*one, op.path))
                return false;
            names_.apply(*one);
            return true;
        });
        break;
    case Op::Kind::protect: read_only_.insert(op.path); break;
    default: pending_.push_back(&op);
    }
}

Tree Disk::after_crash(Tear tear, Chance& chance) const
{
    auto names = names_;
    auto content = content_;
    const auto all_of = [&](const Op& op) {
        if (is_data(op))
            put(content[op.file], op, 0, op.bytes.size());
        else
            names.apply(op);
    };
    const auto up_to = [&](std::size_t count) { return static_cast<std::size_t>(chance() % (count + 1)); };
    if (tear == Tear::kept) {
        for (const auto* op : pending_)
            all_of(*op);
    } else if (tear == Tear::prefix) {
        const auto whole = up_to(pending_.size());
        for (std::size_t i = 0; i < whole; ++i)
            all_of(*pending_[i]);
        if (whole < pending_.size() && pending_[whole]->kind == Op::Kind::write) {
            const auto& cut = *pending_[whole];
            put(content[cut.file], cut, 0, up_to(cut.bytes.size() / sector_bytes) * sector_bytes);
        }
    } else if (tear == Tear::scattered) {
        const auto named = up_to(pending_.size());
        for (std::size_t i = 0; i < pending_.size(); ++i) {
            const auto& op = *pending_[i];
            if (!is_data(op)) {
                if (i < named)
                    names.apply(op);
                continue;
            }
            if (op.kind == Op::Kind::truncate) {
                if (chance() % 2 == 0)
                    put(content[op.file], op, 0, 0);
                continue;
            }
            // Sectors as the disk has them: a write that is not aligned shares its first and last.
            for (std::uint64_t at = 0; at < op.bytes.size();) {
                const auto end =
                    std::min<std::uint64_t>(op.bytes.size(), ((op.offset + at) / sector_bytes + 1) * sector_bytes - op.offset);
                if (chance() % 2 == 0)
                    put(content[op.file], op, at, end);
                at = end;
            }
        }
    }

    Tree left{.folders = names.folders};
    // What lies in a folder that is not there is lost with it.
    std::erase_if(left.folders, [&](const std::string& folder) {
        for (auto up = folder_of(folder); !up.empty(); up = folder_of(up))
            if (!names.folders.contains(up))
                return true;
        return false;
    });
    for (const auto& [path, file] : names.files)
        if (const auto folder = folder_of(path); folder.empty() || left.folders.contains(folder)) {
            left.files[path] = content[file];
            if (read_only_.contains(path))
                left.read_only.insert(path);
        }
    return left;
}

}  // namespace altiplano::sim
