#include "door/stream.hpp"

#include "base/utf8.hpp"

namespace altiplano::door {

namespace {

/// How much of the end of a text may be the beginning of a character.
std::size_t unfinished(std::string_view text)
{
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if ((byte & 0xc0) == 0x80)
            continue;
        const std::size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
        return length > back ? back : 0;
    }
    return 0;
}

}  // namespace

void Stream::piece(const units::ConsolePiece& piece)
{
    const std::lock_guard lock(mutex_);
    if (gone_ || over_ || piece.stream != 1)
        return;
    if (!job_)
        early_.push_back(piece);
    else if (piece.slot == job_->slot)
        say(piece.text);
}

void Stream::begin(const Job& job)
{
    const std::lock_guard lock(mutex_);
    job_ = job;
    if (wish_.chat)
        push(first_chunk(wish_, job));
    for (const auto& piece : early_)
        if (piece.slot == job.slot)
            say(piece.text);
    early_.clear();
}

void Stream::end(const Result<units::SlotResult>& result)
{
    const std::lock_guard lock(mutex_);
    const auto answer = result ? told(*result) : Result<Told>(std::unexpected(result.error()));
    if (!answer) {
        // The status went out long ago: clients find an error among the events.
        push(error_body(answer.error(), 500));
    } else {
        if (const std::string_view whole = answer->text; whole.starts_with(said_) && whole.size() > said_.size())
            push(text_chunk(wish_, *job_, whole.substr(said_.size())));
        push(last_chunk(wish_, *job_, *answer, *result));
        if (wish_.usage)
            push(usage_chunk(wish_, *job_, *answer));
    }
    push("[DONE]");
    push(std::nullopt);
    over_ = true;
}

void Stream::listen(Push to)
{
    const std::lock_guard lock(mutex_);
    push_ = std::move(to);
    gone_ = !push_;
    for (auto& event : waiting_)
        push(std::move(event));
    waiting_.clear();
}

void Stream::say(std::string_view text)
{
    cut_ += text;
    const auto whole = cut_.size() - unfinished(cut_);
    if (whole == 0)
        return;
    push(text_chunk(wish_, *job_, std::string_view(cut_).substr(0, whole)));
    said_ += cut_.substr(0, whole);
    cut_.erase(0, whole);
}

void Stream::push(std::optional<std::string> event)
{
    if (gone_)
        return;
    if (push_)
        push_(std::move(event));
    else
        waiting_.push_back(std::move(event));
}

}  // namespace altiplano::door
