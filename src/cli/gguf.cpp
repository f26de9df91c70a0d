#include "cli/gguf.hpp"

#include "cli/errors.hpp"

#include <charconv>
#include <cstring>
#include <fmt/format.h>

namespace altiplano::cli {

namespace {

constexpr std::uint32_t magic = 0x46554747;  // "GGUF"
constexpr std::uint64_t keys_max = 65'536;
constexpr std::uint64_t tensors_max = std::uint64_t{1} << 20;
constexpr std::uint64_t text_bytes_max = std::uint64_t{1} << 20;
constexpr std::uint64_t kept_text_bytes_max = 512;

/// Bytes and elements of a block of each tensor type, by GGUF's number; 0: no type of this number.
struct Block {
    std::uint32_t bytes, elements;
};
constexpr Block blocks[]{{4, 1}, {2, 1}, {18, 32}, {20, 32}, {0, 0}, {0, 0}, {22, 32}, {24, 32}, {34, 32}, {36, 32}, {84, 256},
    {110, 256}, {144, 256}, {176, 256}, {210, 256}, {292, 256}, {66, 256}, {74, 256}, {98, 256}, {50, 256}, {18, 32}, {110, 256},
    {82, 256}, {136, 256}, {1, 1}, {2, 1}, {4, 1}, {8, 1}, {8, 1}, {56, 256}, {2, 1}, {0, 0}, {0, 0}, {0, 0}, {54, 256},
    {66, 256}, {0, 0}, {0, 0}, {0, 0}, {17, 32}};

enum Type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, truth, text, array, u64, i64, f64 };
constexpr std::uint64_t type_bytes[]{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/// Reads forward in steps, so that a list of a hundred thousand words is not held.
class Reader {
public:
    explicit Reader(const File& file)
        : file_(file)
    {
    }
    Result<void> take(void* into, std::size_t count)
    {
        auto* out = static_cast<std::byte*>(into);
        while (count > 0) {
            if (used_ == step_.size())
                TRY_OK(refill());
            const auto part = std::min(count, step_.size() - used_);
            std::memcpy(out, step_.data() + used_, part);
            used_ += part;
            at_ += part;
            out += part;
            count -= part;
        }
        return {};
    }
    template <class T> Result<T> number()
    {
        T value{};
        TRY_OK(take(&value, sizeof value));
        return value;
    }
    Result<void> skip(std::uint64_t count)
    {
        const auto buffered = std::min<std::uint64_t>(count, step_.size() - used_);
        used_ += buffered;
        at_ += buffered;
        if (buffered < count) {
            at_ += count - buffered;
            step_.clear();
            used_ = 0;
        }
        return {};
    }
    /// All of it is read, the front is kept.
    Result<std::string> text()
    {
        TRY(const auto length, number<std::uint64_t>());
        if (length > text_bytes_max)
            return fail(errors::bad_argument, fmt::format("this GGUF file has a text of {} bytes at byte {}", length, at_));
        std::string value(std::min(length, kept_text_bytes_max), '\0');
        TRY_OK(take(value.data(), value.size()));
        TRY_OK(skip(length - value.size()));
        return value;
    }
    std::uint64_t at() const noexcept { return at_; }

private:
    Result<void> refill()
    {
        step_.resize(std::size_t{1} << 16);
        used_ = 0;
        TRY(const auto got, file_.read_at(at_, step_));
        step_.resize(got);
        if (got == 0)
            return fail(errors::bad_argument, fmt::format("this GGUF file ends at byte {}, inside its head", at_),
                "was it fetched whole?");
        return {};
    }
    const File& file_;
    Buffer step_;
    std::size_t used_ = 0;
    std::uint64_t at_ = 0;
};

template <class T> Result<std::string> as_text_of(Reader& reader)
{
    TRY(const auto value, reader.number<T>());
    return fmt::format("{}", value);
}

Result<std::string> scalar(Reader& reader, std::uint32_t type)
{
    switch (type) {
    case u8: return as_text_of<std::uint8_t>(reader);
    case i8: return as_text_of<std::int8_t>(reader);
    case u16: return as_text_of<std::uint16_t>(reader);
    case i16: return as_text_of<std::int16_t>(reader);
    case u32: return as_text_of<std::uint32_t>(reader);
    case i32: return as_text_of<std::int32_t>(reader);
    case f32: return as_text_of<float>(reader);
    case u64: return as_text_of<std::uint64_t>(reader);
    case i64: return as_text_of<std::int64_t>(reader);
    case f64: return as_text_of<double>(reader);
    case truth: {
        TRY(const auto value, reader.number<std::uint8_t>());
        return std::string(value != 0 ? "true" : "false");
    }
    case text: return reader.text();
    default: return fail(errors::bad_argument, fmt::format("this GGUF file has a value of the unknown type {}", type));
    }
}

Result<void> skip_array(Reader& reader)
{
    TRY(const auto type, reader.number<std::uint32_t>());
    TRY(const auto count, reader.number<std::uint64_t>());
    if (type == text) {
        for (std::uint64_t i = 0; i < count; ++i)
            TRY_OK(reader.text());
        return {};
    }
    if (type >= std::size(type_bytes) || type == array || count > UINT64_MAX / 16)
        return fail(errors::bad_argument, fmt::format("this GGUF file has a list of {} values of type {}", count, type));
    return reader.skip(count * type_bytes[type]);
}

/// The end of one tensor, relative to where the data begins.
Result<std::uint64_t> tensor_end(Reader& reader, Gguf& found)
{
    TRY(const auto name, reader.text());
    TRY(const auto dimensions, reader.number<std::uint32_t>());
    if (dimensions > 4)
        return fail(errors::bad_argument, fmt::format("the tensor {} has {} dimensions", name, dimensions));
    std::uint64_t elements = 1;
    for (std::uint32_t d = 0; d < dimensions; ++d) {
        TRY(const auto extent, reader.number<std::uint64_t>());
        if (__builtin_mul_overflow(elements, extent, &elements) || elements > std::uint64_t{1} << 48)
            return fail(errors::bad_argument, fmt::format("the tensor {} is too large", name));
    }
    TRY(const auto type, reader.number<std::uint32_t>());
    TRY(const auto offset, reader.number<std::uint64_t>());
    if (type >= std::size(blocks) || blocks[type].elements == 0)
        return fail(errors::bad_argument, fmt::format("the tensor {} has the unknown type {}", name, type));
    if (elements % blocks[type].elements != 0 || offset > std::uint64_t{1} << 56)
        return fail(errors::bad_argument, fmt::format("the tensor {} is no whole number of blocks, or lies out of bounds", name));
    found.weights += elements;
    return offset + elements / blocks[type].elements * blocks[type].bytes;
}

std::uint64_t number_of(const std::string& text, std::uint64_t otherwise)
{
    std::uint64_t value = otherwise;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

std::string Gguf::value(const std::string& key) const
{
    const auto found = values.find(key);
    return found == values.end() ? std::string() : found->second;
}

std::pair<std::uint64_t, std::uint64_t> Gguf::part() const
{
    return {number_of(value("split.no"), 0) + 1, std::max<std::uint64_t>(1, number_of(value("split.count"), 1))};
}

Result<Gguf> read_gguf(const File& file)
{
    Gguf found;
    Reader reader(file);
    TRY(const auto first, reader.number<std::uint32_t>());
    if (first != magic)
        return fail(errors::bad_argument, "this is no GGUF file", "models come as .gguf; others must be converted first");
    TRY(const auto version, reader.number<std::uint32_t>());
    if (version < 2 || version > 3)
        return fail(errors::bad_argument, fmt::format("GGUF version {} cannot be read; 2 and 3 can", version));
    TRY(found.tensors, reader.number<std::uint64_t>());
    TRY(const auto keys, reader.number<std::uint64_t>());
    if (keys > keys_max || found.tensors > tensors_max)
        return fail(errors::bad_argument, fmt::format("this GGUF file claims {} keys and {} tensors", keys, found.tensors));

    for (std::uint64_t i = 0; i < keys; ++i) {
        TRY(auto key, reader.text());
        TRY(const auto type, reader.number<std::uint32_t>());
        if (type == array) {
            TRY_OK(skip_array(reader));
            continue;
        }
        TRY(auto value, scalar(reader, type));
        found.values[std::move(key)] = std::move(value);
    }
    std::uint64_t end = 0;
    for (std::uint64_t i = 0; i < found.tensors; ++i) {
        TRY(const auto one, tensor_end(reader, found));
        end = std::max(end, one);
    }
    const auto alignment = std::max<std::uint64_t>(1, number_of(found.value("general.alignment"), 32));
    const auto data = (reader.at() + alignment - 1) / alignment * alignment;
    found.data_end = found.tensors == 0 ? reader.at() : data + end;
    TRY(const auto size, file.size());
    if (size < found.data_end)
        return fail(errors::bad_argument, fmt::format("this GGUF file has {} bytes; its tensors need {}", size, found.data_end),
            "was it fetched whole?");
    return found;
}

}  // namespace altiplano::cli
