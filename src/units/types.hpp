#pragma once

#include "base/id.hpp"
#include "item/data_item.hpp"

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// What the units know of each other: value types and abstract units, nothing of how they work.
namespace altiplano::units {

/// One place in the log of one process, slot 0 being the item that spawned it; or, with `cron`, one of the evaluations that
/// a process with cron has by itself before the next message (ao-protocol.md 5.8). Ordered as they are evaluated.
struct Slot {
    ProcessId process;
    std::uint64_t nonce = 0;
    std::uint64_t cron = 0;  ///< 0: the message; k: the k-th cron evaluation after it
    friend auto operator<=>(const Slot&, const Slot&) = default;
};

/// The scheduler's signed record that gives a message its slot, read from the assignment item (ao-protocol.md 2.3).
struct Assignment {
    AssignmentId id;
    Slot slot;
    ItemId message;  ///< at slot 0 the process item itself
    Digest hash_chain;  ///< SHA-256(previous assignment id || previous hash chain); slot 0: SHA-256(process id) (3.3)
    std::uint64_t height = 0;  ///< of the weave when it was assigned: bounds what WeaveDrive admits
    BlockHash block_hash;  ///< of the block at that height
    std::int64_t timestamp_ms = 0;  ///< strictly increasing within a process
    std::vector<std::string> exclude{};  ///< fields of the message that the process does not get to see (3.4)
    item::DataItem item;  ///< the signed bytes that say all this

    /// Slot 0 only: the semantics that every later slot runs under (docs/semantics.md).
    struct Semantics {
        std::uint32_t version = 0;
        Digest module_sha256;
        std::vector<std::pair<std::string, Digest>> extensions;  ///< name, SHA-256 of its specification
        /// Whom the process trusts as if its own tags said `Authority`: the scheduler's decision, for development.
        std::optional<Address> authority{};
        /// The module's real id, where the process names a published one that another stands for here.
        std::optional<ModuleId> module{};
    };
    std::optional<Semantics> semantics;
};

/// The published id that the message was sent to, if the process stands for one.
inline std::optional<std::string_view> sent_to(const Assignment& assignment)
{
    return assignment.item.tags().first("Sent-To");
}

/// A slot with the message in it: all that an evaluation takes from the log.
struct LogEntry {
    Assignment assignment;
    item::DataItem message;
};

/// Whether a message was not sent to the process but assigned to it: an item that lay in the weave (3.4).
inline bool was_assigned(const LogEntry& entry)
{
    // What was sent to a published id that the process stands for was sent to the process.
    if (sent_to(entry.assignment))
        return false;
    return entry.assignment.slot.nonce > 0
        && (!entry.message.target() || ProcessId(*entry.message.target()) != entry.assignment.slot.process);
}

/// What a slot yields: the same bytes on every machine (law 2).
struct SlotResult {
    enum class Kind : std::uint8_t {
        result = 0,  ///< `output` is the guest's JSON; memory moved on
        error = 1,  ///< `output` is the guest's JSON and says Error: memory stayed (ao-protocol.md 5.9)
        guest_fault = 2,  ///< the guest trapped, ran out of gas or too deep; memory stayed
    };
    Slot slot;
    Kind kind = Kind::result;
    std::string output;  ///< raw bytes of the guest; of a fault `code: sentence`
    Digest state_root;  ///< after the slot
    std::uint64_t gas = 0;
    std::uint64_t gas_used = 0;  ///< GasUsed as AO's loader counts it, of formats that meter (ao-protocol.md 6.4); else 0
    std::int64_t time_ms = 0;  ///< of the assignment, or when the cron was due; 0 where nobody asked
    std::string cron_name{};  ///< which cron of the process: `<index>-<interval>`
};

/// How a result is written where JSON cannot carry it: "result", "error", "guest_fault".
std::string_view name_of(SlotResult::Kind kind);

/// Asks for an item of the weave to be put into the log of a process (3.4).
struct AssignRequest {
    ProcessId process;
    ItemId message;
    bool base_layer = false;  ///< only when it lies deep enough: the process's Settlement-Depth, else 20 blocks
    std::vector<std::string> exclude{};
};

/// A message for a dry run: what a client says of it, unsigned (5.10).
struct DryRun {
    ProcessId process;
    std::string body;  ///< a JSON object with Owner, Data, Tags, ...; all optional
};

/// Which results to list: those after one place and up to another.
struct ResultQuery {
    ProcessId process{};
    Slot first{};  ///< inclusive; the process in it does not matter
    Slot last{.process = {}, .nonce = INT64_MAX, .cron = INT64_MAX};  ///< inclusive
    std::int64_t after_ms = INT64_MIN;  ///< exclusive
    std::int64_t until_ms = INT64_MAX;  ///< inclusive
    bool cron_only = false;
    bool plain_only = false;  ///< without those that say Error, and faults
    bool descending = false;
    std::uint64_t limit = 1;
};

/// How far the time of a process is settled: no entry of its log will have this time or an earlier one.
struct Closing {
    std::int64_t time_ms = INT64_MIN;
    std::uint64_t height = 0;  ///< of the scheduler's weave when it was said; later entries have this height or a greater one
};

/// Asks for what a process does by itself.
struct CronRequest {
    ProcessId process{};
    std::int64_t until_ms = INT64_MAX;  ///< later than now means now
    std::uint64_t evaluations_max = 1000;
    bool parked_too = false;  ///< goes on although more is due than is done unasked
};
struct CronReach {
    std::uint64_t evaluated = 0;  ///< messages and crons that this call evaluated
    std::uint64_t left = 0;  ///< crons by time that are due and not evaluated, at least
    std::int64_t until_ms = 0;  ///< up to where everything is evaluated, when nothing is left
};

struct ProcessInfo {
    ProcessId id;
    ModuleId module;
    Address owner;
    Address scheduler;
    std::uint64_t slots = 0;  ///< length of the log; the newest slot is slots - 1
};

/// A piece of what a guest printed while it ran. Node-local: never part of a result.
struct ConsolePiece {
    Slot slot;
    int stream = 1;  ///< 1 stdout, 2 stderr
    std::string text;  ///< any bytes, cut anywhere
};

}  // namespace altiplano::units
