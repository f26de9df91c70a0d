#pragma once

#include "drive/admission.hpp"

namespace altiplano::drive {

/// What the weave says about itself, as text files of JSON in a guest. Each follows from the weave up to the reader's height
/// alone: nothing that grows with later blocks, such as confirmations, is in them. Not mappable.
struct Document {
    enum class Kind { transaction, graphql, block };
    Kind kind;
    std::string name;  ///< an item's id, or a height
};

/// `tx/<id>`, `tx2/<id>`, `block/<height>` (ao-protocol.md 7.1); nothing for any other path.
std::optional<Document> document_of(std::string_view path);

/// tx: what `GET /tx/<id>` answers and `ownerAddress`. tx2: the fields of GraphQL's transaction. block: what
/// `GET /block/height/<height>` says of its place in the chain and its items. Needs no admission.
/// @return vm.file_not_found for what is not there at the reader's height; store.*, weave.broken_*
Result<std::string> read_document(weave::Weave& weave, const Reader& reader, const Document& document);

}  // namespace altiplano::drive
