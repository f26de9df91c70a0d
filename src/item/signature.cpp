#include "item/signature.hpp"

#include "item/ed25519.hpp"
#include "item/ethereum.hpp"
#include "item/rsa.hpp"

#include <array>

namespace altiplano::item {

namespace {

constexpr std::array types{
    SignatureType{1, "arweave", 512, 512, verify_rsa},
    SignatureType{2, "ed25519", 64, 32, verify_ed25519},
    SignatureType{3, "ethereum", 65, 65, verify_ethereum},
    SignatureType{4, "solana", 64, 32, verify_solana},
    SignatureType{5, "injectedAptos", 64, 32, nullptr},
    SignatureType{6, "multiAptos", 2052, 1025, nullptr},
    SignatureType{7, "typedEthereum", 65, 42, nullptr},
    SignatureType{101, "kyve", 65, 65, nullptr},
};

}  // namespace

const SignatureType* signature_type(std::uint16_t number)
{
    for (const auto& type : types)
        if (type.number == number)
            return &type;
    return nullptr;
}

Address address_of(const SignatureType& type, Bytes owner)
{
    if (type.number == ethereum_signature)
        return Address(ethereum_address(owner));
    return Address(sha256(owner));
}

}  // namespace altiplano::item
