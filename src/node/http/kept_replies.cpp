#include "node/http/kept_replies.hpp"

namespace altiplano::node::http {

namespace {
constexpr std::size_t entry_bytes = 256;  // what list, map and counts take beside the text, about
}

std::size_t KeptReplies::Entry::bytes() const
{
    return target.size() + kept->head.size() + kept->body.size() + kept->route.size() + entry_bytes;
}

std::shared_ptr<const KeptReplies::Kept> KeptReplies::find(const Site& site, std::string_view target)
{
    const auto found = by_key_.find({&site, target});
    if (found == by_key_.end())
        return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->kept;
}

void KeptReplies::keep(const Site& site, std::string target, Kept reply)
{
    Entry entry{&site, std::move(target), std::make_shared<const Kept>(std::move(reply))};
    const auto bytes = entry.bytes();
    if (bytes > reply_bytes_max || bytes > bytes_max_ || by_key_.contains({&site, entry.target}))
        return;
    for (; bytes_ + bytes > bytes_max_; entries_.pop_back()) {
        bytes_ -= entries_.back().bytes();
        by_key_.erase({entries_.back().site, entries_.back().target});
    }
    entries_.push_front(std::move(entry));
    by_key_.emplace(Key{&site, entries_.front().target}, entries_.begin());
    bytes_ += bytes;
}

}  // namespace altiplano::node::http
