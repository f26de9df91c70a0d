#pragma once

#include "base/json.hpp"
#include "compute/cron.hpp"
#include "item/data_item.hpp"
#include "units/types.hpp"

namespace altiplano::compute {

/// A message as its process reads it (ao-protocol.md 5.5): the fields of the item, the place in the log, `From` by
/// `From-Process`. Tags named From or Owner are left out, since they would pass for the fields. Bytes from 0x80 on stay
/// as they are for our formats; for AO's, what is not UTF-8 becomes U+FFFD, as their compute unit decodes it.
/// Part of the semantics version: guest_json_test.cpp holds its bytes.
std::string message_json(const units::LogEntry& entry, JsonWriter::Text text = JsonWriter::Text::guest);

/// What a process reads of a cron evaluation (5.8): it comes from its owner and has no Id, Data or Nonce.
std::string cron_json(
    const Tick& tick, const Cron& cron, const item::Header& process, JsonWriter::Text text = JsonWriter::Text::guest);

/// What a process reads of a dry run (5.10): the client's own members over the defaults, `From` by the rule of 5.5.
/// @param last  of the newest slot @return compute.bad_dry_run unless the body is a JSON object
Result<std::string> dry_run_json(
    const units::DryRun& run, const units::Assignment& last, JsonWriter::Text text = JsonWriter::Text::guest);

/// {"Process":{"Id","Owner","Tags"},"Module":{"Id","Owner","Tags"}}
/// @param authority  stands behind the process's own tags as one more, named Authority
std::string env_json(const item::Header& process, const item::Header& module, JsonWriter::Text text = JsonWriter::Text::guest,
    const std::optional<Address>& authority = {});

}  // namespace altiplano::compute
