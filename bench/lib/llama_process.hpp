#pragma once

#include "base/json.hpp"
#include "compute/context.hpp"
#include "lib/bench.hpp"
#include "lib/lone_message.hpp"
#include "store/blobs.hpp"
#include "vm/errors.hpp"
#include "vm/module.hpp"

#include <cstdio>
#include <fmt/format.h>

/// A process of llama.wasm without a node around it, for benchmarks.
namespace altiplano::bench {

/// A file of this machine as an item: by default that with its hash.
class ModelFile final : public vm::GuestFile {
public:
    explicit ModelFile(const Path& path, bool mapped = true, std::optional<ItemId> item = {})
        : mapped_(mapped)
        , file_(must(system_files().open(path, Files::Mode::read)))
        , size_(must(file_->size()))
        , item_(item ? *item : ItemId(must(store::sha256_of(*file_))))
    {
    }
    std::uint64_t size() const override { return size_; }
    Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) override
    {
        TRY(const auto got, file_->read_at(offset, into));
        return got == into.size() ? Result<void>{} : fail(vm::errors::host_file, "the model became shorter");
    }
    std::optional<Backing> backing() const override
    {
        return mapped_ ? std::optional(Backing{file_->descriptor(), 0}) : std::nullopt;
    }
    ItemId item() const override { return item_; }

private:
    bool mapped_;
    std::unique_ptr<File> file_;
    std::uint64_t size_;
    ItemId item_;
};

class ModelFiles final : public vm::GuestFiles {
public:
    explicit ModelFiles(Path path, bool mapped = true, std::optional<ItemId> item = {})
        : path_(std::move(path))
        , mapped_(mapped)
        , item_(item ? *item : ModelFile(path_).item())
    {
    }
    /// Whatever the item is called; nothing else is there.
    Result<std::unique_ptr<vm::GuestFile>> open(std::string_view path) override
    {
        if (!path.starts_with("data/"))
            return fail(vm::errors::file_not_found, fmt::format("there is no {}", path));
        return model();
    }
    Result<std::unique_ptr<vm::GuestFile>> mapped_item(ItemId) override { return model(); }

private:
    std::unique_ptr<vm::GuestFile> model() const { return std::make_unique<ModelFile>(path_, mapped_, item_); }

    Path path_;
    bool mapped_;
    ItemId item_;  ///< a node knows it, too, without reading the file again
};

/// A process of llama.wasm without a node around it.
class Process {
public:
    Process(std::shared_ptr<const vm::Module> module, const Path& model, bool mapped = true)
        : Process(std::move(module), std::make_shared<ModelFiles>(model, mapped))
    {
    }
    Process(std::shared_ptr<const vm::Module> module, std::shared_ptr<vm::GuestFiles> files)
        : module_(std::move(module))
        , files_(std::move(files))
        , machine_(must(vm::Machine::create(module_, limits())))
    {
        send("Process", "");
    }

    using Console = std::function<void(int, std::string_view)>;

    /// What Lua gave as a text, or why it gave nothing.
    struct Said {
        bool fine;
        std::string text;
    };
    Said say(std::string_view code, const Console& console = {}) { return said(send("Message", code, console)); }

    /// What Lua gave, as a number; the CPU seconds of this thread, and those of the clock.
    struct Evaluated {
        std::int64_t value;
        double cpu_seconds, seconds;
    };
    Evaluated eval(std::string_view code)
    {
        std::string output;
        double cpu_seconds = 0;
        const double seconds =
            bench::seconds([&] { cpu_seconds = bench::thread_seconds([&] { output = send("Message", code); }); });
        const auto answer = said(output);
        if (!answer.fine) {
            fmt::print(stderr, "the guest answered: {}\n", answer.text);
            std::exit(1);
        }
        return {std::strtoll(answer.text.c_str(), nullptr, 10), cpu_seconds, seconds};
    }

    /// Goes to sleep as an image and wakes from it.
    void restore(const Path& image)
    {
        save(image);
        wake(image);
    }
    void save(const Path& image) { must(machine_->save(system_files(), image)); }
    /// Gives up its machine and all that it holds. Only `wake` may follow.
    void drop() { machine_.reset(); }
    /// In place of the machine that is there.
    void wake(const Path& image)
    {
        drop();
        machine_ = must(vm::Machine::restore(module_, limits(), must(system_files().open(image, Files::Mode::read)), *files_));
    }

private:
    static vm::Machine::Limits limits() { return {.memory_bytes = std::uint64_t{16} << 30}; }

    static Said said(const std::string& output)
    {
        // A fault has a sentence instead.
        const auto answer = JsonView::parse(output);
        if (!answer)
            return {false, output};
        const auto response = answer->find("response");
        const auto data = response && response->find("Output") ? response->find("Output")->find("data") : std::nullopt;
        const auto text = data ? data->find("output") ? data->find("output")->text() : data->text() : std::nullopt;
        return text ? Said{true, *text} : Said{false, output};
    }

    std::string send(std::string_view type, std::string_view data, const Console& console = {})
    {
        const auto message = lone_message(type, data, nonce_++);
        const auto work = message.work(UINT64_MAX);
        const auto done = must(compute::evaluate(*machine_, work, *files_, console));
        return done.output;
    }

    std::shared_ptr<const vm::Module> module_;
    std::shared_ptr<vm::GuestFiles> files_;
    std::unique_ptr<vm::Machine> machine_;
    std::int64_t nonce_ = 0;
};

}  // namespace altiplano::bench
