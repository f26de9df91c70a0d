#pragma once

#include "cli/client.hpp"
#include "cli/options.hpp"

#include <CLI/CLI.hpp>

namespace altiplano::cli {

/// Each adds commands to `app`; when one is chosen it runs and sets `exit`.
void add_node_commands(CLI::App& app, Common& common, Exit& exit);  ///< node, worker, status, key
void add_config_commands(CLI::App& app, Common& common, Exit& exit);  ///< config show, alias
void add_module_commands(CLI::App& app, Common& common, Exit& exit);  ///< module add, ls, formats
void add_model_commands(CLI::App& app, Common& common, Exit& exit);  ///< model add, ls, show, ps, rm, verify
void add_extension_commands(CLI::App& app, Common& common, Exit& exit);  ///< extension add, ls, rm
void add_item_commands(CLI::App& app, Common& common, Exit& exit);  ///< put, get
void add_process_commands(CLI::App& app, Common& common, Exit& exit);  ///< spawn, send, eval, result
void add_network_commands(CLI::App& app, Common& common, Exit& exit);  ///< cron, monitor, dead
void add_ask_command(CLI::App& app, Common& common, Exit& exit);
void add_console_command(CLI::App& app, Common& common, Exit& exit);
void add_up_command(CLI::App& app, Common& common, Exit& exit);
void add_herd_commands(CLI::App& app, Common& common, Exit& exit);  ///< herd start
void add_token_commands(CLI::App& app, Common& common, Exit& exit);  ///< token transfer, token faucet
void add_checkpoint_commands(CLI::App& app, Common& common, Exit& exit);  ///< checkpoint export, check
void add_machine_commands(CLI::App& app, Common& common, Exit& exit);  ///< offer, disk
void add_past_commands(CLI::App& app, Common& common, Exit& exit);  ///< state, read, fork, diff
void add_receipt_commands(CLI::App& app, Common& common, Exit& exit);  ///< receipt, check
void add_verify_commands(CLI::App& app, Common& common, Exit& exit);  ///< verify, recompute

/// The path of this program, for starting itself again.
Path own_program();

/// Where a message went.
struct Sent {
    std::string id;
    std::string process;
    std::string slot;
};
/// A message signed with a fresh anchor; `target` absent: an item that spawns.
Result<item::DataItem> sign(
    const Common& common, const std::optional<std::string>& target, item::Tags tags, const std::string& data);
/// The same, sent.
Result<Sent> send(const Client& client, const Common& common, const std::optional<std::string>& target, item::Tags tags,
    const std::string& data);
/// Spawns a process that trusts the node's authority and obeys its scheduler.
Result<Sent> spawn(const Client& client, const Common& common, const std::string& module, const std::vector<item::Tag>& tags,
    const std::string& data);

/// Lets an id, or Tag=Value, stand for a published id. @return as Client::post
Result<Answer> add_alias(const Client& client, const std::string& published, const std::string& what);

/// The signed header of an item whose data is a file, which is read once and never held in memory.
Result<item::Header> file_header(const item::Signer& key, const Path& path, item::Tags tags, std::string anchor = {});
/// Stores the item of that header and file. @return its id
Result<std::string> put_file(const Client& client, const Path& path, const item::Header& header);
/// Lets processes that trust the key open an item (WeaveDrive).
Result<void> attest(const Client& client, const item::Signer& key, const std::string& id);

/// What a guest says to people: `Output.data`, or what stands in for it; the error when there is one.
struct Said {
    bool failed = false;
    std::string text;
};
Said said(const Answer& result);

}  // namespace altiplano::cli
