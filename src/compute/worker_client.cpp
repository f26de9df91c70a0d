// Speaks to worker processes.
#include "compute/worker_client.hpp"

#include "compute/errors.hpp"
#include "compute/spawn.hpp"

#include <cerrno>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

namespace altiplano::compute {

namespace {

constexpr std::size_t waiting_bytes_max = 32 << 10;  // a socket keeps 200 KiB and more

Result<StartedWorker> start_process(Spawner& spawner)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fail(errors::worker_died, fmt::format("no socket pair for a worker: {}", std::generic_category().message(errno)));
    const auto child = spawner.start("worker", {ends[1]});
    close(ends[1]);
    if (!child) {
        close(ends[0]);
        return std::unexpected(child.error());
    }
    return StartedWorker{.socket = ends[0], .end = [child = *child] { end_process(child); }, .process = *child};
}

}  // namespace

WorkerStart worker_process(Path program)
{
    return [spawner = std::make_shared<Spawner>(std::move(program))] { return start_process(*spawner); };
}

Result<std::unique_ptr<WorkerClient>> WorkerClient::start(const WorkerStart& how, OpenCard card)
{
    TRY(auto worker, how());
    return std::unique_ptr<WorkerClient>(new WorkerClient(std::move(worker), std::move(card)));
}

WorkerClient::~WorkerClient()
{
    // A worker that runs inside this process ends when its socket does; a real one is ended, whatever it is doing.
    if (worker_.process == 0)
        shutdown(worker_.socket, SHUT_RDWR);
    if (worker_.end)
        worker_.end();
}

void WorkerClient::give_up() const
{
    shutdown(worker_.socket, SHUT_RDWR);
}

Result<void> WorkerClient::load(
    const Context& context, const Path& modules, memory::Tracker tracker, const TensorThreads& threads)
{
    Packer payload;
    payload.number(context.limits.memory_bytes)
        .number(static_cast<std::uint64_t>(tracker))
        .number(threads.each_max())
        .text(std::string_view(modules.native()))
        .text(context.format->name)
        .text(Bytes(context.code->wasm))
        .number(context.announced.size());
    for (const auto& [id, what] : context.announced) {
        payload.text(what.name).text(what.version).number(what.lines.size());
        for (const auto& line : what.lines)
            payload.text(line);
        payload.text(Bytes(what.wasm));
    }
    TRY_OK(channel_.send(FrameType::load, payload.bytes(), threads.descriptor()));
    TRY(const auto loaded, answer(FrameType::loaded, {}, {}));
    return {};
}

Result<Digest> WorkerClient::begin(std::uint64_t memory_limit_bytes)
{
    TRY_OK(channel_.send(FrameType::start, Packer().number(memory_limit_bytes).bytes()));
    TRY(const auto started, answer(FrameType::started, {}, {}));
    return Unpacker(started.payload).id<Digest>();
}

Result<Digest> WorkerClient::fill(const File& memory, std::uint64_t length_bytes)
{
    TRY_OK(channel_.send(FrameType::fill, Packer().number(length_bytes).bytes(), memory.descriptor()));
    TRY(const auto started, answer(FrameType::started, {}, {}));
    return Unpacker(started.payload).id<Digest>();
}

bool WorkerClient::forget()
{
    return channel_.is_open() && channel_.send(FrameType::forget, {});
}

Result<Digest> WorkerClient::restore(
    std::uint64_t memory_limit_bytes, std::span<const std::unique_ptr<File>> layers, const OpenItem& open)
{
    for (const auto& layer : layers)
        TRY_OK(channel_.send(FrameType::layer, {}, layer->descriptor()));
    TRY_OK(channel_.send(FrameType::restore, Packer().number(memory_limit_bytes).bytes()));
    TRY(const auto started, answer(FrameType::started, open, {}));
    return Unpacker(started.payload).id<Digest>();
}

bool WorkerClient::may_wait(const Work& work)
{
    return work.message_json.size() + work.env_json.size() <= waiting_bytes_max;
}

Result<void> WorkerClient::hand_over(const Work& work)
{
    return channel_.send(FrameType::evaluate,
        Packer()
            .text(work.message_json)
            .text(work.env_json)
            .number(static_cast<std::uint64_t>(work.timestamp_ms))
            .text(work.seed.bytes())
            .number(work.gas_limit)
            .number(work.dry_run ? 1 : 0)
            .bytes());
}

Result<Evaluated> WorkerClient::evaluated(const OpenItem& open, const Console& console, const Meanwhile& meanwhile)
{
    TRY(const auto frame, answer(FrameType::evaluated, open, console, meanwhile));
    Unpacker fields(frame.payload);
    Evaluated done;
    TRY(const auto kind, fields.number());
    if (kind > static_cast<std::uint64_t>(units::SlotResult::Kind::guest_fault))
        return fail(errors::worker_protocol, fmt::format("a worker process sent a result of kind {}", kind));
    done.kind = static_cast<units::SlotResult::Kind>(kind);
    TRY(const auto output, fields.text());
    done.output = to_string(output);
    TRY(done.state_root, fields.id<Digest>());
    TRY(done.gas, fields.number());
    TRY(done.gas_used, fields.number());
    TRY(done.unsaved_bytes, fields.number());
    TRY(done.resident_bytes, fields.number());
    return done;
}

Result<memory::SavedImage> WorkerClient::save(const File& file, const Images::Bases& bases, bool durable)
{
    if (bases.common && bases.common != common_) {
        TRY_OK(channel_.send(FrameType::layer, {}, bases.common->file->descriptor()));
        common_ = bases.common;
    }
    TRY_OK(channel_.send(FrameType::save,
        Packer()
            .number(durable ? 1 : 0)
            .text(bases.own ? bases.own->state.bytes() : Bytes{})
            .number(bases.own ? bases.own->overlays : 0)
            .text(bases.common ? bases.common->record.state_root.bytes() : Bytes{})
            .bytes(),
        file.descriptor()));
    TRY(const auto answered, answer(FrameType::saved, {}, {}));
    Unpacker fields(answered.payload);
    memory::SavedImage saved;
    TRY(const auto base, fields.text());
    if (!base.empty()) {
        TRY(saved.base, Digest::from_bytes(base));
    }
    TRY(saved.pages, fields.number());
    TRY(const auto is_small, fields.number());
    saved.small = is_small != 0;
    TRY(const auto is_packed, fields.number());
    saved.packed = is_packed != 0;
    return saved;
}

Result<vm::Machine::Description> WorkerClient::describe()
{
    TRY_OK(channel_.send(FrameType::describe, {}));
    TRY(const auto answered, answer(FrameType::described, {}, {}));
    Unpacker fields(answered.payload);
    vm::Machine::Description state;
    TRY(state.root, fields.id<Digest>());
    TRY(state.memory_bytes, fields.number());
    TRY(state.used_pages, fields.number());
    TRY(const auto globals, fields.text());
    state.globals = to_buffer(globals);
    TRY(const auto count, fields.number());
    for (std::uint64_t i = 0; i < count; ++i) {
        memory::MappedRange range;
        TRY(range.at, fields.number());
        TRY(range.length, fields.number());
        TRY(range.item, fields.id<ItemId>());
        TRY(range.item_offset, fields.number());
        state.mapped.push_back(range);
    }
    return state;
}

Result<void> WorkerClient::mark()
{
    TRY_OK(channel_.send(FrameType::mark, {}));
    TRY(const auto marked, answer(FrameType::marked, {}, {}));
    return {};
}

Result<std::vector<memory::PageRange>> WorkerClient::changes()
{
    TRY_OK(channel_.send(FrameType::changes, {}));
    TRY(const auto answered, answer(FrameType::changed, {}, {}));
    Unpacker fields(answered.payload);
    TRY(const auto count, fields.number());
    std::vector<memory::PageRange> ranges;
    for (std::uint64_t i = 0; i < count; ++i) {
        memory::PageRange range;
        TRY(range.first, fields.number());
        TRY(range.count, fields.number());
        ranges.push_back(range);
    }
    return ranges;
}

/// Serves what the worker asks meanwhile, until it answers.
Result<Frame> WorkerClient::answer(FrameType expected, const OpenItem& open, const Console& console, const Meanwhile& meanwhile)
{
    for (;;) {
        while (meanwhile && !channel_.wait(meanwhile())) { }
        TRY(auto frame, channel_.receive());
        if (frame.descriptor >= 0)
            close(frame.descriptor);
        if (frame.type == expected)
            return frame;
        switch (frame.type) {
        case FrameType::failed: return std::unexpected(unpack_error(frame.payload));
        case FrameType::item: TRY_OK(give_item(frame.payload, open)); break;
        case FrameType::card: TRY_OK(give_card()); break;
        case FrameType::console: {
            Unpacker fields(frame.payload);
            TRY(const auto fd, fields.number());
            TRY(const auto text, fields.text());
            if (console)
                console(fd == 2 ? 2 : 1, as_text(text));
            break;
        }
        default:
            return fail(errors::worker_protocol,
                fmt::format("a worker process sent a frame of type {} instead of an answer", static_cast<int>(frame.type)));
        }
    }
}

Result<void> WorkerClient::give_card()
{
    const int socket = card_ ? card_() : -1;
    auto given = channel_.send(FrameType::card_reply, {}, socket);
    if (socket >= 0)
        close(socket);
    return given;
}

Result<void> WorkerClient::give_item(Bytes payload, const OpenItem& open)
{
    Unpacker fields(payload);
    TRY(const auto path, fields.text());
    TRY(const auto mapped, fields.number());
    const auto data =
        open ? open(as_text(path), mapped != 0) : fail(errors::worker_protocol, "a worker asked for an item where none can be");
    if (!data)
        return channel_.send(FrameType::failed, pack_error(data.error()));
    if ((*data)->descriptor() >= 0)
        return channel_.send(
            FrameType::item_reply, Packer().number((*data)->size()).text(Bytes{}).bytes(), (*data)->descriptor());
    TRY(const auto bytes, (*data)->all());
    return channel_.send(FrameType::item_reply, Packer().number(bytes.size()).text(Bytes(bytes)).bytes());
}

}  // namespace altiplano::compute
