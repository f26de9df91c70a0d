#include "item/wallet.hpp"

#include "base/json.hpp"
#include "item/ed25519.hpp"
#include "item/errors.hpp"
#include "item/ethereum.hpp"
#include "item/rsa.hpp"

#include <fmt/format.h>

namespace altiplano::item {

namespace {

template <class Kind> Result<std::unique_ptr<Signer>> hold(Result<Kind> signer)
{
    if (!signer)
        return std::unexpected(signer.error());
    return std::make_unique<Kind>(*std::move(signer));
}

}  // namespace

Result<NewWallet> make_wallet(std::string_view kind, Random& random)
{
    const auto with = [](auto signer, std::string text) {
        return NewWallet{std::make_unique<decltype(signer)>(std::move(signer)), std::move(text)};
    };
    if (kind == "ed25519") {
        auto made = Ed25519Signer::generate(random);
        auto text = made.jwk();
        return with(std::move(made), std::move(text));
    }
    if (kind == "arweave") {
        auto made = RsaSigner::generate();
        auto text = made.jwk();
        return with(std::move(made), std::move(text));
    }
    if (kind == "ethereum") {
        auto made = EthereumSigner::generate(random);
        auto text = made.hex() + "\n";
        return with(std::move(made), std::move(text));
    }
    return fail(errors::bad_key, fmt::format("'{}' is no kind of key", kind), "ed25519, arweave or ethereum");
}

Result<std::unique_ptr<Signer>> read_wallet(std::string_view text)
{
    const auto end = text.find_last_not_of(" \t\r\n");
    text = text.substr(0, end == text.npos ? 0 : end + 1);
    const auto json = JsonView::parse(text);
    if (!json || json->kind() != JsonView::Kind::object)
        return hold(EthereumSigner::from_hex(text));
    const auto kind = json->find("kty");
    const auto name = kind ? kind->string() : std::nullopt;
    if (name == "RSA")
        return hold(RsaSigner::from_jwk(text));
    if (name == "OKP")
        return hold(Ed25519Signer::from_jwk(text));
    return fail(errors::bad_key, "this JWK is neither of an RSA key nor of an Ed25519 key",
        "an Arweave wallet, an Ed25519 key, or the hex digits of an Ethereum key");
}

}  // namespace altiplano::item
