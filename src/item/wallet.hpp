#pragma once

#include "base/random.hpp"
#include "item/signer.hpp"

#include <memory>

namespace altiplano::item {

/// A new key of a kind, "ed25519", "arweave" or "ethereum", with the text that read_wallet reads. Secret.
struct NewWallet {
    std::unique_ptr<Signer> signer;
    std::string text;
};
/// @return item.bad_key for another kind
Result<NewWallet> make_wallet(std::string_view kind, Random& random);

/// The signer of a key file, whatever its kind: a JWK of an RSA key (arweave-js's wallets, type 1) or of an Ed25519 key
/// (type 2), or the hex digits of an Ethereum key (type 3). @return item.bad_key
Result<std::unique_ptr<Signer>> read_wallet(std::string_view text);

}  // namespace altiplano::item
