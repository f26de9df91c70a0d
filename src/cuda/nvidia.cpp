#include "cuda/device.hpp"
#include "cuda/driver.hpp"
#include "cuda/errors.hpp"

#include <array>
#include <fmt/format.h>
#include <vector>

// What src/kernels/card/device.cpp became, text in NVIDIA's intermediate language, which the driver compiles for its card.
asm(".section .rodata\n"
    ".global altiplano_card_code\n"
    "altiplano_card_code:\n"
    ".incbin \"" ALTIPLANO_CARD_CODE "\"\n"
    ".byte 0\n"
    ".text\n");
extern "C" const char altiplano_card_code[];

namespace altiplano::cuda {

namespace {

constexpr int oldest_generation = 8;  ///< Ampere: what the code is compiled for

class Nvidia final : public Device {
public:
    explicit Nvidia(const Driver& driver)
        : driver_(driver)
    {
    }

    Result<void> open()
    {
        int count = 0;
        TRY_OK(did("cuDeviceGetCount", driver_.device_count(&count)));
        for (int ordinal = 0; ordinal < count; ++ordinal) {
            int device = 0;
            int generation = 0;
            TRY_OK(did("cuDeviceGet", driver_.device(&device, ordinal)));
            TRY_OK(did("cuDeviceGetAttribute", driver_.device_attribute(&generation, Driver::capability_major, device)));
            if (generation < oldest_generation)
                continue;
            std::array<char, 128> name{};
            TRY_OK(did("cuDeviceGetName", driver_.device_name(name.data(), static_cast<int>(name.size()) - 1, device)));
            name_ = name.data();
            TRY_OK(did("cuDevicePrimaryCtxRetain", driver_.retain_context(&context_, device)));
            TRY_OK(here());
            TRY_OK(did("cuStreamCreate", driver_.create_stream(&stream_, Driver::stream_by_itself)));
            return load_kernels();
        }
        return fail(errors::no_card,
            count == 0 ? "this machine has an NVIDIA driver and no card" : "the cards of this machine are older than Ampere");
    }

    std::string name() const override { return name_; }

    Result<std::byte*> allocate(std::uint64_t bytes) override
    {
        TRY_OK(here());
        Driver::Address memory = 0;
        TRY_OK(did("cuMemAlloc", driver_.allocate(&memory, bytes)));
        auto* const pointer = reinterpret_cast<std::byte*>(memory);  // NOLINT(performance-no-int-to-ptr): the card's number
        TRY_OK(clear(pointer, bytes));
        return pointer;
    }
    void release(std::byte* memory) noexcept override
    {
        if (driver_.set_context(context_) == 0)
            driver_.release(reinterpret_cast<Driver::Address>(memory));
    }
    Result<std::byte*> staging(std::uint64_t bytes) override
    {
        TRY_OK(here());
        void* memory = nullptr;
        TRY_OK(did("cuMemHostAlloc", driver_.allocate_host(&memory, bytes, 0)));
        return static_cast<std::byte*>(memory);
    }
    void release_staging(std::byte* memory) noexcept override
    {
        if (driver_.set_context(context_) == 0)
            driver_.release_host(memory);
    }
    void pin(std::span<std::byte> memory) noexcept override
    {
        if (driver_.set_context(context_) == 0)
            driver_.register_host(memory.data(), memory.size(), 0);
    }
    void unpin(std::span<std::byte> memory) noexcept override
    {
        if (driver_.set_context(context_) == 0)
            driver_.unregister_host(memory.data());
    }

    Result<void> upload(std::byte* to, Bytes from) override
    {
        TRY_OK(here());
        return did("cuMemcpyHtoDAsync", driver_.upload(reinterpret_cast<Driver::Address>(to), from.data(), from.size(), stream_));
    }
    Result<void> download(std::span<std::byte> to, const std::byte* from) override
    {
        TRY_OK(here());
        return did("cuMemcpyDtoHAsync", driver_.download(to.data(), reinterpret_cast<Driver::Address>(from), to.size(), stream_));
    }
    Result<void> clear(std::byte* memory, std::uint64_t bytes) override
    {
        TRY_OK(here());
        return did("cuMemsetD8Async", driver_.fill(reinterpret_cast<Driver::Address>(memory), 0, bytes, stream_));
    }

    /// Launched one by one the first time; a second run is worth a graph, which the driver launches by itself.
    class Launches final : public Program {
    public:
        Launches(Nvidia& device, std::span<const Work> work)
            : device_(device)
            , work_(work.begin(), work.end())
        {
        }
        Launches(const Launches&) = delete;
        Launches& operator=(const Launches&) = delete;
        ~Launches() override
        {
            if (recorded_ != nullptr)
                device_.driver_.destroy_executable(recorded_);
        }
        Result<void> run()
        {
            if (runs_++ == 0)
                return launch_all();
            if (recorded_ == nullptr)
                TRY_OK(record());
            return device_.did("cuGraphLaunch", device_.driver_.launch_graph(recorded_, device_.stream_));
        }

    private:
        Result<void> launch_all()
        {
            for (auto& one : work_) {
                void* parameters[] = {&one.call, &one.node};
                const auto& l = one.launch;
                TRY_OK(device_.did(kernels::card::names[static_cast<unsigned>(l.kernel)],
                    device_.driver_.launch(device_.functions_[static_cast<unsigned>(l.kernel)], l.blocks, l.rows, 1, l.threads, 1,
                        1, 0, device_.stream_, parameters, nullptr)));
            }
            return {};
        }
        /// As a graph, in which what does not wait for one another runs side by side.
        Result<void> record()
        {
            const auto& driver = device_.driver_;
            Driver::Handle graph = nullptr;
            TRY_OK(device_.did("cuGraphCreate", driver.create_graph(&graph, 0)));
            auto made = add_all(graph);
            if (made)
                made = device_.did("cuGraphInstantiate", driver.instantiate(&recorded_, graph, 0));
            driver.destroy_graph(graph);
            return made;
        }
        Result<void> add_all(Driver::Handle graph)
        {
            std::vector<Driver::Handle> added;
            std::vector<Driver::Handle> waits_for;
            for (auto& one : work_) {
                waits_for.clear();
                if (one.waits_for_all())
                    waits_for = added;
                for (const auto place : one.waits_for_some())
                    waits_for.push_back(added[place]);
                void* parameters[] = {&one.call, &one.node};
                const auto& l = one.launch;
                const Driver::Kernel kernel{device_.functions_[static_cast<unsigned>(l.kernel)], l.blocks, l.rows, 1, l.threads,
                    1, 1, 0, parameters, nullptr};
                TRY_OK(device_.did("cuGraphAddKernelNode",
                    device_.driver_.add_kernel(&added.emplace_back(), graph, waits_for.data(), waits_for.size(), &kernel)));
            }
            return {};
        }

        Nvidia& device_;
        std::vector<Work> work_;
        Driver::Handle recorded_ = nullptr;
        unsigned runs_ = 0;
    };
    Result<std::unique_ptr<Program>> program(std::span<const Work> work) override
    {
        return std::make_unique<Launches>(*this, work);
    }
    Result<void> run(Program& program) override
    {
        TRY_OK(here());
        return static_cast<Launches&>(program).run();
    }
    Result<void> finish() override
    {
        TRY_OK(here());
        return did("cuStreamSynchronize", driver_.synchronize(stream_));
    }

private:
    /// Which card a thread means is the thread's own.
    Result<void> here() const { return did("cuCtxSetCurrent", driver_.set_context(context_)); }

    Result<void> did(const char* what, Driver::Status status) const
    {
        if (status == 0)
            return {};
        const char* name = nullptr;
        driver_.error_name(status, &name);
        return fail(errors::card, fmt::format("the graphics card refused {}: {}", what, name != nullptr ? name : "unknown"));
    }

    Result<void> load_kernels()
    {
        std::array<char, 4096> log{};
        int options[] = {Driver::jit_error_log, Driver::jit_error_log_bytes};
        // NOLINTNEXTLINE(performance-no-int-to-ptr): a number in the place of a pointer, as the interface has it
        void* values[] = {log.data(), reinterpret_cast<void*>(log.size() - 1)};
        Driver::Handle module = nullptr;
        if (const auto loaded = did("cuModuleLoadDataEx", driver_.load_module(&module, altiplano_card_code, 2, options, values));
            !loaded) {
            auto error = loaded.error();
            error.hint = log.data();
            return std::unexpected(std::move(error));
        }
        for (unsigned i = 0; i < kernels::card::kernels; ++i)
            TRY_OK(did(kernels::card::names[i], driver_.function(&functions_[i], module, kernels::card::names[i])));
        return {};
    }

    const Driver& driver_;
    std::string name_;
    Driver::Handle context_ = nullptr, stream_ = nullptr;
    std::array<Driver::Handle, kernels::card::kernels> functions_{};
};

}  // namespace

Result<std::unique_ptr<Device>> nvidia_card()
{
    TRY(const auto* const driver, Driver::find());
    auto card = std::make_unique<Nvidia>(*driver);
    TRY_OK(card->open());
    return card;
}

}  // namespace altiplano::cuda
