#include "compute/worker.hpp"

#include "base/executor.hpp"
#include "base/log.hpp"
#include "compute/context.hpp"
#include "compute/errors.hpp"
#include "compute/frames.hpp"
#include "compute/giving_way.hpp"
#include "compute/sandbox.hpp"
#include "compute/tensor_threads.hpp"
#include "cuda/errors.hpp"
#include "cuda/served.hpp"
#include "drive/files.hpp"
#include "memory/common_image.hpp"
#include "vm/declared_memory.hpp"
#include "vm/errors.hpp"

#include <array>
#include <charconv>
#include <deque>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

namespace altiplano::compute {

namespace {

/// An answer that another thread works out and sends while this one goes on: at most one, and whoever sends anything waits for
/// it, so that the node hears all in its order.
class AnswerBeside {
public:
    /// The one before is done.
    void begin(std::function<void()> work)
    {
        if (!thread_) {
            thread_ = thread_pool("roots", 1);
            thread_->post(interrupt_nobody);
        }
        work_ = std::move(work);
        state_.store(State::waits, std::memory_order_release);
        thread_->post([this] { do_it(); });
    }
    /// Does it, where the other thread has not come to it: that one may have to wait for a processor, which this one has.
    void wait()
    {
        do_it();
        state_.wait(State::begun, std::memory_order_acquire);
    }

private:
    enum class State { none, waits, begun };
    void do_it()
    {
        auto found = State::waits;
        if (!state_.compare_exchange_strong(found, State::begun, std::memory_order_acquire))
            return;
        work_();
        state_.store(State::none, std::memory_order_release);
        state_.notify_all();
    }

    std::atomic<State> state_ = State::none;
    std::function<void()> work_;
    std::unique_ptr<Executor> thread_;
};

/// The files of the guest, opened by the node: an item comes as a descriptor, or as bytes when it is small.
class NodeFiles final : public vm::GuestFiles {
public:
    /// @param early  where frames are put that came before the answer: messages to be evaluated next
    NodeFiles(Channel& channel, std::deque<Frame>& early, AnswerBeside& beside)
        : channel_(channel)
        , early_(early)
        , beside_(beside)
    {
    }

    Result<std::unique_ptr<vm::GuestFile>> open(std::string_view path) override { return ask(path, false); }
    Result<std::unique_ptr<vm::GuestFile>> mapped_item(ItemId item) override { return ask(drive::path_of(item), true); }
    /// A way to the node's graphics card. @return -1 where there is none
    Result<int> card()
    {
        TRY(const auto reply, asked(FrameType::card, {}));
        return reply.descriptor;
    }

private:
    /// What the node answers; what it says besides comes later.
    Result<Frame> asked(FrameType question, Bytes payload)
    {
        beside_.wait();
        TRY_OK(channel_.send(question, payload));
        TRY(auto frame, channel_.receive());
        while (frame.type == FrameType::evaluate) {
            early_.push_back(std::move(frame));
            TRY(frame, channel_.receive());
        }
        return frame;
    }
    Result<std::unique_ptr<vm::GuestFile>> ask(std::string_view path, bool mapped)
    {
        TRY(const auto reply, asked(FrameType::item, Packer().text(path).number(mapped ? 1 : 0).bytes()));
        if (reply.type == FrameType::failed)
            return std::unexpected(unpack_error(reply.payload));
        Unpacker fields(reply.payload);
        TRY(const auto size, fields.number());
        TRY(const auto bytes, fields.text());
        auto data = reply.descriptor >= 0 ? std::make_unique<weave::ItemData>(adopt_file(reply.descriptor), size)
                                          : std::make_unique<weave::ItemData>(to_buffer(bytes));
        return drive::file_of(path, std::move(data));
    }
    Channel& channel_;
    std::deque<Frame>& early_;
    AnswerBeside& beside_;
};

/// Gives one open descriptor to whoever writes "a file": the node names it, renames it and syncs its folder.
class HandedFile final : public Files {
public:
    HandedFile(int descriptor, const std::function<std::unique_ptr<File>(int)>& adopt)
        : descriptor_(descriptor)
        , adopt_(adopt)
    {
    }
    ~HandedFile() override
    {
        if (descriptor_ >= 0)
            close(descriptor_);
    }
    Result<std::unique_ptr<File>> open(const Path& path, Mode) override
    {
        if (descriptor_ < 0)
            return fail(errors::worker_protocol, fmt::format("no second file may be written: {}", path.string()));
        return adopt_(std::exchange(descriptor_, -1));
    }
    bool exists(const Path&) override { return false; }
    Result<void> rename(const Path&, const Path&) override { return {}; }
    Result<void> remove(const Path&) override { return {}; }
    Result<void> make_directories(const Path&) override { return {}; }
    Result<void> sync_directory(const Path&) override { return {}; }
    Result<void> set_read_only(const Path&) override { return {}; }
    Result<std::vector<std::string>> list(const Path&) override { return std::vector<std::string>{}; }

private:
    int descriptor_;
    const std::function<std::unique_ptr<File>(int)>& adopt_;
};

class Worker {
public:
    Worker(int socket, WorkerOptions options)
        : channel_(socket)
        , socket_(socket)
        , files_(channel_, early_, beside_)
        , options_(std::move(options))
    {
    }

    ~Worker() { beside_.wait(); }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    int run()
    {
        for (;;) {
            auto frame = next();
            if (!frame)
                return frame.error().code == errors::worker_died ? 0 : 1;  // the node is gone, which is how this life ends
            if (frame->type == FrameType::layer) {
                layers_.push_back(adopt_file(frame->descriptor));
                continue;
            }
            if (frame->type == FrameType::forget) {
                beside_.wait();
                // A small one is kept for the next process of its module, which takes its place page by page.
                left_ = machine_ && machine_->may_become_another() ? std::move(machine_) : nullptr;
                machine_.reset();
                continue;
            }
            if (frame->type != FrameType::evaluate)
                beside_.wait();
            auto answer = serve(*frame);
            if (frame->descriptor >= 0)
                close(frame->descriptor);
            if (std::exchange(is_answered_beside_, false))
                continue;
            beside_.wait();
            const auto sent = answer ? channel_.send(answer->type, answer->payload)
                                     : channel_.send(FrameType::failed, pack_error(answer.error()));
            if (!sent)
                return 0;
        }
    }

private:
    Result<Frame> next()
    {
        if (early_.empty())
            return channel_.receive();
        auto frame = std::move(early_.front());
        early_.pop_front();
        return frame;
    }

    Result<Frame> serve(Frame& frame)
    {
        switch (frame.type) {
        case FrameType::load: return load(frame.payload, frame.descriptor);
        case FrameType::start:
        case FrameType::restore: {
            TRY(limits_.memory_bytes, Unpacker(frame.payload).number());
            const auto layers = std::exchange(layers_, {});
            if (!module_)
                return fail(errors::worker_protocol, "a worker was given no module");
            machine_.reset();  // no two memories at once
            auto left = std::exchange(left_, nullptr);
            if (frame.type == FrameType::restore)
                return start(vm::Machine::restore(module_, limits_, layers, files_, std::move(left), &common_));
            left.reset();
            return start(vm::Machine::create(module_, limits_));
        }
        case FrameType::fill: {
            TRY(const auto length, Unpacker(frame.payload).number());
            if (!machine_ || frame.descriptor < 0)
                return no_machine();
            const auto memory = adopt_file(std::exchange(frame.descriptor, -1));
            TRY(const auto root, machine_->take_memory(*memory, length));
            return Frame{.type = FrameType::started, .payload = Packer().text(root.bytes()).bytes()};
        }
        case FrameType::evaluate: return evaluate(frame.payload);
        case FrameType::save: {
            HandedFile file(std::exchange(frame.descriptor, -1), options_.adopt);
            Unpacker fields(frame.payload);
            TRY(const auto durable, fields.number());
            TRY(const auto text, fields.text());
            std::optional<Digest> base;
            if (!text.empty()) {
                TRY(base, Digest::from_bytes(text));
            }
            if (!machine_)
                return no_machine();
            auto rule = options_.save_rule;
            rule.durable = durable != 0;
            TRY(rule.overlays, fields.number());
            TRY(const auto common, fields.text());
            TRY(const auto saved, machine_->save(file, "image", base, rule, common_image(common)));
            return Frame{.type = FrameType::saved,
                .payload = Packer()
                    .text(saved.base ? saved.base->bytes() : Bytes{})
                    .number(saved.pages)
                    .number(saved.small ? 1 : 0)
                    .number(saved.packed ? 1 : 0)
                    .bytes()};
        }
        case FrameType::describe: return describe();
        case FrameType::mark:
            if (!machine_)
                return no_machine();
            machine_->mark();
            return Frame{.type = FrameType::marked};
        case FrameType::changes: {
            if (!machine_)
                return no_machine();
            const auto ranges = machine_->changes_since_mark();
            Packer packer;
            packer.number(ranges.size());
            for (const auto& range : ranges)
                packer.number(range.first).number(range.count);
            return Frame{.type = FrameType::changed, .payload = packer.bytes()};
        }
        default:
            return fail(errors::worker_protocol, fmt::format("a worker got a frame of type {}", static_cast<int>(frame.type)));
        }
    }

    /// What others lie on, by its root: the one at hand, or what was given as a layer.
    const memory::CommonImage* common_image(Bytes root)
    {
        const auto layers = std::exchange(layers_, {});
        if (!layers.empty())
            if (auto read = memory::CommonImage::read(*layers.front()))
                common_ = *std::move(read);
        return common_ && equal(common_->root().bytes(), root) ? common_.get() : nullptr;
    }

    static std::unexpected<Error> no_machine()
    {
        return fail(errors::worker_protocol, "a worker was asked about a machine before it had one");
    }

    Result<Frame> describe()
    {
        if (!machine_)
            return no_machine();
        const auto state = machine_->describe();
        Packer packer;
        packer.text(state.root.bytes()).number(state.memory_bytes).number(state.used_pages).text(Bytes(state.globals));
        packer.number(state.mapped.size());
        for (const auto& range : state.mapped)
            packer.number(range.at).number(range.length).text(range.item.bytes()).number(range.item_offset);
        return Frame{.type = FrameType::described, .payload = packer.bytes()};
    }

    /// What this process keeps in memory, as the kernel counts it; 0 where it does not say.
    std::uint64_t resident_bytes() const
    {
        std::array<std::byte, 64> text{};
        if (!statm_ || !statm_->read_at(0, text))
            return 0;
        std::uint64_t pages = 0;
        const auto view = as_text(text);
        const auto at = view.find(' ');
        if (at == std::string_view::npos)
            return 0;
        std::from_chars(view.data() + at + 1, view.data() + view.size(), pages);
        return pages * memory::page_bytes;
    }

    /// @param threads  descriptor of the node's TensorThreads; stays the caller's
    Result<Frame> load(Bytes payload, int threads)
    {
        Unpacker fields(payload);
        TRY(limits_.memory_bytes, fields.number());
        TRY(const auto tracker, fields.number());
        limits_.tracker = static_cast<memory::Tracker>(tracker);
        TRY(const auto threads_max, fields.number());
        const tensor::Options graphs{.threads = static_cast<unsigned>(threads_max), .threads_now = threads_told_through(threads)};
        TRY(const auto folder, fields.text());
        TRY(const auto format_name, fields.text());
        const auto* format = vm::format_named(as_text(format_name));
        if (format == nullptr)
            return fail(errors::worker_protocol, fmt::format("a worker was given the format {}", as_text(format_name)));
        TRY(const auto wasm, fields.text());
        const Path modules{std::string(as_text(folder))};
        References references;
        TRY(auto offered,
            read_announced(
                fields, extensions(graphs, [this] { return card(); }), modules.parent_path() / "accelerators", references));
        // Read before the sandbox closes the way to any file.
        const auto other = options_.instead ? options_.instead(wasm) : Buffer{};
        TRY_OK(system_files().make_directories(modules));
        if (options_.sandboxed) {
            if (auto statm = system_files().open("/proc/self/statm", Files::Mode::read))
                statm_ = *std::move(statm);
            TRY_OK(enter_sandbox(modules));
        }
        TRY(engine_,
            vm::Engine::create(vm::Engine::reservation_for(std::min(limits_.memory_bytes, vm::declared_memory_bytes(wasm)))));
        TRY(cache_,
            vm::ModuleCache::open(
                engine_, system_files(), system_random(), {.folder = modules, .extensions = std::move(offered)}));
        std::optional<CompilingWithin> within;
        if (options_.sandboxed)
            within.emplace(socket_, options_.compile);
        TRY(module_, cache_->compile(other.empty() ? wasm : Bytes(other), *format));
        for (const auto& [hash, reference] : references)
            vm::prepare_reference(*engine_, hash, reference);
        malloc_trim(0);  // what a compiler used, which this process is never again
        return Frame{.type = FrameType::loaded};
    }

    using References = std::vector<std::pair<Digest, Buffer>>;
    /// Adds to this program's extensions those that the process asks for, as its item announced them.
    /// @param accelerators  folder of native code that the operator has put there, by specification
    /// @param references  is given the modules that will run for want of one
    static Result<vm::Extensions> read_announced(
        Unpacker& fields, vm::Extensions all, const Path& accelerators, References& references)
    {
        TRY(const auto count, fields.number());
        for (std::uint64_t i = 0; i < count; ++i) {
            item::Tags tags{{"Type", "Extension"}};
            for (const auto* name : {"Name", "Version"}) {
                TRY(const auto value, fields.text());
                tags.add(name, std::string(as_text(value)));
            }
            TRY(const auto lines, fields.number());
            for (std::uint64_t line = 0; line < lines; ++line) {
                TRY(const auto value, fields.text());
                tags.add("Function", std::string(as_text(value)));
            }
            TRY(const auto wasm, fields.text());
            TRY(auto what, announced::read(tags, wasm));
            auto accelerator = accelerator_of(what, accelerators);
            if (!accelerator) {
                log::error("{}", accelerator.error().sentence);
                accelerator = nullptr;
            }
            if (!*accelerator)
                references.emplace_back(what.wasm_sha256, what.wasm);
            all.push_back(announced::extension(std::move(what), *std::move(accelerator)));
        }
        return all;
    }

    /// The node's graphics card, which another process has: asked for when a guest first computes a graph.
    Result<std::shared_ptr<cuda::Card>> card()
    {
        if (!card_) {
            TRY(const int socket, files_.card());
            if (socket < 0)
                return fail(cuda::errors::no_card, "this node has no graphics card");
            card_ = std::make_unique<cuda::Offer>(socket);
        }
        TRY(auto device, card_->device());
        if (!device)
            return nullptr;
        card_.reset();  // the device is at its other end now; should that fail, there is another
        return std::make_shared<cuda::Card>(std::move(device));
    }

    /// Native code that the operator put there, unless a worker of this node found it wrong. @return nullptr where there is none
    static Result<std::shared_ptr<announced::Accelerator>> accelerator_of(
        const announced::Announcement& what, const Path& accelerators)
    {
        const auto path = accelerators / (what.specification.text() + ".so");
        if (!system_files().exists(path))
            return nullptr;
        TRY(auto alarm, system_files().open(Path(path).replace_extension(".alarm"), Files::Mode::create));
        TRY(const auto noted, alarm->size());
        if (noted > 0)
            return nullptr;
        TRY(auto loaded, announced::Accelerator::load(path, what));
        loaded->share_alarm(std::move(alarm));
        return loaded;
    }

    Result<Frame> start(Result<std::unique_ptr<vm::Machine>> machine)
    {
        if (!machine)
            return std::unexpected(machine.error());
        machine_ = *std::move(machine);
        if (options_.sandboxed)
            TRY_OK(close_sandbox());
        options_.sandboxed = false;  // entered for good
        return Frame{.type = FrameType::started, .payload = Packer().text(machine_->root().bytes()).bytes()};
    }

    Result<Frame> evaluate(Bytes payload)
    {
        if (!machine_)
            return no_machine();
        Unpacker fields(payload);
        TRY(const auto message, fields.text());
        TRY(const auto env, fields.text());
        TRY(const auto timestamp, fields.number());
        TRY(const auto seed, fields.id<Digest>());
        TRY(const auto gas, fields.number());
        TRY(const auto dry_run, fields.number());
        const Work work{.message_json = to_string(message),
            .env_json = to_string(env),
            .timestamp_ms = static_cast<std::int64_t>(timestamp),
            .seed = seed,
            .gas_limit = gas,
            .dry_run = dry_run != 0};
        LaterRoot later{.finish_before = [this] { beside_.wait(); }};
        const auto console = [&](int fd, std::string_view text) {
            beside_.wait();
            (void)channel_.send(FrameType::console, Packer().number(static_cast<std::uint64_t>(fd)).text(text).bytes())
                .has_value();
        };
        TRY(auto done, compute::evaluate(*machine_, work, files_, console, options_.hashes_beside ? &later : nullptr));
        done.resident_bytes = resident_bytes();
        if (!later.begun)
            return frame_of(done);
        // Where nobody waits for this thread, it works the state root out itself.
        if (early_.empty() && !channel_.wait(0)) {
            TRY(done.state_root, machine_->finish_commit());
            return frame_of(done);
        }
        is_answered_beside_ = true;
        beside_.begin([this, done = std::move(done)]() mutable {
            const auto root = machine_->finish_commit();
            if (root)
                done.state_root = *root;
            const auto frame = root ? frame_of(done) : Frame{.type = FrameType::failed, .payload = pack_error(root.error())};
            (void)channel_.send(frame.type, frame.payload).has_value();  // a node that is gone is noticed by who receives
        });
        return Frame{.type = FrameType::evaluated};
    }

    static Frame frame_of(const Evaluated& done)
    {
        return {.type = FrameType::evaluated,
            .payload = Packer()
                .number(static_cast<std::uint64_t>(done.kind))
                .text(done.output)
                .text(done.state_root.bytes())
                .number(done.gas)
                .number(done.gas_used)
                .number(done.unsaved_bytes)
                .number(done.resident_bytes)
                .bytes()};
    }

    Channel channel_;
    int socket_;  ///< the channel's
    std::deque<Frame> early_;
    AnswerBeside beside_;  ///< uses the channel and the machine: its end waits
    bool is_answered_beside_ = false;
    NodeFiles files_;
    WorkerOptions options_;
    vm::Machine::Limits limits_;
    std::shared_ptr<vm::Engine> engine_;
    std::unique_ptr<vm::ModuleCache> cache_;
    std::shared_ptr<const vm::Module> module_;
    std::unique_ptr<vm::Machine> machine_;
    std::unique_ptr<vm::Machine> left_;  ///< of a process that sleeps now
    std::vector<std::unique_ptr<File>> layers_;
    memory::KeptImage common_;
    std::unique_ptr<File> statm_;
    std::unique_ptr<cuda::Offer> card_;
};

}  // namespace

int run_worker(int socket, WorkerOptions options)
{
    return Worker(socket, std::move(options)).run();
}

}  // namespace altiplano::compute
