#include "cli/options.hpp"

#include "base/json.hpp"
#include "base/random.hpp"
#include "cli/errors.hpp"
#include "node/data_folder.hpp"

#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>

namespace altiplano::cli {

std::string environment_or(const char* name, std::string otherwise)
{
    const char* const value = std::getenv(name);
    return value && *value ? value : std::move(otherwise);
}

Exit exit_of(std::string_view code)
{
    if (code == errors::receipt_differs || code == "node.verify_differs" || code == "scheduler.broken_log"
        || code == "weave.broken_item" || code == "weave.broken_block" || code == "units.bad_assignment"
        || code == "compute.disagreement" || code == "compute.other_semantics" || code == "tensor.differs")
        return Exit::mismatch;
    if (code.find(".unknown_") != code.npos || code.ends_with(".file_missing") || code == "node.no_folder"
        || code == "node.not_computed" || code == "compute.before_checkpoint")
        return code == "compute.unknown_format" ? Exit::refused : Exit::not_found;
    if (code == errors::bad_argument || code == "base.bad_id")
        return Exit::usage;
    for (const std::string_view refusing : {"item.", "announced.", "module.", "scheduler.", "messenger.", "compute.not_a_module",
             "compute.bad_limit", "compute.bad_cron", "compute.bad_ao_checkpoint", "compute.signer_not_trusted",
             "compute.computed_already", "vm.memory_over_limit", "compute.memory_not_offered", "node.bad_", "node.body_",
             "node.folder_in_use", "node.newer_folder"})
        if (code.starts_with(refusing))
            return Exit::refused;
    return Exit::failure;
}

Common defaults()
{
    return {.url = environment_or("ALTIPLANO_NODE", "http://127.0.0.1:4000"),
        .wallet = environment_or("ALTIPLANO_WALLET",
            environment_or("XDG_CONFIG_HOME", environment_or("HOME", ".") + "/.config") + "/altiplano/wallet.json")};
}

Result<std::unique_ptr<item::Signer>> Common::key() const
{
    return node::load_or_make_key(system_files(), system_random(), wallet);
}

Result<item::Tag> parse_tag(std::string_view text)
{
    const auto equals = text.find('=');
    if (equals == text.npos || equals == 0)
        return fail(errors::bad_argument, fmt::format("'{}' is no tag", text), "write it as Name=value");
    return item::Tag{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

bool colours()
{
    const char* const none = std::getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) != 0 && (!none || !*none);
}

std::string printable(std::string_view text)
{
    std::string clean;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
        // U+0080 to U+009F steer terminals as well: U+009B begins the same sequences as ESC [.
        if (byte == 0xc2 && next >= 0x80 && next < 0xa0)
            ++i;
        else if (byte >= 0x20 ? byte != 0x7f : byte == '\n' || byte == '\t')
            clean += text[i];
    }
    return clean;
}

Exit report(const Common& common, const Error& error, std::string_view kept)
{
    if (common.json) {
        std::puts(error_json(error).c_str());
    } else {
        std::fprintf(stderr, "error  %s: %s\n", std::string(error.code).c_str(), printable(error.sentence).c_str());
        if (!error.hint.empty())
            std::fprintf(stderr, "hint   %s\n", printable(error.hint).c_str());
        if (!kept.empty())
            std::fprintf(stderr, "kept   %s\n", std::string(kept).c_str());
    }
    return exit_of(error.code);
}

void print(const Common& common, const std::string& json, const std::vector<std::pair<std::string, std::string>>& lines)
{
    if (common.json) {
        std::puts(json.c_str());
        return;
    }
    std::size_t width = 0;
    for (const auto& [name, value] : lines)
        width = std::max(width, name.size());
    for (const auto& [name, value] : lines)
        std::puts(fmt::format("{:{}}  {}", name, width, printable(value)).c_str());
}

}  // namespace altiplano::cli
