#pragma once

#include "base/files.hpp"
#include "item/data_item.hpp"

/// What `altiplano up` needs and no data folder owns: modules compiled for this machine, and the signed header of the model. It
/// is kept in the cache of the set-up, so that only the first start after a change makes it; `altiplano up --prepare` does
/// before.
namespace altiplano::cli {

/// ALTIPLANO_CACHE, else ~/.cache/altiplano.
Path shared_cache();
/// Where compiled modules are: ALTIPLANO_MODULES, else in the shared cache.
Path shared_modules();
/// The bundled model, where `./dev setup` puts it; empty when there is none.
Path bundled_model();

/// The header of a model's item, signed by the development owner: the same for the same file and name. Reading a file for it
/// takes a while, so it is remembered until the file's length or time changes; whoever stores the item reads the file anyway.
/// @return base.*
Result<item::Header> model_header(const Path& file);

/// Compiles a module of ours for processes of up to 16 GiB, unless that is done. @return module.*, base.*, vm.host_engine
Result<void> compile_module(const Path& wasm);

}  // namespace altiplano::cli
